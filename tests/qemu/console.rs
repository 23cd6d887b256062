//! Screens, serial ports, keys and media of real guests, through the WebSockets that a browser uses.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::testbed::{Testbed, guest_disk, guest_kernel};
use crate::support::ws::{self, Socket};
use crate::support::{SOON, Server, state_of};

/// An emulated boot on a busy machine.
const BOOT: Duration = Duration::from_secs(90);

async fn guest(server: &Server, name: &str, more: Value) -> String {
    let mut spec = json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 }, "boot": guest_kernel("") });
    for (key, value) in more.as_object().cloned().unwrap_or_default() {
        spec[key] = value;
    }
    let vm = server.ok("CreateVM", json!({ "name": name, "startOnCreate": true, "spec": spec })).await;
    assert_eq!(state_of(&vm), "RUNNING", "{vm}");
    vm["id"].as_str().expect("a VM has an id").to_owned()
}

/// The beginning of RFB, up to what the screen is.
async fn handshake(screen: &mut Socket) -> (u16, u16) {
    screen.bytes(12, SOON).await;
    assert_eq!(&screen.read[..12], b"RFB 003.008\n");
    screen.send(b"RFB 003.008\n").await;
    screen.bytes(14, SOON).await;
    assert_eq!(&screen.read[12..14], [1, 1], "one security type, none");
    screen.send(&[1]).await;
    screen.bytes(18, SOON).await;
    assert_eq!(&screen.read[14..18], [0; 4], "let in");
    screen.send(&[1]).await;
    screen.bytes(42, SOON).await;
    let number = |at: usize| u16::from_be_bytes([screen.read[at], screen.read[at + 1]]);
    (number(18), number(20))
}

/// Ask for the whole screen; answers how many bytes of it came first.
async fn frame(screen: &mut Socket, (width, height): (u16, u16)) {
    let before = screen.read.len();
    let [w, h] = [width.to_be_bytes(), height.to_be_bytes()];
    screen.send(&[3, 0, 0, 0, 0, 0, w[0], w[1], h[0], h[1]]).await;
    screen.bytes(before + 16, SOON).await;
    assert_eq!(screen.read[before], 0, "a FramebufferUpdate");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_serial_port_is_shared_resumed_taken_over_and_told_its_end() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    let id = guest(&server, "talks", json!({})).await;
    let mut first = ws::console(&server, &id, "KIND_SERIAL", "").await;
    assert_eq!(first.from(SOON).await, 0);
    first.login(BOOT).await;

    // Another sees what was, and both see what is typed by either.
    let mut second = ws::console(&server, &id, "KIND_SERIAL", "").await;
    assert_eq!(second.from(SOON).await, 0);
    second.until("in-42", 0, SOON).await;
    second.send(b"echo both-$((40+2))\n").await;
    let at = first.until("both-42", 0, SOON).await;
    assert_eq!(second.until("both-42", 0, SOON).await, at);
    assert_eq!(first.read[..at], second.read[..at]);

    // Whoever comes back reads on where it was.
    drop(second);
    first.send(b"echo again-$((40+2))\n").await;
    let later = first.until("again-42", at, SOON).await;
    let mut back = ws::console(&server, &id, "KIND_SERIAL", &format!("?from={at}")).await;
    assert_eq!(back.from(SOON).await, at as u64);
    back.bytes(later - at, SOON).await;
    assert_eq!(back.read[..later - at], first.read[at..later]);
    // What was never said cannot be resumed from: all that there is comes.
    let mut lost = ws::console(&server, &id, "KIND_SERIAL", "?from=99999999999").await;
    assert_eq!(lost.from(SOON).await, 0);

    // Another program takes the port, and it is taken back.
    let mut virsh = bed.virsh_console(&id, &["--force"]);
    let (code, reason, _) = first.until_closed(SOON).await;
    assert!(code == 4002 && reason.contains("talks") && reason.contains("another program"), "{code} {reason}");
    assert_eq!(back.until_closed(SOON).await.0, 4002);
    let wanted = json!({ "vmId": id, "kind": "KIND_SERIAL" });
    let message = server.refused("GetConsole", wanted, "failed_precondition").await;
    assert!(message.contains("in use by another program") && message.contains("take_over"), "{message}");
    let taken = server.ok("GetConsole", json!({ "vmId": id, "kind": "KIND_SERIAL", "takeOver": true })).await;
    let ticket = taken["ticket"].as_str().expect("a ticket");
    let path = format!("/consoles/{id}/serial");
    let mut ours = ws::open(&server, &path, ticket, &[]).await.expect("it is let in");
    let from = ours.from(SOON).await;
    assert!(from >= later as u64, "the numbering goes on at {from}, not behind {later}");
    ours.send(b"echo ours-$((40+2))\n").await;
    ours.until("ours-42", 0, SOON).await;
    virsh.until_end(SOON);

    // Much at once reaches a viewer whole and in its order.
    let since = ours.read.len();
    ours.send(b"stty -echo; seq 1 20000; echo seq-done-$((1+1))\n").await;
    let end = ours.until("seq-done-2", since, BOOT).await;
    let told = String::from_utf8_lossy(&ours.read[since..end]).into_owned();
    let numbers: Vec<u32> = told.lines().filter_map(|line| line.trim().parse().ok()).collect();
    assert_eq!(numbers, (1..=20000).collect::<Vec<u32>>());

    // The end of the VM is told within a second, and after it nothing is opened.
    let mut screen = ws::console(&server, &id, "KIND_VNC", "").await;
    handshake(&mut screen).await;
    let (stopped, serial, screen) =
        tokio::join!(server.ok("StopVM", json!({ "id": id, "force": true })), ended(&mut ours), ended(&mut screen));
    assert_eq!(state_of(&stopped), "STOPPED");
    for (code, reason, at) in [&serial, &screen] {
        assert!(*code == 4001 && reason.contains("\"talks\" is STOPPED"), "{code} {reason}");
        // libvirt needs a moment for the end of a QEMU, and says STOPPED behind it.
        assert!(*at < Instant::now() + Duration::from_secs(1));
    }
    let message = server.refused("GetConsole", json!({ "vmId": id }), "failed_precondition").await;
    assert!(message.contains("talks") && message.contains("RUNNING"), "{message}");
    server.ok("StartVM", json!({ "id": id })).await;
    let mut anew = ws::console(&server, &id, "KIND_SERIAL", "").await;
    assert!(anew.from(SOON).await > from);
    anew.login(BOOT).await;
}

