//! P13: what a key and a screen cost through our WebSocket, beside libvirt's own stream and QEMU's own
//! socket; and what consoles cost that nobody uses.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::json;
use virt::connect::Connect;
use virt::stream::Stream;

use crate::report::{Report, median};
use crate::support::Server;
use crate::support::testbed::{Testbed, guest_kernel};
use crate::support::ws::{self, Socket};

const BOOT: Duration = Duration::from_secs(90);
const SOON: Duration = Duration::from_secs(10);
const KEYS: usize = 60;
const ROUNDS: usize = 3;
const IDLE: usize = 200;
/// Lines that a shell's echo is asked for: what is typed comes back letter by letter.
const TYPED: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

fn guest(server: &Server, name: &str) -> String {
    let spec = json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 }, "boot": guest_kernel("") });
    let made = crate::run(server.ok("CreateVM", json!({ "name": name, "startOnCreate": true, "spec": spec })));
    made["id"].as_str().expect("an id").to_owned()
}

async fn ours(server: &Server, vm: &str) -> Vec<Duration> {
    let taken = server.ok("GetConsole", json!({ "vmId": vm, "kind": "KIND_SERIAL", "takeOver": true })).await;
    let ticket = taken["ticket"].as_str().expect("a ticket");
    let mut socket = ws::open(server, &format!("/consoles/{vm}/serial"), ticket, &[]).await.expect("it is let in");
    socket.from(SOON).await;
    socket.send(b"\n").await;
    socket.until("#", 0, SOON).await;
    let mut times = Vec::new();
    for index in 0..KEYS {
        let before = socket.read.len();
        let begun = Instant::now();
        socket.send(&[TYPED[index % TYPED.len()]]).await;
        socket.bytes(before + 1, SOON).await;
        times.push(begun.elapsed());
    }
    // The line that was typed is thrown away.
    socket.send(b"\x15").await;
    times
}

fn floor(connection: &Connect, vm: &str) -> Vec<Duration> {
    let domain = connection.lookup_domain_by_uuid_string(vm).expect("it is defined");
    let stream = Stream::new(connection, 0).expect("a stream");
    domain.open_console(None, &stream, virt::sys::VIR_DOMAIN_CONSOLE_FORCE).expect("it opens");
    stream.send(b"\n").expect("it is typed");
    let mut buffer = [0; 4096];
    let mut said = String::new();
    while !said.contains('#') {
        let count = stream.recv(&mut buffer).expect("it says something");
        said.push_str(&String::from_utf8_lossy(&buffer[..usize::try_from(count).expect("a count")]));
    }
    let mut times = Vec::new();
    for index in 0..KEYS {
        let begun = Instant::now();
        stream.send(&[TYPED[index % TYPED.len()]]).expect("it is typed");
        stream.recv(&mut buffer).expect("it is echoed");
        times.push(begun.elapsed());
    }
    stream.send(b"\x15").expect("it is typed");
    let _ = stream.abort();
    times
}

/// The part of RFB's beginning that a client sends, and how much is there after each part. QEMU answers
/// each at once; a screen it sends when it next looks at it.
const HELLO: [(&[u8], usize); 4] = [(b"", 12), (b"RFB 003.008\n", 2), (&[1], 4), (&[1], 24)];
/// Beginnings a round, each of three round trips.
const HELLOS: usize = KEYS / 3;

async fn our_screen(server: &Server, vm: &str) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..HELLOS {
        greet(&mut ws::console(server, vm, "KIND_VNC", "").await, &mut times).await;
    }
    times
}

async fn greet(socket: &mut Socket, times: &mut Vec<Duration>) {
    let mut wanted = 0;
    for (said, answer) in HELLO {
        wanted += answer;
        let begun = Instant::now();
        if said.is_empty() {
            socket.bytes(wanted, SOON).await;
        } else {
            socket.send(said).await;
            socket.bytes(wanted, SOON).await;
            times.push(begun.elapsed());
        }
    }
    // The screen's name: its length was the last that was read.
    let length = u32::from_be_bytes(socket.read[wanted - 4..wanted].try_into().expect("four bytes"));
    socket.bytes(wanted + length as usize, SOON).await;
}

fn floor_screen(bed: &Testbed, name: &str) -> Vec<Duration> {
    let path = bed.files().into_iter().find(|path| path.ends_with(&format!("-{name}/vnc.sock")));
    let path = path.expect("QEMU's socket");
    let mut times = Vec::new();
    for _ in 0..HELLOS {
        let mut socket = UnixStream::connect(&path).expect("QEMU listens");
        for (said, answer) in HELLO {
            let begun = Instant::now();
            socket.write_all(said).expect("it is open");
            socket.read_exact(&mut vec![0; answer]).expect("it answers");
            if !said.is_empty() {
                times.push(begun.elapsed());
            }
        }
    }
    times
}

fn resident_kb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the server runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

pub fn measure(report: &mut Report) {
    let bed = Testbed::new();
    let server = crate::run(Server::on(&bed.uri));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let vms = ["types", "shows"].map(|name| guest(&server, name));
    let connection = Connect::open(Some(&bed.uri)).expect("libvirt answers");
    for vm in &vms {
        runtime.block_on(async {
            let mut serial = ws::console(&server, vm, "KIND_SERIAL", "").await;
            serial.from(SOON).await;
            serial.login(BOOT).await;
        });
    }
    let (mut keys, mut keys_floor, mut screens, mut screens_floor) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        keys.extend(runtime.block_on(ours(&server, &vms[0])));
        keys_floor.extend(floor(&connection, &vms[0]));
        screens.extend(runtime.block_on(our_screen(&server, &vms[0])));
        screens_floor.extend(floor_screen(&bed, "types"));
    }
    let limit = median(&mut keys_floor) + Duration::from_millis(1);
    report.within("P13", "serial echo through our WebSocket, p50", median(&mut keys), limit);
    let limit = median(&mut screens_floor) + Duration::from_millis(2);
    report.within("P13", "VNC round trip through our WebSocket, p50", median(&mut screens), limit);

    let before = resident_kb(server.pid());
    let open: Vec<Socket> = runtime.block_on(async {
        let mut open = Vec::new();
        for index in 0..IDLE {
            let vm = &vms[index % vms.len()];
            // QEMU shows a screen to 32 at once.
            if index % 8 < 6 {
                let mut socket = ws::console(&server, vm, "KIND_SERIAL", "").await;
                socket.from(SOON).await;
                open.push(socket);
            } else {
                let mut socket = ws::console(&server, vm, "KIND_VNC", "").await;
                greet(&mut socket, &mut Vec::new()).await;
                open.push(socket);
            }
        }
        open
    });
    #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
    let each = (resident_kb(server.pid()) - before) / open.len() as f64;
    report.at_most("P13", "memory of one of 200 idle consoles", each, 40.0, "kB");
}
