//! What the service manager hears of a whole server, by sd_notify(3).

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{BINARY, SOON};

fn serve(socket: &Path) -> Child {
    Command::new(BINARY)
        .args(["serve", "--demo", "--allow-root", "--listen", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", socket)
        .env("WATCHDOG_USEC", "40000")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be started")
}

fn hear(socket: &UnixDatagram) -> String {
    let mut buffer = [0_u8; 1024];
    let length = socket.recv(&mut buffer).expect("a word within the deadline");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn the_service_manager_hears_ready_signs_of_life_and_the_end() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(SOON)).expect("a deadline");
    let mut server = serve(&path);
    let first = hear(&socket);
    assert!(first.starts_with("READY=1\nSTATUS=Serving on 127.0.0.1:"), "{first}");
    // By now it is served.
    let address = first.split("Serving on ").nth(1).and_then(|rest| rest.split(';').next()).expect("an address");
    std::net::TcpStream::connect(address).expect("the address is taken");
    let mut signs = 0;
    while signs < 3 {
        if hear(&socket) == "WATCHDOG=1" {
            signs += 1;
        }
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&server), rustix::process::Signal::TERM)
        .expect("it is there");
    loop {
        let word = hear(&socket);
        if word.starts_with("STOPPING=1") {
            break;
        }
        assert!(word == "WATCHDOG=1" || word.starts_with("STATUS="), "{word}");
    }
    assert!(server.wait().expect("it ends").success());
}
