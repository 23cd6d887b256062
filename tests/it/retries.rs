//! The same request twice, clients that leave, verbs that meet: one effect, one answer.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, SOON, Server, small_spec, state_of};

const DEV: &str = "11111111-1111-1111-1111-111111111111";
const WEB: &str = "22222222-2222-2222-2222-222222222222";
const NODE: &str = "d0000000-0000-4000-8000-000000000003";

async fn keyed(server: &Server, key: &str, method: &str, body: &Value) -> Answer {
    server.call_with(method, body.clone(), &[("Idempotency-Key", key)]).await
}

async fn total(server: &Server) -> u64 {
    server.ok("ListVMs", json!({})).await["totalCount"].as_u64().unwrap_or_default()
}

async fn persistent(home: &tempfile::TempDir) -> Server {
    Server::start(Some(&home.path().join("data")), &["--libvirt-uri", "test:///default"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_under_one_key_make_one_vm_and_hear_one_answer() {
    let server = Server::demo().await;
    let body = json!({ "name": "once", "labels": { "b": "2", "a": "1" }, "spec": small_spec() });
    let all = futures::future::join_all((0..20).map(|_| keyed(&server, "k-1", "CreateVM", &body))).await;
    for answer in &all {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body, all[0].body, "another answer under the same key");
    }
    assert_eq!(total(&server).await, 5);
    // The same request in another spelling is the same request.
    let spelled = json!({ "spec": { "memory": { "size_mib": "256" }, "cpu": { "cores": 1 } }, "labels": { "a": "1", "b": "2" }, "name": "once" });
    assert_eq!(keyed(&server, "k-1", "CreateVM", &spelled).await.body, all[0].body);
    let message = keyed(&server, "k-1", "CreateVM", &json!({ "name": "other", "spec": small_spec() })).await;
    assert_eq!(message.code(), "invalid_argument");
    assert!(message.message().starts_with("Idempotency-Key: "), "{}", message.message());
    // Under another method the key is another one.
    assert_eq!(keyed(&server, "k-1", "StartVM", &json!({ "id": DEV })).await.status, 200);
    // Without a key, or with a fresh one, the name is taken.
    assert_eq!(server.call("CreateVM", body.clone()).await.code(), "already_exists");
    assert_eq!(keyed(&server, "k-2", "CreateVM", &body).await.code(), "already_exists");
    let long = "k".repeat(256);
    for bad in ["", "a b", long.as_str()] {
        let answer = keyed(&server, bad, "PauseVM", &json!({ "id": WEB })).await;
        assert_eq!(answer.code(), "invalid_argument", "{bad:?}");
    }
    assert_eq!(server.state(WEB).await, "RUNNING");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_is_done_once_under_its_key() {
    let server = Server::demo().await;
    let calls = [
        ("StartVM", json!({ "id": DEV })),
        ("PauseVM", json!({ "id": DEV })),
        ("ResumeVM", json!({ "id": DEV })),
        ("RebootVM", json!({ "id": DEV })),
        ("SuspendVM", json!({ "id": DEV })),
        ("StopVM", json!({ "id": DEV, "force": true })),
        ("UpdateVM", json!({ "id": DEV, "description": "once" })),
        ("UpdateVM", json!({ "id": DEV, "autostart": true })),
        ("UpdateVM", json!({ "id": DEV, "spec": { "memory": { "sizeMib": 512 } } })),
        ("DisableNode", json!({ "id": NODE, "reason": "dust" })),
        ("EnableNode", json!({ "id": NODE })),
        ("UpdateLabels", json!({ "nodeId": NODE, "addLabels": { "x": "1" } })),
        ("UpdateNode", json!({ "id": NODE, "scheduling": { "schedulable": true, "overcommit": { "cpuRatio": 2 } } })),
        ("RegisterNode", json!({ "hostname": "hv-9", "managementIp": "192.0.2.9" })),
        ("DrainNode", json!({ "id": NODE })),
        ("DecommissionNode", json!({ "id": NODE })),
        ("DeleteVM", json!({ "id": DEV })),
        ("DeleteVM", json!({ "id": WEB, "removeFromInventoryOnly": true })),
    ];
    for (index, (method, body)) in calls.iter().enumerate() {
        let key = format!("verb-{index}");
        let first = keyed(&server, &key, method, body).await;
        assert_eq!(first.status, 200, "{method} {body}: {}", first.body);
        let again = keyed(&server, &key, method, body).await;
        assert_eq!((again.status, &again.body), (200, &first.body), "{method} {body} again");
        let mut other = body.clone();
        other["force"] = json!(true);
        other["description"] = json!("another");
        other["hostname"] = json!("another");
        other["reason"] = json!("another");
        other["addLabels"] = json!({ "another": "1" });
        other["role"] = json!({ "storage": true });
        // Those that have nothing else to say than the id are the same request.
        let is_other =
            !["StartVM", "PauseVM", "ResumeVM", "SuspendVM", "EnableNode"].contains(method) && body["force"] != true;
        if is_other {
            let answer = keyed(&server, &key, method, &other).await;
            assert!(
                answer.code() == "invalid_argument" || answer.code() == "not_found",
                "{method} with another body: {}",
                answer.body
            );
        }
    }
    let events = server.ok("ListVMEvents", json!({ "vmId": DEV })).await;
    let kinds: Vec<&str> =
        events["events"].as_array().expect("events").iter().rev().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "vm.started",
            "vm.paused",
            "vm.resumed",
            "vm.rebooted",
            "vm.suspended",
            "vm.saved_memory_dropped",
            "vm.updated",
            "vm.updated",
            "vm.deleted"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_at_the_door_is_judged_anew() {
    let server = Server::demo().await;
    let resume = json!({ "id": WEB });
    assert_eq!(keyed(&server, "k", "ResumeVM", &resume).await.code(), "failed_precondition");
    server.ok("PauseVM", json!({ "id": WEB })).await;
    assert_eq!(keyed(&server, "k", "ResumeVM", &resume).await.status, 200);
    server.ok("PauseVM", json!({ "id": WEB })).await;
    // Now it is answered, and not done again.
    assert_eq!(keyed(&server, "k", "ResumeVM", &resume).await.status, 200);
    assert_eq!(server.state(WEB).await, "PAUSED");
    let invalid = json!({ "name": "-", "spec": small_spec() });
    assert_eq!(keyed(&server, "c", "CreateVM", &invalid).await.code(), "invalid_argument");
    assert_eq!(keyed(&server, "c", "CreateVM", &json!({ "name": "good", "spec": small_spec() })).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_known_after_a_crash() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut server = persistent(&home).await;
    let create = json!({ "name": "kept", "spec": small_spec() });
    let made = keyed(&server, "create", "CreateVM", &create).await;
    let id = made.body["id"].clone();
    let started = keyed(&server, "start", "StartVM", &json!({ "id": id })).await;
    let register = json!({ "hostname": "hv-9", "managementIp": "192.0.2.9" });
    let registered = keyed(&server, "register", "RegisterNode", &register).await;
    let node = registered.body["id"].clone();
    let gone = keyed(&server, "gone", "DecommissionNode", &json!({ "id": node })).await;
    for answer in [&made, &started, &registered, &gone] {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    server.kill();
    server.again().await;
    assert_eq!(keyed(&server, "create", "CreateVM", &create).await.body, made.body);
    assert_eq!(keyed(&server, "start", "StartVM", &json!({ "id": id })).await.body, started.body);
    assert_eq!(keyed(&server, "register", "RegisterNode", &register).await.body, registered.body);
    assert_eq!(keyed(&server, "gone", "DecommissionNode", &json!({ "id": node })).await.body, gone.body);
    let other = keyed(&server, "create", "CreateVM", &json!({ "name": "kept-2", "spec": small_spec() })).await;
    assert_eq!(other.code(), "invalid_argument", "{}", other.body);
    // libvirt's own VM and ours, whose host is gone: nothing was made again.
    assert_eq!(total(&server).await, 2);
    assert_eq!(server.state(id.as_str().expect("an id")).await, "LOST");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_midst_of_creations_leaves_each_key_one_answer() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut server = persistent(&home).await;
    let body = |index: usize| json!({ "name": format!("mid-{index}"), "spec": small_spec() });
    let begun = std::time::Instant::now();
    let mut answered = Vec::new();
    {
        let calls = (0..24).map(|index| {
            let (server, body) = (&server, body(index));
            async move {
                let key = format!("mid-{index}");
                (index, server.try_call("CreateVM", &body, &[("Idempotency-Key", &key)]).await)
            }
        });
        let mut calls: futures::stream::FuturesUnordered<_> = calls.collect();
        // The first few answers, then the end.
        for _ in 0..5 {
            if let Some((index, Ok(answer))) = futures::StreamExt::next(&mut calls).await {
                answered.push((index, answer));
            }
        }
    }
    server.kill();
    server.again().await;
    for (index, first) in answered {
        let again = keyed(&server, &format!("mid-{index}"), "CreateVM", &body(index)).await;
        assert_eq!(again.body, first.body, "VM {index} was acknowledged");
    }
    // What was undone is done now, under its own key, and once.
    for index in 0..24 {
        server
            .until("the interrupted creation to be done", SOON, async || {
                (keyed(&server, &format!("mid-{index}"), "CreateVM", &body(index)).await.status == 200).then_some(())
            })
            .await;
    }
    let listed = server.ok("ListVMs", json!({ "pageSize": 1000 })).await;
    for index in 0..24 {
        let name = format!("mid-{index}");
        let count = listed["vms"].as_array().expect("VMs").iter().filter(|vm| vm["name"] == name.as_str()).count();
        assert_eq!(count, 1, "{name}");
    }
    println!("R20: 24 creations, killed after five answers, retried under their keys: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_has_left_behind_is_finished() {
    let server = Server::demo().await;
    let mut unheard = 0;
    for index in 0..20_u64 {
        let name = format!("left-{index}");
        let body = json!({ "name": name, "startOnCreate": true, "spec": { "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 }, "disks": [{ "sizeGib": 1 }] } });
        let call = server.try_call("CreateVM", &body, &[]);
        // Dropped at ever later moments of the creation.
        unheard += u64::from(tokio::time::timeout(Duration::from_millis(index * 2), call).await.is_err());
    }
    assert!(unheard > 0, "every answer came in time");
    // No half VM, nothing in flight: what arrived was made whole and runs.
    let seen = server
        .until("everything to be settled", SOON, async || {
            let running = server.ok("ListOperations", json!({ "states": ["STATE_RUNNING"] })).await;
            let listed = server.ok("ListVMs", json!({ "pageSize": 1000 })).await;
            let left: Vec<Value> = listed["vms"]
                .as_array()?
                .iter()
                .filter(|vm| vm["name"].as_str().is_some_and(|name| name.starts_with("left-")))
                .cloned()
                .collect();
            (running["operations"].is_null() && left.iter().all(|vm| vm["status"]["operation"].is_null()))
                .then_some(left)
        })
        .await;
    for vm in &seen {
        assert_eq!(state_of(vm), "RUNNING", "{vm}");
        let ended = server.ok("ListOperations", json!({ "resourceId": vm["id"] })).await;
        assert_eq!(
            (&ended["operations"][0]["verb"], &ended["operations"][0]["state"]),
            (&json!("create"), &json!("STATE_SUCCEEDED"))
        );
    }
    println!("R22: of 20 creations, {unheard} were left by their client; {} VMs are there, each whole", seen.len());
    assert!(seen.len() as u64 >= 20 - unheard);
}
