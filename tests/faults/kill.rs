//! R1: the whole program is killed at random moments under a mixed load, on real QEMU, and what is
//! there after each restart is compared with what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::testbed::Testbed;
use crate::support::{SOON, Server};

/// What the clients know of one VM.
#[derive(Debug, Clone, Default)]
struct Known {
    name: String,
    id: Option<String>,
    created: bool,
    /// A deletion was sent; true: acknowledged.
    deleted: Option<bool>,
    /// Descriptions acknowledged last, and those sent since.
    description: String,
    maybe: Vec<String>,
    /// Power state acknowledged last, and whether a change was sent since.
    running: bool,
    power_open: bool,
}

type Ledger = Arc<Mutex<BTreeMap<String, Known>>>;

fn note(ledger: &Ledger, name: &str, change: impl FnOnce(&mut Known)) {
    change(ledger.lock().expect("the ledger").entry(name.to_owned()).or_default());
}

/// Whether a verb was refused for the state that the VM is in, before it did anything.
fn is_refusal(answer: &Value) -> bool {
    let message = answer["message"].as_str().unwrap_or_default();
    answer["code"] == "failed_precondition" && (message.contains("is already") || message.contains("needs a VM"))
}

/// Whether libvirt did not answer for a while, as on a host that is too busy: nothing was promised,
/// and what was begun is finished or undone.
fn is_away(answer: &Value) -> bool {
    answer["code"] == "unavailable"
}

/// Delete a VM on which nobody else works, and go on until it is acknowledged or known to be gone.
async fn delete(server: &Server, vm: &Value) {
    let body = json!({ "id": vm["id"], "force": true, "deleteVolumes": true });
    server
        .until(&format!("{} to be deleted", vm["name"]), SOON, async || {
            let answer = server.call("DeleteVM", body.clone()).await;
            match (answer.status, answer.code()) {
                // Recovery has finished one that was begun.
                (200, _) | (_, "not_found") => Some(()),
                _ if is_away(&answer.body) || answer.code() == "aborted" => None,
                _ => panic!("{}: {}\n{}", vm["name"], answer.body, server.log()),
            }
        })
        .await;
}

/// One client: makes a VM and works on it until the server is gone.
async fn client(http: reqwest::Client, url: String, name: String, ledger: Ledger, mut random: fastrand::Rng) {
    let call = async |method: &str, body: Value| -> Option<(u16, Value)> {
        let answer = http
            .post(format!("{url}/Quantixkvm.compute.v1.VMService/{method}"))
            .header("Content-Type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .ok()?;
        let status = answer.status().as_u16();
        Some((status, serde_json::from_str(&answer.text().await.ok()?).ok()?))
    };
    note(&ledger, &name, |known| known.name.clone_from(&name));
    let spec = json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 }, "disks": [{ "sizeGib": 1 }] });
    let Some((200, vm)) = call("CreateVM", json!({ "name": name, "spec": spec })).await else { return };
    let id = vm["id"].as_str().expect("an id").to_owned();
    note(&ledger, &name, |known| {
        known.created = true;
        known.id = Some(id.clone());
    });
    for round in 0.. {
        match random.u8(0..10) {
            0..5 => {
                let text = format!("{name} {round}");
                note(&ledger, &name, |known| known.maybe.push(text.clone()));
                let Some((status, _)) = call("UpdateVM", json!({ "id": id, "description": text })).await else {
                    return;
                };
                if status == 200 {
                    note(&ledger, &name, |known| {
                        known.description = text;
                        known.maybe.clear();
                    });
                }
            }
            5..9 => {
                let start = random.bool();
                note(&ledger, &name, |known| known.power_open = true);
                let (method, body) = if start {
                    ("StartVM", json!({ "id": id }))
                } else {
                    ("StopVM", json!({ "id": id, "force": true }))
                };
                let Some((status, answer)) = call(method, body).await else { return };
                note(&ledger, &name, |known| {
                    if status == 200 {
                        known.running = start;
                    }
                    // Of one that failed underway nothing was promised: it may yet have its effect.
                    known.power_open = status != 200 && !is_refusal(&answer);
                });
            }
            _ => {
                note(&ledger, &name, |known| known.deleted = Some(false));
                let body = json!({ "id": id, "force": true, "deleteVolumes": true });
                let Some((status, answer)) = call("DeleteVM", body).await else { return };
                if status == 200 {
                    note(&ledger, &name, |known| known.deleted = Some(true));
                } else {
                    assert!(is_away(&answer), "nobody else works on {name}: {answer}");
                }
                return;
            }
        }
    }
}

