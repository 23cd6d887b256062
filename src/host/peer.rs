//! Whose socket is at the other end of a loopback connection, asked of the kernel by an exact look-up
//! (sock_diag(7)), never by a list that could hold yesterday's.
//!
//! A row counts while the connection is established and its socket has an inode. A socket that its
//! owner has closed already is shown with uid 0 and inode 0: whoever sends and runs away would look
//! like root to a look-up that does not ask for the state.

use std::net::{IpAddr, SocketAddr};

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// `SOCK_DIAG_BY_FAMILY` of linux/sock_diag.h.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST` of linux/netlink.h.
const REQUEST: u16 = 1;
/// `AF_INET`, `AF_INET6`, `IPPROTO_TCP`, `TCP_ESTABLISHED`.
const INET: u8 = 2;
const INET6: u8 = 10;
const TCP: u8 = 6;
const ESTABLISHED: u8 = 1;
/// Lengths of the netlink header, of `struct inet_diag_req_v2` and of `struct inet_diag_msg`.
const HEADER: usize = 16;
const ASKED: usize = 56;
const ROW: usize = 72;
/// Where in a row the socket's id begins, its uid and its inode.
const ID: usize = 4;
const UID: usize = 64;
const INODE: usize = 68;
/// The ports and addresses of a socket's id, without interface and cookie.
const ENDS: usize = 36;
/// The kernel answers at once; this is for one that does not.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(200);

/// The user who owns the established TCP socket that is bound to `from` and connected to `to`.
/// `None`: there is none, or it cannot be known.
#[must_use]
pub fn socket_owner(from: SocketAddr, to: SocketAddr) -> Option<u32> {
    let request = request(from, to)?;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(SOCK_DIAG)).ok()?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE)).ok()?;
    sendto(&socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).ok()?;
    let mut answer = [0_u8; 4096];
    let (_, got) = recv(&socket, &mut answer, RecvFlags::empty()).ok()?;
    owner_in(answer.get(..got)?, &request)
}

/// Ports in network order, then both addresses, as the kernel's socket id begins.
fn ends(from: SocketAddr, to: SocketAddr) -> Option<[u8; ENDS]> {
    let mut ends = [0; ENDS];
    ends[..2].copy_from_slice(&from.port().to_be_bytes());
    ends[2..4].copy_from_slice(&to.port().to_be_bytes());
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            ends[4..8].copy_from_slice(&from.octets());
            ends[20..24].copy_from_slice(&to.octets());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            ends[4..20].copy_from_slice(&from.octets());
            ends[20..36].copy_from_slice(&to.octets());
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    }
    Some(ends)
}

fn request(from: SocketAddr, to: SocketAddr) -> Option<[u8; HEADER + ASKED]> {
    let mut bytes = [0; HEADER + ASKED];
    let length = u32::try_from(bytes.len()).ok()?;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&REQUEST.to_ne_bytes());
    let body = &mut bytes[HEADER..];
    body[0] = if from.is_ipv4() { INET } else { INET6 };
    body[1] = TCP;
    // Any state: a socket that is not established is told apart from one that is not there.
    body[4..8].fill(0xff);
    body[8..8 + ENDS].copy_from_slice(&ends(from, to)?);
    // No cookie is asked for.
    body[48..56].fill(0xff);
    Some(bytes)
}

/// The owner in the kernel's answer, where it is a row of the very socket that was asked for.
fn owner_in(answer: &[u8], request: &[u8; HEADER + ASKED]) -> Option<u32> {
    let length = usize::try_from(u32::from_ne_bytes(answer.get(..4)?.try_into().ok()?)).ok()?;
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let row = answer.get(HEADER..length)?.get(..ROW)?;
    let asked = &request[HEADER..];
    let same = kind == BY_FAMILY && row[0] == asked[0] && row.get(ID..ID + ENDS)? == &asked[8..8 + ENDS];
    let inode = u32::from_ne_bytes(row.get(INODE..INODE + 4)?.try_into().ok()?);
    if !same || row[1] != ESTABLISHED || inode == 0 {
        return None;
    }
    Some(u32::from_ne_bytes(row.get(UID..UID + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;

    fn pair(address: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(address).expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("its address")).expect("it connects");
        (client, listener.accept().expect("it is accepted").0)
    }

    fn owner(server: &TcpStream) -> Option<u32> {
        socket_owner(server.peer_addr().expect("a peer"), server.local_addr().expect("an address"))
    }

    #[test]
    fn an_open_socket_is_its_users_and_a_closed_one_is_nobodys() {
        let us = rustix::process::getuid().as_raw();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (client, server) = pair(address);
            assert_eq!(owner(&server), Some(us), "{address}");
            // Half closed: it can still read, and is no more established.
            client.shutdown(std::net::Shutdown::Write).expect("it is shut");
            assert_eq!(owner(&server), None, "{address}, half closed");
            drop(client);
            assert_eq!(owner(&server), None, "{address}, closed");
        }
    }

    #[test]
    fn what_is_not_there_is_nobodys() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        assert_eq!(socket_owner(address("127.0.0.1:1"), address("127.0.0.1:2")), None);
        assert_eq!(socket_owner(address("127.0.0.1:1"), address("[::1]:2")), None);
        let (client, server) = pair("127.0.0.1:0");
        // The other way round it is the server's own.
        let ends = (server.local_addr().expect("an address"), client.peer_addr().expect("a peer"));
        assert_eq!(socket_owner(ends.1, client.local_addr().expect("an address")), owner(&server));
    }

    proptest! {
        #[test]
        fn no_answer_upsets_it(answer in proptest::collection::vec(any::<u8>(), 0..200), length in 0_u32..200) {
            let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
            let request = request(address(1), address(2)).expect("a request");
            let mut answer = answer;
            if answer.len() >= 8 {
                answer[..4].copy_from_slice(&length.to_ne_bytes());
                answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
            }
            // A row of another socket, or none: nobody.
            let cut: Vec<u8> = answer.iter().map(|byte| byte | 1).collect();
            prop_assert_eq!(owner_in(&cut, &request), None);
            owner_in(&answer, &request);
        }
    }
}
