//! QEMU killed, hung; libvirtd restarted, hung, gone: told truthfully, and found again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::console::Console;
use crate::support::testbed::{Testbed, guest_kernel};
use crate::support::{SOON, Server, state_of};

async fn running(server: &Server, name: &str) -> String {
    let spec = json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 }, "boot": guest_kernel("") });
    let vm = server.ok("CreateVM", json!({ "name": name, "startOnCreate": true, "spec": spec })).await;
    vm["id"].as_str().expect("an id").to_owned()
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, signal).expect("the process can be signalled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_qemu_is_seen_within_two_seconds_with_its_reason() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    let id = running(&server, "victim").await;
    let begun = Instant::now();
    signal(bed.qemu(&id), rustix::process::Signal::KILL);
    let vm = server
        .until("the killed VM to be off", SOON, async || {
            let vm = server.vm(&id).await;
            ["CRASHED", "STOPPED"].contains(&state_of(&vm).as_str()).then_some(vm)
        })
        .await;
    let took = begun.elapsed();
    println!("R9: QEMU killed, {} after {took:?}", state_of(&vm));
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    assert_ne!(vm["status"]["errorMessage"].as_str().unwrap_or_default(), "", "no reason: {vm}");
    assert_eq!(state_of(&server.ok("StartVM", json!({ "id": id })).await), "RUNNING");
    server.ok("DeleteVM", json!({ "id": id, "force": true })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_panics_is_crashed_within_two_seconds_and_starts_again() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    let id = running(&server, "panics").await;
    let console = Console::open(&bed.uri, &id);
    console.booted(Duration::from_secs(90)).await;
    let at = console.until("login:", 0, SOON).await;
    console.line("root");
    let at = console.until("#", at, SOON).await;
    console.line("echo c > /proc/sysrq-trigger");
    console.until("Kernel panic", at, SOON).await;
    let begun = Instant::now();
    let vm = server
        .until("the guest's panic to be seen", SOON, async || {
            let vm = server.vm(&id).await;
            (state_of(&vm) == "CRASHED").then_some(vm)
        })
        .await;
    let took = begun.elapsed();
    println!("R9: guest panicked, CRASHED after {took:?}");
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    assert_ne!(vm["status"]["errorMessage"].as_str().unwrap_or_default(), "", "no reason: {vm}");
    assert_eq!(state_of(&server.ok("StartVM", json!({ "id": id })).await), "RUNNING");
    server.ok("DeleteVM", json!({ "id": id, "force": true })).await;
}

async fn slowest_verb(server: &Server, id: &str) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..8 {
        for verb in ["PauseVM", "ResumeVM"] {
            let begun = Instant::now();
            server.ok(verb, json!({ "id": id })).await;
            slowest = slowest.max(begun.elapsed());
        }
    }
    slowest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_qemu_stalls_no_other_vm_and_can_be_forced_off() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    let hung = running(&server, "hung").await;
    let other = running(&server, "other").await;
    // A guest that boots keeps its own QEMU busy; the comparison is between settled ones.
    for id in [&hung, &other] {
        Console::open(&bed.uri, id).booted(Duration::from_secs(90)).await;
    }
    let usual = slowest_verb(&server, &other).await;
    let qemu = bed.qemu(&hung);
    signal(qemu, rustix::process::Signal::STOP);
    // A verb that must ask QEMU hangs, and is named; the others go on.
    let stuck = {
        let (url, http, id) = (server.url.clone(), server.http.clone(), hung.clone());
        tokio::spawn(async move {
            http.post(format!("{url}/Quantixkvm.compute.v1.VMService/PauseVM"))
                .header("Content-Type", "application/json")
                .body(json!({ "id": id }).to_string())
                .send()
                .await
        })
    };
    server
        .until("the stuck operation", SOON, async || {
            (server.vm(&hung).await["status"]["operation"]["verb"] == "pause").then_some(())
        })
        .await;
    let beside = slowest_verb(&server, &other).await;
    println!("R28: slowest verb on another VM: {usual:?} before, {beside:?} beside a hung QEMU");
    assert!(beside < usual * 2 + Duration::from_millis(500), "a hung QEMU slowed another VM: {usual:?} to {beside:?}");
    let busy = server.refused("SuspendVM", json!({ "id": hung }), "aborted").await;
    assert!(busy.contains("pause"), "the message does not name what holds it: {busy}");
    server
        .until("its unresponsiveness to be shown", SOON, async || {
            server.vm(&hung).await["status"]["unresponsiveSince"].is_string().then_some(())
        })
        .await;
    signal(qemu, rustix::process::Signal::CONT);
    stuck.await.expect("the call ended").expect("it was answered");
    server
        .until("it to answer again", SOON, async || {
            server.vm(&hung).await["status"]["unresponsiveSince"].is_null().then_some(())
        })
        .await;
    for id in [&hung, &other] {
        server.ok("DeleteVM", json!({ "id": id, "force": true })).await;
    }
}

async fn stale(server: &Server, id: &str) -> Option<Value> {
    let vm = server.vm(id).await;
    (vm["status"]["stale"] == true).then_some(vm)
}

#[tokio::test(flavor = "multi_thread")]
async fn libvirtd_restarted_down_and_hung() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    let id = running(&server, "through").await;

    bed.act("restart", &[]);
    let begun = Instant::now();
    server.ready().await;
    server
        .until("the VM to be fresh", SOON, async || {
            let vm = server.vm(&id).await;
            (vm["status"]["stale"].is_null() && state_of(&vm) == "RUNNING").then_some(())
        })
        .await;
    let back = begun.elapsed();
    println!("R8: after a restart of libvirtd all was known again in {back:?}");
    assert!(back < Duration::from_secs(2), "it took {back:?}");

    // Down: reads are answered and marked, verbs refused at once, what was missed is found.
    bed.act("kill", &["KILL"]);
    let down = server.until("the picture to be marked stale", SOON, async || stale(&server, &id).await).await;
    assert_eq!(state_of(&down), "RUNNING");
    server.refused("PauseVM", json!({ "id": id }), "unavailable").await;
    let qemu = bed.qemu(&id);
    signal(qemu, rustix::process::Signal::KILL);
    bed.act("restart", &[]);
    let begun = Instant::now();
    server
        .until("what was missed to be found", SOON, async || {
            let vm = server.vm(&id).await;
            (vm["status"]["stale"].is_null() && state_of(&vm) != "RUNNING").then_some(())
        })
        .await;
    println!("R8: what was missed while libvirtd was down was found {:?} after its return", begun.elapsed());

    // Hung: told within five seconds, and back by itself.
    server.ready().await;
    server.ok("StartVM", json!({ "id": id })).await;
    let begun = Instant::now();
    bed.act("kill", &["STOP"]);
    let answer = server.call("PauseVM", json!({ "id": id })).await;
    let took = begun.elapsed();
    println!("R8: a verb under a hung libvirtd was answered {} after {took:?}", answer.code());
    assert_eq!(answer.code(), "unavailable", "{}", answer.body);
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    let soon = Duration::from_secs(1);
    server.until("the picture to be marked stale", soon, async || stale(&server, &id).await).await;
    bed.act("kill", &["CONT"]);
    server.until("the server to be back", SOON, async || stale(&server, &id).await.is_none().then_some(())).await;
    server.ready().await;
    server
        .until("the VM to be free", SOON, async || server.vm(&id).await["status"]["operation"].is_null().then_some(()))
        .await;
    server.ok("DeleteVM", json!({ "id": id, "force": true })).await;
}