/// Compare what is there with what was acknowledged.
async fn compare(server: &Server, bed: &Testbed, ledger: &Ledger, round: usize) {
    server
        .until("interrupted operations to be finished or undone", SOON, async || {
            let answer = server.call("ListOperations", json!({ "states": ["STATE_RUNNING"] })).await;
            answer.body["operations"].is_null().then_some(())
        })
        .await;
    let listed = server.ok("ListVMs", json!({ "pageSize": 1000 })).await;
    let vms: BTreeMap<String, Value> = listed["vms"]
        .as_array()
        .cloned()
        .unwrap_or_default()
        .into_iter()
        .map(|vm| (vm["name"].as_str().expect("a name").to_owned(), vm))
        .collect();
    let ledger = ledger.lock().expect("the ledger").clone();
    let mut disks = BTreeSet::new();
    for known in ledger.values() {
        let name = &known.name;
        match (vms.get(name), known.created, known.deleted) {
            (Some(_), _, Some(true)) => panic!("round {round}: {name} was deleted and is back"),
            (None, true, None) => panic!("round {round}: {name} was created and is lost"),
            (Some(vm), created, _) => {
                assert_ne!(vm["status"]["state"], "PROVISIONING", "round {round}: {name} is half made");
                assert_ne!(vm["status"]["state"], "LOST", "round {round}: {name} has lost its definition");
                disks.extend(vm["spec"]["disks"].as_array().into_iter().flatten().map(|disk| disk["path"].to_string()));
                if created && known.deleted.is_none() {
                    let text = vm["description"].as_str().unwrap_or_default();
                    assert!(
                        text == known.description || known.maybe.iter().any(|maybe| maybe == text),
                        "round {round}: {name} says {text:?}; acknowledged was {:?}, sent {:?}",
                        known.description,
                        known.maybe
                    );
                    if !known.power_open {
                        let running = vm["status"]["state"] == "RUNNING";
                        assert_eq!(running, known.running, "round {round}: {name} is {}", vm["status"]["state"]);
                    }
                }
            }
            (None, _, _) => {}
        }
    }
    let ours: BTreeSet<String> = vms.values().map(|vm| vm["id"].as_str().expect("an id").to_owned()).collect();
    let theirs: BTreeSet<String> =
        bed.virsh(&["list", "--all", "--uuid"]).split_whitespace().map(str::to_owned).collect();
    assert_eq!(ours, theirs, "round {round}: records and libvirt's definitions differ");
    let volumes: BTreeSet<String> = match bed.try_virsh(&["vol-list", "default"]) {
        done if done.status.success() => String::from_utf8_lossy(&done.stdout)
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1).map(|path| format!("{path:?}")))
            .collect(),
        _ => BTreeSet::new(),
    };
    assert_eq!(disks, volumes, "round {round}: the VMs' disks and the pool's volumes differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_under_a_mixed_load() {
    let rounds = if std::env::var_os("QKVM_LONG").is_some() { 200 } else { 40 };
    let seed = std::env::var("QKVM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("R1: seed {seed} (QKVM_SEED repeats it)");
    let mut random = fastrand::Rng::with_seed(seed);
    let bed = Testbed::new();
    let mut server = Server::on(&bed.uri).await;
    let ledger = Ledger::default();
    let mut made = 0;
    for round in 0..rounds {
        // Few at a time, so that the host is busy and not full.
        let crowd = server.ok("ListVMs", json!({ "pageSize": 1000 })).await;
        for vm in crowd["vms"].as_array().into_iter().flatten().filter(|_| random.bool()) {
            let name = vm["name"].as_str().expect("a name");
            delete(&server, vm).await;
            note(&ledger, name, |known| known.deleted = Some(true));
        }
        let clients: Vec<_> = (0..4)
            .map(|_| {
                made += 1;
                let name = format!("vm-{made}");
                tokio::spawn(client(server.http.clone(), server.url.clone(), name, Arc::clone(&ledger), random.fork()))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(random.u64(5..1200))).await;
        server.kill();
        for client in clients {
            client.await.expect("the client does not fail");
        }
        server.again().await;
        compare(&server, &bed, &ledger, round).await;
    }
    let known = ledger.lock().expect("the ledger");
    let (created, deleted) = (
        known.values().filter(|known| known.created).count(),
        known.values().filter(|known| known.deleted == Some(true)).count(),
    );
    println!(
        "R1: {rounds} kills, {made} creations sent, {created} acknowledged, {deleted} deletions acknowledged: \
         0 lost, 0 back, 0 orphans, 0 unfinished"
    );
}
