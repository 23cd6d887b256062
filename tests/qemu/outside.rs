//! What another libvirt client does shows up here, and what it made is never harmed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::testbed::Testbed;
use crate::support::{SOON, Server, state_of};

/// A VM as another tool defines it, with things in it that we do not know.
const FOREIGN: &str = "<domain type='qemu'>
  <name>theirs</name>
  <uuid>7e57ed00-0000-4000-8000-000000000001</uuid>
  <title>kept as it is</title>
  <metadata><app:thing xmlns:app='http://example.org/app'>theirs</app:thing></metadata>
  <memory unit='MiB'>256</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/><vmcoreinfo state='on'/></features>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>
</domain>";

const ID: &str = "7e57ed00-0000-4000-8000-000000000001";

async fn until(server: &Server, what: &str, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
    server
        .until(what, SOON, async || {
            let answer = server.call("GetVM", json!({ "id": id })).await;
            (answer.status == 200 && holds(&answer.body)).then_some(answer.body)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_of_virsh_is_found_followed_adopted_lost_and_defined_again() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    let file = bed.file("theirs.xml", FOREIGN);
    bed.virsh(&["define", &file]);
    let found = until(&server, "the defined VM", ID, |_| true).await;
    assert_eq!(found["origin"], "VM_ORIGIN_HOST_DISCOVERED");
    assert_eq!(found["isManaged"], Value::Null);
    bed.virsh(&["start", "theirs"]);
    until(&server, "it running", ID, |vm| state_of(vm) == "RUNNING").await;
    bed.virsh(&["suspend", "theirs"]);
    let paused = until(&server, "it paused", ID, |vm| state_of(vm) == "PAUSED").await;
    assert_eq!(paused["status"]["pausedReason"], "PAUSED_REASON_USER");
    bed.virsh(&["resume", "theirs"]);
    until(&server, "it running again", ID, |vm| state_of(vm) == "RUNNING").await;
    bed.virsh(&["destroy", "theirs"]);
    until(&server, "it stopped", ID, |vm| state_of(vm) == "STOPPED").await;
    bed.virsh(&["domrename", "theirs", "renamed"]);
    until(&server, "its new name", ID, |vm| vm["name"] == "renamed").await;
    bed.virsh(&["autostart", "renamed"]);
    until(&server, "autostart", ID, |vm| vm["autostart"] == true).await;

    // Labels of a found VM are ours alone until it is adopted.
    server.ok("UpdateVM", json!({ "id": ID, "labels": { "team": "a" } })).await;
    assert!(!bed.virsh(&["dumpxml", "--inactive", "renamed"]).contains("team"));
    server.ok("UpdateVM", json!({ "id": ID, "spec": { "memory": { "sizeMib": 512 } } })).await;
    let edited = bed.virsh(&["dumpxml", "--inactive", "renamed"]);
    for kept in ["kept as it is", "http://example.org/app", "<vmcoreinfo state='on'/>"] {
        assert!(edited.contains(kept), "{kept} did not survive:\n{edited}");
    }
    assert!(edited.contains("<memory unit='KiB'>524288</memory>"), "{edited}");
    let adopted = server.ok("AdoptVM", json!({ "id": ID })).await;
    assert_eq!((&adopted["origin"], &adopted["isManaged"]), (&json!("VM_ORIGIN_IMPORTED"), &json!(true)));
    server
        .until("our metadata in its definition", SOON, async || {
            let xml = bed.virsh(&["dumpxml", "--inactive", "renamed"]);
            (xml.contains("team") && xml.contains("http://example.org/app")).then_some(())
        })
        .await;

    bed.virsh(&["undefine", "renamed"]);
    let lost = until(&server, "it lost", ID, |vm| state_of(vm) == "LOST").await;
    assert_ne!(lost["status"]["lostReason"].as_str().unwrap_or_default(), "");
    server.refused("StartVM", json!({ "id": ID }), "failed_precondition").await;
    let again = server.ok("RedefineVM", json!({ "id": ID })).await;
    assert_eq!(state_of(&again), "STOPPED");
    assert!(bed.virsh(&["dumpxml", "--inactive", "renamed"]).contains("http://example.org/app"));

    // Forgotten here, it stays there, and is found again.
    server.ok("DeleteVM", json!({ "id": ID, "removeFromInventoryOnly": true })).await;
    assert_eq!(bed.virsh(&["domstate", "renamed"]), "shut off");
    bed.virsh(&["undefine", "renamed"]);
    server
        .until("it gone", SOON, async || (server.call("GetVM", json!({ "id": ID })).await.status == 404).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transient_vm_is_shown_and_goes_when_it_stops() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    let file = bed.file("theirs.xml", FOREIGN);
    bed.virsh(&["create", &file]);
    let found = until(&server, "the transient VM", ID, |vm| state_of(vm) == "RUNNING").await;
    let denied: Vec<&str> = found["allowedActions"]
        .as_array()
        .expect("actions")
        .iter()
        .filter(|action| action["allowed"] != true)
        .filter_map(|action| action["verb"].as_str())
        .collect();
    for verb in ["update", "delete", "suspend", "adopt"] {
        assert!(denied.contains(&verb), "{verb} is allowed on a transient VM; denied are {denied:?}");
    }
    server.refused("DeleteVM", json!({ "id": ID, "force": true }), "failed_precondition").await;
    server.ok("StopVM", json!({ "id": ID, "force": true })).await;
    server
        .until("it gone", SOON, async || (server.call("GetVM", json!({ "id": ID })).await.status == 404).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_virsh_waits_as_a_pending_change() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    let vm = server
        .ok(
            "CreateVM",
            json!({ "name": "edited", "startOnCreate": true,
            "spec": { "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 } } }),
        )
        .await;
    let id = vm["id"].as_str().expect("an id");
    bed.virsh(&["setmaxmem", id, "512M", "--config"]);
    bed.virsh(&["setmem", id, "512M", "--config"]);
    let pending = until(&server, "the pending change", id, |vm| {
        vm["status"]["pendingChanges"].to_string().contains("spec.memory.size_mib")
    })
    .await;
    let paths: Vec<&str> = pending["status"]["pendingChanges"]
        .as_array()
        .expect("changes")
        .iter()
        .filter_map(|change| change["path"].as_str())
        .collect();
    assert!(paths.contains(&"spec.memory.size_mib"), "{paths:?}");
    assert_eq!(pending["spec"]["memory"]["sizeMib"], "512");
    server.ok("StopVM", json!({ "id": id, "force": true })).await;
    until(&server, "nothing pending", id, |vm| vm["status"]["pendingChanges"].is_null()).await;
    server.ok("DeleteVM", json!({ "id": id })).await;
}

/// Names and states as `virsh` tells them, by id.
fn told_by_virsh(bed: &Testbed) -> BTreeMap<String, (String, String)> {
    let mut found = BTreeMap::new();
    for line in bed.virsh(&["list", "--all", "--uuid", "--name"]).lines() {
        let mut words = line.split_whitespace();
        let (Some(id), Some(name)) = (words.next(), words.next()) else { continue };
        let state = match bed.virsh(&["domstate", id]).as_str() {
            "running" => "RUNNING",
            "paused" => "PAUSED",
            "shut off" => "STOPPED",
            other => panic!("{name} is {other}"),
        };
        found.insert(id.to_owned(), (name.to_owned(), state.to_owned()));
    }
    found
}

async fn told_by_us(server: &Server) -> BTreeMap<String, (String, String)> {
    let list = server.ok("ListVMs", json!({ "pageSize": 1000 })).await;
    let vms = list["vms"].as_array().cloned().unwrap_or_default();
    vms.iter()
        .map(|vm| {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            (text(&vm["id"]), (text(&vm["name"]), state_of(vm)))
        })
        .collect()
}

/// R10: another administrator does as he likes, and a few verbs of ours go between.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_virsh_does_the_picture_agrees_within_five_seconds() {
    const BURSTS: usize = 12;
    let seed = std::env::var("QKVM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("R10: seed {seed} (QKVM_SEED repeats it)");
    let mut random = fastrand::Rng::with_seed(seed);
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    let ours = server
        .ok(
            "CreateVM",
            json!({ "name": "ours", "startOnCreate": true,
            "spec": { "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 } } }),
        )
        .await;
    let ours = ours["id"].as_str().expect("an id").to_owned();
    let (mut acts, mut slowest) = (0, Duration::ZERO);
    for burst in 0..BURSTS {
        for _ in 0..random.usize(1..8) {
            acts += 1;
            let number = random.u8(0..4);
            let id = format!("7e57ed00-0000-4000-8000-00000000001{number}");
            match random.u8(0..10) {
                0..3 => {
                    let memory = 64 * random.u32(4..9);
                    let text = FOREIGN
                        .replace(ID, &id)
                        .replace("<name>theirs</name>", &format!("<name>theirs-{number}</name>"))
                        .replace(">256</memory>", &format!(">{memory}</memory>"));
                    // Refused where it goes by another name by now.
                    bed.try_virsh(&["define", &bed.file(&format!("{number}.xml"), &text)]);
                }
                3 => drop(bed.try_virsh(&["undefine", &id])),
                4..6 => drop(bed.try_virsh(&["start", &id])),
                6 => drop(bed.try_virsh(&["destroy", &id])),
                7 => drop(bed.try_virsh(&["suspend", &id])),
                8 => drop(bed.try_virsh(&["domrename", &id, &format!("renamed-{number}-{acts}")])),
                _ => {
                    let verb = if random.bool() { "PauseVM" } else { "ResumeVM" };
                    server.call(verb, json!({ "id": id })).await;
                }
            }
        }
        let begun = Instant::now();
        server
            .until(&format!("the picture to agree after burst {burst}"), Duration::from_secs(5), async || {
                (told_by_us(&server).await == told_by_virsh(&bed)).then_some(())
            })
            .await;
        slowest = slowest.max(begun.elapsed());
    }
    assert_eq!(server.state(&ours).await, "RUNNING", "our own VM was touched");
    println!("R10: {acts} acts of virsh in {BURSTS} bursts; the picture agreed after {slowest:?} at most");
}