fn signal(pid: u32, which: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, which).expect("it can be signalled");
}

async fn ended(socket: &mut Socket) -> (u16, String, Instant) {
    let (code, reason, _) = socket.until_closed(SOON).await;
    (code, reason, Instant::now())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_is_shown_photographed_and_typed_on_and_the_end_of_the_server_is_told() {
    let bed = Testbed::new();
    let mut server = Server::on(&bed.uri).await;
    let id = guest(&server, "shows", json!({})).await;
    let mut serial = ws::console(&server, &id, "KIND_SERIAL", "").await;
    serial.from(SOON).await;
    serial.login(BOOT).await;

    let mut screen = ws::console(&server, &id, "KIND_VNC", "").await;
    let size = handshake(&mut screen).await;
    assert!(size.0 >= 320 && size.1 >= 200, "{size:?}");
    frame(&mut screen, size).await;
    let mut beside = ws::console(&server, &id, "KIND_VNC", "").await;
    assert_eq!(handshake(&mut beside).await, size);

    // Another page uses no ticket up; a ticket is for one console, once.
    let (path, ticket) = ws::ticket(&server, &id, "KIND_VNC").await;
    let status = async |path: &str, ticket: &str, headers: &[(&'static str, &str)]| {
        ws::open(&server, path, ticket, headers).await.map(drop)
    };
    assert_eq!(status(&path, &ticket, &[("origin", "http://evil.example")]).await, Err(403));
    let own = server.url.clone();
    assert_eq!(status(&path, &ticket, &[("origin", &own)]).await, Ok(()));
    assert_eq!(status(&path, &ticket, &[]).await, Err(401), "used twice");
    let (path, ticket) = ws::ticket(&server, &id, "KIND_VNC").await;
    assert_eq!(status(&format!("/consoles/{id}/serial"), &ticket, &[]).await, Err(401), "another console");
    assert_eq!(status(&path, &ticket, &[]).await, Err(401), "after it was tried elsewhere");
    assert!(!server.log().contains(&ticket), "a ticket is in the log");

    let shot = server.ok("GetScreenshot", json!({ "vmId": id })).await;
    assert_eq!(shot["mimeType"], "image/png");
    let image = shot["image"].as_str().expect("an image").to_owned();
    // The signature of PNG, in base64.
    assert!(image.starts_with("iVBORw0KGgo"), "{}", &image[..40]);

    // What is pressed arrives at the login of the screen's own terminal.
    for key in ["r", "o", "o", "t", "enter"] {
        server.ok("SendKeys", json!({ "vmId": id, "keys": [key], "holdMs": 20 })).await;
    }
    // A key is let go of after the call: the next word waits until the shell is there.
    let since = serial.read.len();
    serial
        .send(b"until ps | grep -v grep | grep -q -- '-sh\\|ash\\|/bin/sh'; do sleep 0.1; done; echo shell-$((1+1))\n")
        .await;
    serial.until("shell-2", since, SOON).await;
    for keys in [["shift", "k"], ["shift", "v"]] {
        server.ok("SendKeys", json!({ "vmId": id, "keys": keys, "holdMs": 20 })).await;
    }
    server
        .until("another picture", SOON, async || {
            let now = server.ok("GetScreenshot", json!({ "vmId": id })).await;
            (now["image"] != image.as_str()).then_some(())
        })
        .await;
    let message = server.refused("SendKeys", json!({ "vmId": id, "keys": ["any"] }), "invalid_argument").await;
    assert!(message.contains("keys[0]") && message.contains("backspace"), "{message}");

    // A guest that is paused is looked at, and hears nothing.
    server.ok("PauseVM", json!({ "id": id })).await;
    server.ok("GetScreenshot", json!({ "vmId": id })).await;
    server.refused("SendKeys", json!({ "vmId": id, "keys": ["a"] }), "failed_precondition").await;
    server.ok("ResumeVM", json!({ "id": id })).await;

    // The end of the server is told; the guest runs on.
    let ends = tokio::spawn(async move { (ended(&mut screen).await.0, ended(&mut serial).await.0) });
    let took = server.terminate();
    assert!(took < Duration::from_secs(5), "SIGTERM took {took:?}");
    assert_eq!(ends.await.expect("both ended"), (4003, 4003));
    assert_eq!(bed.virsh(&["domstate", &id]), "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_of_another_client_on_tcp_and_a_vm_without_consoles() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    let xml = |name: &str, devices: &str| {
        format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
             <os><type arch='x86_64'>hvm</type></os><devices>{devices}</devices></domain>"
        )
    };
    let define = |name: &str, devices: &str| {
        bed.virsh(&["define", &bed.file(&format!("{name}.xml"), &xml(name, devices))]);
        bed.virsh(&["start", name]);
        bed.virsh(&["domuuid", name])
    };
    let tcp = define("foreign", "<graphics type='vnc' port='-1' autoport='yes' passwd='secret'/>");
    let bare = define("bare", "");
    for id in [&tcp, &bare] {
        server.until_state(id, "RUNNING", SOON).await;
    }
    let mut screen = ws::console(&server, &tcp, "KIND_VNC", "").await;
    handshake(&mut screen).await;
    for kind in ["KIND_VNC", "KIND_SERIAL"] {
        let message = server.refused("GetConsole", json!({ "vmId": bare, "kind": kind }), "failed_precondition").await;
        assert!(message.contains("\"bare\" has no"), "{message}");
    }
    let message = server.refused("GetScreenshot", json!({ "vmId": bare }), "failed_precondition").await;
    assert!(message.contains("bare"), "{message}");

    // A QEMU that hangs keeps nobody but those who ask for it.
    let qemu = bed.qemu(&tcp);
    signal(qemu, rustix::process::Signal::STOP);
    let begun = Instant::now();
    let (hung, other) = tokio::join!(server.call("GetScreenshot", json!({ "vmId": tcp })), async {
        server.ok("PauseVM", json!({ "id": bare })).await;
        begun.elapsed()
    });
    assert_eq!(hung.code(), "deadline_exceeded", "{}", hung.body);
    assert!(other < Duration::from_secs(5), "another VM waited {other:?}");
    signal(qemu, rustix::process::Signal::CONT);

    // libvirtd goes: a display lives on, a serial port is told of.
    let talks = guest(&server, "talks", json!({})).await;
    let mut serial = ws::console(&server, &talks, "KIND_SERIAL", "").await;
    serial.from(SOON).await;
    let mut display = ws::console(&server, &talks, "KIND_VNC", "").await;
    let size = handshake(&mut display).await;
    bed.act("kill", &["KILL"]);
    let (code, reason, _) = serial.until_closed(SOON).await;
    assert!(code == 1011 && reason.contains("talks"), "{code} {reason}");
    frame(&mut display, size).await;
    bed.act("restart", &[]);
    server.ready().await;
    let mut serial = ws::console(&server, &talks, "KIND_SERIAL", "").await;
    serial.from(SOON).await;
    serial.login(BOOT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_medium_goes_in_and_out_under_a_running_guest() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    // The guest reads the drive's bytes, so any bytes do.
    let media: Vec<String> = ["first", "second"]
        .iter()
        .map(|name| {
            let path = bed.file(&format!("{name}.iso"), "");
            let mut file = std::fs::File::create(&path).expect("it is ours");
            let mut bytes = format!("medium-{name}\n").into_bytes();
            bytes.resize(1 << 20, b'.');
            file.write_all(&bytes).expect("it is written");
            path
        })
        .collect();
    let id = guest(&server, "reads", json!({ "boot": {}, "disks": [guest_disk()], "cdroms": [{}] })).await;
    let drive = server.vm(&id).await["spec"]["cdroms"][0]["id"].as_str().expect("a drive").to_owned();
    let mut serial = ws::console(&server, &id, "KIND_SERIAL", "").await;
    serial.from(SOON).await;
    serial.login(BOOT).await;

    for (path, word) in media.iter().zip(["medium-first", "medium-second"]) {
        let vm = server.ok("MountISO", json!({ "vmId": id, "cdromId": drive, "isoPath": path })).await;
        assert_eq!(vm["spec"]["cdroms"][0]["isoPath"], path.as_str(), "{vm}");
        assert_eq!(vm["status"]["pendingChanges"].as_array().map(Vec::len).unwrap_or_default(), 0, "{vm}");
        let since = serial.read.len();
        serial.send(b"head -c 20 /dev/sr0; echo; echo read-$((1+1))\n").await;
        let end = serial.until("read-2", since, SOON).await;
        let told = String::from_utf8_lossy(&serial.read[since..end]).into_owned();
        assert!(told.contains(word), "the guest does not find {word}:\n{told}");
        assert!(
            bed.virsh(&["dumpxml", &id]).contains(path) && bed.virsh(&["dumpxml", "--inactive", &id]).contains(path)
        );
    }
    // The guest locks its tray while it has the drive open.
    let since = serial.read.len();
    serial.send(b"exec 3</dev/sr0; echo held-$((1+1))\n").await;
    serial.until("held-2", since, SOON).await;
    let message = server.refused("EjectISO", json!({ "vmId": id }), "failed_precondition").await;
    assert!(message.contains("tray") && message.contains("force"), "{message}");
    let vm = server.ok("EjectISO", json!({ "vmId": id, "force": true })).await;
    assert_eq!(vm["spec"]["cdroms"][0]["isoPath"].as_str().unwrap_or_default(), "");
    assert!(!bed.virsh(&["dumpxml", &id]).contains(".iso"));

    let refused = async |path: &str, drive: &str, code: &str| {
        server.refused("MountISO", json!({ "vmId": id, "cdromId": drive, "isoPath": path }), code).await
    };
    assert!(refused(&media[0], "sdz", "not_found").await.contains("sdz"));
    assert!(refused("/does/not/exist.iso", "", "invalid_argument").await.contains("does not exist"));
    assert!(refused("/tmp", "", "invalid_argument").await.contains("is a directory"));
    assert!(refused("a.iso", "", "invalid_argument").await.contains("absolute"));
    assert!(refused("", "", "invalid_argument").await.contains("required"));
    let events = server.ok("ListVMEvents", json!({ "vmId": id })).await.to_string();
    assert!(events.contains("vm.iso_mounted") && events.contains("vm.iso_ejected"), "{events}");

    // Off, it is the definition that changes.
    server.ok("StopVM", json!({ "id": id, "force": true })).await;
    let vm = server.ok("MountISO", json!({ "vmId": id, "isoPath": media[1] })).await;
    assert_eq!(vm["spec"]["cdroms"][0]["isoPath"], media[1].as_str());
    let vm = server.ok("EjectISO", json!({ "vmId": id })).await;
    assert_eq!(vm["spec"]["cdroms"][0]["isoPath"].as_str().unwrap_or_default(), "");
}
