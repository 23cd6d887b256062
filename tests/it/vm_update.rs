//! Updates and events: what a mask means, what a stale version means, and who is told of what.

use serde_json::{Value, json};

use crate::support::{SOON, Server, small_spec, state_of};

const DEV: &str = "11111111-1111-1111-1111-111111111111";
const WEB: &str = "22222222-2222-2222-2222-222222222222";

async fn create(server: &Server, name: &str) -> String {
    let body = json!({ "name": name, "description": "old", "labels": { "a": "1", "b": "2" }, "spec": small_spec() });
    server.ok("CreateVM", body).await["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mask_what_is_present_is_set_and_the_rest_stays() {
    let server = Server::demo().await;
    let id = create(&server, "subject").await;
    let before = server.vm(&id).await;
    let after = server.ok("UpdateVM", json!({ "id": id, "spec": { "memory": { "sizeMib": 512 } } })).await;
    assert_eq!((&after["spec"]["memory"]["sizeMib"], &after["spec"]["cpu"]["cores"]), (&json!("512"), &json!(1)));
    for same in ["name", "description", "labels", "createdAt", "id"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_ne!(after["resourceVersion"], before["resourceVersion"]);
    let after = server.ok("UpdateVM", json!({ "id": id, "labels": { "c": "3" }, "autostart": true })).await;
    assert_eq!(
        (&after["labels"], &after["autostart"]),
        (&json!({ "c": "3" }), &json!(true)),
        "maps are replaced whole"
    );
    assert_eq!(after["description"], "old");
    let same = server.ok("UpdateVM", json!({ "id": id, "labels": { "c": "3" } })).await;
    assert_eq!(same["resourceVersion"], after["resourceVersion"], "nothing changed");
    assert!(server.ok("UpdateVM", json!({ "id": id, "autostart": false })).await["autostart"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_mask_exactly_what_it_names_is_set_and_empty_clears() {
    let server = Server::demo().await;
    let id = create(&server, "subject").await;
    let set = json!({ "id": id, "updateMask": "description,startOrder,startDelaySec,autostart", "description": "new",
        "name": "not-named", "labels": { "z": "9" }, "startOrder": 7, "startDelaySec": 30, "autostart": true });
    let after = server.ok("UpdateVM", set).await;
    assert_eq!((&after["description"], &after["name"]), (&json!("new"), &json!("subject")));
    assert_eq!(after["labels"], json!({ "a": "1", "b": "2" }));
    assert_eq!(
        (&after["startOrder"], &after["startDelaySec"], &after["autostart"]),
        (&json!(7), &json!(30), &json!(true))
    );
    let cleared = server
        .ok("UpdateVM", json!({ "id": id, "updateMask": "description,labels,startOrder,startDelaySec,autostart" }))
        .await;
    for gone in ["description", "labels", "startOrder", "startDelaySec", "autostart"] {
        assert!(cleared[gone].is_null(), "{gone} was not cleared: {cleared}");
    }
    let after = server
        .ok("UpdateVM", json!({ "id": id, "updateMask": "spec.cpu.cores", "spec": { "cpu": { "cores": 2 }, "memory": { "sizeMib": 4096 } } }))
        .await;
    assert_eq!((&after["spec"]["cpu"]["cores"], &after["spec"]["memory"]["sizeMib"]), (&json!(2), &json!("256")));
    let mixed = server.ok("UpdateVM", json!({ "id": id, "update_mask": "name,spec.memory.sizeMib", "name": "renamed", "spec": { "memory": { "sizeMib": 300 } } })).await;
    assert_eq!((&mixed["name"], &mixed["spec"]["memory"]["sizeMib"]), (&json!("renamed"), &json!("300")));
    // A required value cannot be cleared; a name neither.
    for (mask, field) in [("spec.cpu.cores", "spec.cpu.cores"), ("name", "name")] {
        let message = server.refused("UpdateVM", json!({ "id": id, "updateMask": mask }), "invalid_argument").await;
        assert!(message.starts_with(&format!("{field}: ")), "{message}");
    }
    for path in ["status", "spec.memory.max", "id", "resourceVersion", "spec.disks.sizeGib"] {
        let message = server.refused("UpdateVM", json!({ "id": id, "updateMask": path }), "invalid_argument").await;
        assert!(message.starts_with("update_mask: "), "{path}: {message}");
    }
    let delay = json!({ "id": id, "startDelaySec": 3601, "labels": { "k": "v".repeat(256) } });
    let message = server.refused("UpdateVM", delay, "invalid_argument").await;
    assert!(message.contains("start_delay_sec: ") && message.contains("labels[\"k\"]: "), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_version_is_refused_and_nothing_is_lost() {
    let server = Server::demo().await;
    let seen = server.vm(DEV).await;
    let version = seen["resourceVersion"].clone();
    let first = json!({ "id": DEV, "resourceVersion": version, "description": "first" });
    let after = server.ok("UpdateVM", first).await;
    assert_ne!(after["resourceVersion"], version);
    for late in [
        json!({ "id": DEV, "resourceVersion": version, "description": "second" }),
        json!({ "id": DEV, "resourceVersion": version, "spec": { "cpu": { "cores": 4 } } }),
        json!({ "id": DEV, "resourceVersion": "no-such", "name": "x" }),
    ] {
        let message = server.refused("UpdateVM", late, "aborted").await;
        assert!(message.starts_with("resource_version: ") && message.contains("dev-workstation"), "{message}");
    }
    let now = server.vm(DEV).await;
    assert_eq!((&now["description"], &now["spec"]), (&json!("first"), &seen["spec"]));

    // Ten writers with one version: one of them wins.
    let version = now["resourceVersion"].clone();
    let all = futures::future::join_all((0..10).map(|index| {
        server.call(
            "UpdateVM",
            json!({ "id": DEV, "resourceVersion": version, "description": format!("writer {index}") }),
        )
    }))
    .await;
    let won: Vec<&Value> = all.iter().filter(|answer| answer.status == 200).map(|answer| &answer.body).collect();
    assert_eq!(won.len(), 1, "{all:?}");
    assert!(all.iter().all(|answer| answer.status == 200 || answer.code() == "aborted"), "{all:?}");
    assert_eq!(server.vm(DEV).await["description"], won[0]["description"]);
    // A state is no version.
    let started = server.ok("StartVM", json!({ "id": DEV })).await;
    assert_eq!(started["resourceVersion"], won[0]["resourceVersion"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_vm_shows_what_waits_for_its_next_start() {
    let server = Server::demo().await;
    let body = json!({ "name": "live", "startOnCreate": true, "spec": { "cpu": { "cores": 1, "maxCores": 4 }, "memory": { "sizeMib": 512, "maxMemoryMib": 1024 } } });
    let vm = server.ok("CreateVM", body).await;
    // Within its maximum it is applied; beyond, it waits.
    let live = server
        .ok("UpdateVM", json!({ "id": vm["id"], "spec": { "cpu": { "cores": 2 }, "memory": { "sizeMib": 1024 } } }))
        .await;
    assert!(live["status"]["pendingChanges"].is_null(), "{live}");
    let waits = server
        .ok(
            "UpdateVM",
            json!({ "id": vm["id"], "spec": { "boot": { "bootMenu": true }, "cpu": { "cores": 8, "maxCores": 8 } } }),
        )
        .await;
    let paths: Vec<&str> = waits["status"]["pendingChanges"]
        .as_array()
        .expect("changes")
        .iter()
        .filter_map(|change| change["path"].as_str())
        .collect();
    assert!(paths.contains(&"spec.cpu.max_cores"), "{waits}");
    assert_eq!((&waits["spec"]["cpu"]["cores"], state_of(&waits).as_str()), (&json!(8), "RUNNING"));
    let off = server.ok("StopVM", json!({ "id": vm["id"], "force": true })).await;
    assert!(off["status"]["pendingChanges"].is_null(), "{off}");
    let again = server.ok("StartVM", json!({ "id": vm["id"] })).await;
    assert!(again["status"]["pendingChanges"].is_null() && again["spec"]["cpu"]["cores"] == 8, "{again}");
}

fn kinds(events: &Value) -> Vec<String> {
    let none = Vec::new();
    let events = events["events"].as_array().unwrap_or(&none);
    events.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_kept_newest_first_and_outlive_their_vm() {
    let server = Server::demo().await;
    let id = create(&server, "eventful").await;
    for method in ["StartVM", "PauseVM", "ResumeVM", "SuspendVM", "StartVM", "RebootVM", "StopVM"] {
        server.ok(method, json!({ "id": id })).await;
    }
    server.ok("UpdateVM", json!({ "id": id, "description": "new" })).await;
    let middle = server.ok("ListVMEvents", json!({ "vmId": id, "limit": 1 })).await["events"][0]["createdAt"].clone();
    server.ok("DeleteVM", json!({ "id": id })).await;
    let all = server.ok("ListVMEvents", json!({ "vmId": id })).await;
    let wanted = [
        "vm.deleted",
        "vm.updated",
        "vm.stopped",
        "vm.rebooted",
        "vm.restored",
        "vm.suspended",
        "vm.resumed",
        "vm.paused",
        "vm.started",
        "vm.created",
    ];
    assert_eq!(kinds(&all), wanted);
    let sequence: Vec<u64> = all["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| event["id"].as_str().expect("an id").parse().expect("a number"))
        .collect();
    assert!(sequence.is_sorted_by(|newer, older| newer > older), "{sequence:?}");
    for event in all["events"].as_array().expect("events") {
        assert_eq!((&event["vmId"], &event["user"], &event["severity"]), (&json!(id), &json!("demo"), &json!("INFO")));
        assert!(event["message"].as_str().is_some_and(|told| told.contains("eventful")), "{event}");
        let at = event["createdAt"].as_str().expect("a moment");
        assert!(at.len() == 24 && at.ends_with('Z') && at.contains('.'), "{at}");
    }
    let asked = async |filter: Value| {
        let mut body = json!({ "vmId": id });
        body.as_object_mut().expect("an object").extend(filter.as_object().expect("an object").clone());
        kinds(&server.ok("ListVMEvents", body).await)
    };
    assert_eq!(asked(json!({ "limit": 3 })).await, wanted[..3]);
    assert_eq!(asked(json!({ "type": "vm.paused" })).await, ["vm.paused"]);
    assert_eq!(asked(json!({ "type": "vm.nonsense" })).await, Vec::<String>::new());
    assert_eq!(asked(json!({ "severity": "ERROR" })).await, Vec::<String>::new());
    assert_eq!(asked(json!({ "severity": "INFO" })).await.len(), wanted.len());
    assert_eq!(asked(json!({ "since": "2020-01-01T00:00:00Z" })).await.len(), wanted.len());
    assert_eq!(asked(json!({ "since": "2999-01-01T00:00:00Z" })).await.len(), 0);
    let since = asked(json!({ "since": middle })).await;
    assert!(
        since.first().is_some_and(|kind| kind == "vm.deleted") && since.len() < wanted.len(),
        "since {middle}: {since:?}"
    );
    for (wrong, field) in [
        (json!({ "vmId": id, "limit": 1001 }), "limit"),
        (json!({ "vmId": id, "limit": -1 }), "limit"),
        (json!({ "vmId": id, "severity": "info" }), "severity"),
        (json!({ "vmId": id, "since": "yesterday" }), "since"),
    ] {
        let message = server.refused("ListVMEvents", wrong, "invalid_argument").await;
        assert!(message.starts_with(&format!("{field}: ")), "{message}");
    }
    // What is refused at the door is no event; what failed on the way is one.
    let count = kinds(&server.ok("ListVMEvents", json!({ "vmId": WEB })).await).len();
    server.refused("StartVM", json!({ "id": WEB }), "failed_precondition").await;
    assert_eq!(kinds(&server.ok("ListVMEvents", json!({ "vmId": WEB })).await).len(), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_fails_leaves_nothing_but_its_reason() {
    let server = Server::demo().await;
    // The pool of the demo has not this much room.
    let body = json!({ "name": "huge", "spec": { "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 },
        "disks": [{ "sizeGib": 1 }, { "sizeGib": 65536, "provisioning": "THICK_EAGER" }] } });
    let message = server.refused("CreateVM", body.clone(), "resource_exhausted").await;
    assert!(message.contains("65536") || message.contains("64 TiB"), "needed is not named: {message}");
    server
        .until("nothing of it to be left", SOON, async || {
            (server.ok("ListVMs", json!({})).await["totalCount"] == 4).then_some(())
        })
        .await;
    let missing = json!({ "name": "lonely", "spec": { "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 }, "nics": [{ "networkId": "nowhere" }] } });
    let answer = server.call("CreateVM", missing).await;
    assert!(
        ["failed_precondition", "not_found"].contains(&answer.code()) && answer.message().contains("nowhere"),
        "{answer:?}"
    );
    assert_eq!(server.ok("ListVMs", json!({})).await["totalCount"], 4);
}
