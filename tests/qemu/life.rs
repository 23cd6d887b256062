//! A guest's life through the public API, from an image on disk to nothing left.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::console::Console;
use crate::support::testbed::{Testbed, guest_disk, guest_kernel};
use crate::support::{SOON, Server};

/// An emulated boot on a busy machine.
const BOOT: Duration = Duration::from_secs(90);

fn id_of(vm: &Value) -> String {
    vm["id"].as_str().expect("a VM has an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_boots_from_its_disk_is_seen_suspended_restored_stopped_and_deleted_without_trace() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    // The pool is made on first use and stays; it is not the VM's.
    let first = server
        .ok(
            "CreateVM",
            json!({ "name": "first", "spec": { "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 },
            "disks": [{ "sizeGib": 1 }] } }),
        )
        .await;
    server.ok("DeleteVM", json!({ "id": id_of(&first), "deleteVolumes": true })).await;
    let before = bed.files();

    let vm = server
        .ok(
            "CreateVM",
            json!({ "name": "web-1", "startOnCreate": true, "spec": {
            "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 },
            "disks": [guest_disk()], "nics": [{}], "agent": { "enabled": false } } }),
        )
        .await;
    let id = id_of(&vm);
    assert_eq!(server.state(&id).await, "RUNNING");
    let console = Console::open(&bed.uri, &id);
    console.booted(BOOT).await;
    let address = server
        .until("the DHCP lease in status.ip_addresses", SOON, async || {
            server.vm(&id).await["status"]["ipAddresses"][0].as_str().map(str::to_owned)
        })
        .await;
    assert!(address.starts_with("192.168.122."), "{address} is not of the network \"default\"");

    // Memory: what is only there must survive.
    let mut read = console.until("login:", 0, SOON).await;
    console.line("root");
    read = console.until("#", read, SOON).await;
    console.line("M=kept-$((40+2)); echo said-$M");
    console.until("said-kept-42", read, SOON).await;
    let suspended = server.ok("SuspendVM", json!({ "id": id })).await;
    assert_eq!(suspended["status"]["state"], "SUSPENDED");
    let restored = server.ok("StartVM", json!({ "id": id })).await;
    assert_eq!(restored["status"]["state"], "RUNNING");
    let console = Console::open(&bed.uri, &id);
    console.line("echo still-$M");
    console.until("still-kept-42", 0, BOOT).await;

    let stopped = server.ok("StopVM", json!({ "id": id, "timeoutSec": 60 })).await;
    assert_eq!(stopped["status"]["state"], "STOPPED");
    assert!(console.text().contains("TINY-DOWN"), "ACPI did not reach the guest: {}", console.text());

    server.ok("DeleteVM", json!({ "id": id, "deleteVolumes": true })).await;
    server.refused("GetVM", json!({ "id": id }), "not_found").await;
    assert_eq!(bed.files(), before, "something is left of the VM, or something else went");
    assert_eq!(bed.virsh(&["list", "--all", "--name"]), "");
    let events = server.ok("ListVMEvents", json!({ "vmId": id })).await;
    let kinds: Vec<&str> =
        events["events"].as_array().expect("events").iter().rev().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds, ["vm.created", "vm.suspended", "vm.restored", "vm.stopped", "vm.deleted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_stops_and_reboots_its_guest_and_a_deaf_guest_is_told_of() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    let spec = |more: &str| json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 }, "nics": [{}], "boot": guest_kernel(more) });
    let heard =
        id_of(&server.ok("CreateVM", json!({ "name": "hears", "startOnCreate": true, "spec": spec("") })).await);
    let deaf = id_of(
        &server
            .ok("CreateVM", json!({ "name": "deaf", "startOnCreate": true, "spec": spec("tiny.noagent tiny.noacpi") }))
            .await,
    );
    let console = Console::open(&bed.uri, &heard);
    let read = console.booted(BOOT).await;
    // The lease and what the agent tells are one address.
    let told = server
        .until("the guest's address", SOON, async || {
            let vm = server.vm(&heard).await;
            vm["status"]["ipAddresses"].as_array().filter(|all| !all.is_empty()).cloned()
        })
        .await;
    assert!(told.iter().any(|ip| ip.as_str().is_some_and(|ip| ip.starts_with("192.168.122."))), "{told:?}");
    let rebooted = server.ok("RebootVM", json!({ "id": heard })).await;
    assert_eq!(rebooted["status"]["state"], "RUNNING");
    console.until("TINY-UP", read, BOOT).await;
    Console::open(&bed.uri, &deaf).booted(BOOT).await;

    let message = server.refused("StopVM", json!({ "id": deaf, "timeoutSec": 3 }), "deadline_exceeded").await;
    assert!(message.contains("deaf") && message.contains("force"), "{message}");
    assert_eq!(server.state(&deaf).await, "RUNNING");
    let off = server.ok("StopVM", json!({ "id": deaf, "force": true })).await;
    assert_eq!(off["status"]["state"], "STOPPED");
    let reset = server.ok("RebootVM", json!({ "id": heard, "force": true })).await;
    assert_eq!(reset["status"]["state"], "RUNNING");
    server.ok("DeleteVM", json!({ "id": heard, "force": true })).await;
    server.ok("DeleteVM", json!({ "id": deaf })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_outlive_the_server_and_start_with_the_host_in_their_order() {
    let bed = Testbed::new();
    let mut server = Server::on(&bed.uri).await;
    let id = id_of(
        &server
            .ok(
                "CreateVM",
                json!({ "name": "stays", "startOnCreate": true, "autostart": true,
                "spec": { "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 } } }),
            )
            .await,
    );
    let took = server.terminate();
    println!("R24: SIGTERM to the end took {took:?}");
    assert!(took < Duration::from_secs(10), "SIGTERM took {took:?}");
    assert_eq!(bed.virsh(&["domstate", &id]), "running");
    server.again().await;
    let vm = server.vm(&id).await;
    assert_eq!((&vm["status"]["state"], &vm["autostart"]), (&json!("RUNNING"), &json!(true)));
    server.ok("DeleteVM", json!({ "id": id, "force": true })).await;
}
