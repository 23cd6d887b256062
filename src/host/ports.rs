//! Whether an address can be served on, or is served on by a quantixkvm already.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with, sockopt};

/// How long a process that holds the port may take to say who it is.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How an address stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    Free,
    /// Its `/healthz` answers as ours does.
    Ours,
    /// Another program's.
    Taken,
    /// The kernel refuses it; its words.
    Refused(String),
}

/// Look without listening: nobody is ever connected to this.
#[must_use]
pub fn port(address: SocketAddr) -> Port {
    match take(address) {
        Ok(()) => Port::Free,
        Err(rustix::io::Errno::ADDRINUSE) if is_ours(address) => Port::Ours,
        Err(rustix::io::Errno::ADDRINUSE) => Port::Taken,
        Err(error) => Port::Refused(std::io::Error::from(error).to_string()),
    }
}

/// As the server takes it, but for listening.
fn take(address: SocketAddr) -> rustix::io::Result<()> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)
}

fn is_ours(address: SocketAddr) -> bool {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    answer(SocketAddr::new(ip, address.port())).is_ok_and(|text| is_healthy(&text))
}

fn answer(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut text = Vec::new();
    // One that never ends is none of ours.
    stream.take(4096).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn is_healthy(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nok\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_port_is_told_from_a_free_one() {
        let stranger = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = stranger.local_addr().expect("its address");
        std::thread::spawn(move || {
            for stream in stranger.incoming().flatten().take(1) {
                let _ = (&stream).write_all(b"220 mail\r\n");
            }
        });
        assert_eq!(port(address), Port::Taken);
        assert_eq!(port(SocketAddr::from(([127, 0, 0, 1], 0))), Port::Free);
        assert!(matches!(port(SocketAddr::from(([192, 0, 2, 1], 1))), Port::Refused(_)), "not an address of this host");
    }

    #[test]
    fn ours_is_known_by_its_answer() {
        assert!(is_healthy("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n"));
        assert!(!is_healthy("HTTP/1.1 200 OK\r\n\r\n<html>ok\n"));
        assert!(!is_healthy("HTTP/1.1 421 Misdirected Request\r\n\r\nok\n"));
    }
}
