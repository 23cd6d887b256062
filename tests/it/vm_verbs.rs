//! Every verb from every state that the test driver can reach: what `allowed_actions` says is what
//! happens, in the very words.

use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::support::{SOON, Server, small_spec, state_of};

const VERBS: [&str; 13] = [
    "start",
    "stop",
    "force_stop",
    "reboot",
    "reset",
    "pause",
    "resume",
    "suspend",
    "update",
    "delete",
    "force_delete",
    "adopt",
    "redefine",
];

/// The call that asks for a verb.
pub fn call_of(verb: &str, id: &str) -> (&'static str, Value) {
    match verb {
        "start" => ("StartVM", json!({ "id": id })),
        "stop" => ("StopVM", json!({ "id": id, "timeoutSec": 30 })),
        "force_stop" => ("StopVM", json!({ "id": id, "force": true })),
        "reboot" => ("RebootVM", json!({ "id": id })),
        "reset" => ("RebootVM", json!({ "id": id, "force": true })),
        "pause" => ("PauseVM", json!({ "id": id })),
        "resume" => ("ResumeVM", json!({ "id": id })),
        "suspend" => ("SuspendVM", json!({ "id": id })),
        "update" => ("UpdateVM", json!({ "id": id, "spec": { "memory": { "sizeMib": 300 } } })),
        "delete" => ("DeleteVM", json!({ "id": id })),
        "force_delete" => ("DeleteVM", json!({ "id": id, "force": true })),
        "adopt" => ("AdoptVM", json!({ "id": id })),
        "redefine" => ("RedefineVM", json!({ "id": id })),
        other => panic!("{other} is no verb"),
    }
}

fn action<'a>(vm: &'a Value, verb: &str) -> &'a Value {
    let actions = vm["allowedActions"].as_array().expect("actions");
    actions.iter().find(|action| action["verb"] == verb).unwrap_or_else(|| panic!("{verb} is not listed in {vm}"))
}

/// Where a verb leads; `None`: nothing is left.
fn leads_to<'a>(verb: &str, from: &'a str) -> Option<&'a str> {
    match verb {
        "start" | "resume" => Some("RUNNING"),
        "stop" | "force_stop" => Some("STOPPED"),
        "pause" => Some("PAUSED"),
        "suspend" => Some("SUSPENDED"),
        "delete" | "force_delete" => None,
        "redefine" => Some("STOPPED"),
        _ => Some(from),
    }
}

/// A new VM in this state.
async fn vm_in(server: &Server, state: &str, name: &str) -> Value {
    let wanted = json!({ "name": name, "startOnCreate": state != "STOPPED", "spec": small_spec() });
    let vm = server.ok("CreateVM", wanted).await;
    let id = json!({ "id": vm["id"] });
    let vm = match state {
        "STOPPED" | "RUNNING" => vm,
        "PAUSED" => server.ok("PauseVM", id).await,
        "SUSPENDED" => server.ok("SuspendVM", id).await,
        other => panic!("{other} cannot be reached by a verb"),
    };
    assert_eq!(state_of(&vm), state);
    vm
}

/// Ask for `verb` and compare what happens with what was announced; answers whether it was allowed.
async fn tried(server: &Server, vm: &Value, verb: &str) -> bool {
    let id = vm["id"].as_str().expect("an id");
    let from = state_of(vm);
    let announced = action(vm, verb);
    let (method, body) = call_of(verb, id);
    let answer = server.call(method, body).await;
    let at = format!("{verb} of a {from} VM");
    if announced["allowed"] == true {
        assert_eq!(announced["reason"].as_str().unwrap_or_default(), "", "{at}");
        assert_eq!(answer.status, 200, "{at} is allowed, and was answered {}", answer.body);
        let after = server.call("GetVM", json!({ "id": id })).await;
        match leads_to(verb, &from) {
            Some(state) => assert_eq!(state_of(&after.body), state, "{at}"),
            None => assert_eq!(after.code(), "not_found", "{at}"),
        }
        return true;
    }
    assert_eq!(answer.code(), "failed_precondition", "{at}: {}", answer.body);
    assert_eq!(answer.message(), announced["reason"], "{at}");
    let name = vm["name"].as_str().expect("a name");
    assert!(answer.message().contains(name), "{at} does not name the VM: {}", answer.message());
    let types: Vec<&str> =
        answer.body["details"].as_array().into_iter().flatten().filter_map(|d| d["type"].as_str()).collect();
    assert_eq!(types, ["google.rpc.ErrorInfo", "google.rpc.PreconditionFailure"], "{at}");
    let after = server.vm(id).await;
    assert_eq!(state_of(&after), from, "{at} was denied, and changed the state");
    assert_eq!(after["resourceVersion"], vm["resourceVersion"], "{at} was denied, and changed something");
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_announced_is_what_happens_in_every_state() {
    let server = Server::demo().await;
    let cells = ["STOPPED", "RUNNING", "PAUSED", "SUSPENDED"]
        .into_iter()
        .flat_map(|state| VERBS.into_iter().map(move |verb| (state, verb)));
    let found: Vec<(&str, &str, bool)> = futures::stream::iter(cells)
        .map(|(state, verb)| {
            let server = &server;
            async move {
                let vm = vm_in(server, state, &format!("{}-{verb}", state.to_lowercase())).await;
                (state, verb, tried(server, &vm, verb).await)
            }
        })
        .buffer_unordered(8)
        .collect()
        .await;
    let allowed = |state: &str| {
        let mut verbs: Vec<&str> = VERBS.into_iter().filter(|verb| found.contains(&(state, verb, true))).collect();
        verbs.sort_unstable();
        verbs
    };
    // By name, so that a table that allows nothing would not pass.
    assert_eq!(allowed("STOPPED"), ["delete", "force_delete", "start", "update"]);
    assert_eq!(
        allowed("RUNNING"),
        ["force_delete", "force_stop", "pause", "reboot", "reset", "stop", "suspend", "update"]
    );
    assert_eq!(allowed("PAUSED"), ["force_delete", "force_stop", "resume", "start", "stop", "suspend", "update"]);
    assert_eq!(allowed("SUSPENDED"), ["delete", "force_delete", "force_stop", "resume", "start", "update"]);
    println!("{} cells of verb × state tried", found.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_announced_is_what_happens_to_a_lost_vm() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(Some(&home.path().join("data")), &["--libvirt-uri", "test:///default"]).await;
    for verb in VERBS {
        vm_in(&server, "STOPPED", &format!("lost-{verb}")).await;
    }
    // The test driver's world ends with the process.
    server.kill();
    server.again().await;
    let listed = server
        .until("the VMs to be lost", SOON, async || {
            let listed = server.ok("ListVMs", json!({ "states": ["LOST"] })).await;
            (listed["totalCount"] == VERBS.len()).then_some(listed)
        })
        .await;
    let mut allowed = Vec::new();
    for verb in VERBS {
        let name = format!("lost-{verb}");
        let vm = listed["vms"].as_array().expect("VMs").iter().find(|vm| vm["name"] == name.as_str()).expect("it");
        assert_ne!(vm["status"]["lostReason"].as_str().unwrap_or_default(), "", "{vm}");
        // Its facts are ours and can be changed; what is not on the host has no definition to change.
        if verb != "update" && tried(&server, vm, verb).await {
            allowed.push(verb);
        }
    }
    assert_eq!(allowed, ["delete", "force_delete", "redefine"]);
    let id =
        listed["vms"].as_array().expect("VMs").iter().find(|vm| vm["name"] == "lost-update").expect("it")["id"].clone();
    let spec = json!({ "id": id, "spec": { "memory": { "sizeMib": 512 } } });
    let message = server.refused("UpdateVM", spec, "failed_precondition").await;
    assert!(message.contains("lost-update") && message.contains("redefine"), "{message}");
    let updated = server.ok("UpdateVM", json!({ "id": id, "description": "still missed" })).await;
    assert_eq!((state_of(&updated).as_str(), &updated["description"]), ("LOST", &json!("still missed")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_of_the_host_is_found_and_adopted_once() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(Some(&home.path().join("data")), &["--libvirt-uri", "test:///default"]).await;
    let listed = server.ok("ListVMs", json!({})).await;
    let vm = &listed["vms"][0];
    assert_eq!((&vm["name"], &vm["origin"]), (&json!("test"), &json!("VM_ORIGIN_HOST_DISCOVERED")));
    assert!(vm["isManaged"].is_null() && vm["createdBy"] == "host", "{vm}");
    assert_eq!(action(vm, "adopt")["allowed"], true);
    assert!(!tried(&server, vm, "redefine").await);
    let project = "99999999-0000-0000-0000-000000000009";
    let adopted = server.ok("AdoptVM", json!({ "id": vm["id"], "projectId": project })).await;
    assert_eq!(
        (&adopted["origin"], &adopted["isManaged"], &adopted["projectId"]),
        (&json!("VM_ORIGIN_IMPORTED"), &json!(true), &json!(project))
    );
    assert!(!tried(&server, &adopted, "adopt").await, "it was adopted twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_uuids_and_known_everywhere() {
    let server = Server::demo().await;
    let unknown = "12121212-3434-5656-7878-909090909090";
    for verb in VERBS {
        let (method, _) = call_of(verb, "");
        for id in ["", "1", "dev-workstation", "11111111-1111-1111-1111-11111111111g", "../../etc/passwd"] {
            let (method, body) = call_of(verb, id);
            let message = server.refused(method, body, "invalid_argument").await;
            assert!(message.starts_with("id: "), "{method} {id:?}: {message}");
        }
        let (_, body) = call_of(verb, unknown);
        let message = server.refused(method, body, "not_found").await;
        assert_eq!(message, format!("VM '{unknown}' not found"), "{method}");
    }
    for (method, field) in [("GetVM", "id"), ("ListVMEvents", "vm_id")] {
        let message = server.refused(method, json!({ field: "x" }), "invalid_argument").await;
        assert!(message.starts_with(&format!("{field}: ")), "{message}");
        assert_eq!(
            server.refused(method, json!({ field: unknown }), "not_found").await,
            format!("VM '{unknown}' not found")
        );
    }
    // The other spellings of one UUID are the same VM.
    let vm = server.ok("GetVM", json!({ "id": "11111111-1111-1111-1111-111111111111".to_uppercase() })).await;
    assert_eq!(vm["name"], "dev-workstation");
    for (method, field) in [("StopVM", "timeoutSec")] {
        let message = server.refused(method, json!({ "id": vm["id"], field: 3601 }), "invalid_argument").await;
        assert!(message.starts_with("timeout_sec: "), "{message}");
        server.refused(method, json!({ "id": vm["id"], field: -1 }), "invalid_argument").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verb_ends_as_an_operation_that_can_be_read() {
    let server = Server::demo().await;
    let vm = vm_in(&server, "RUNNING", "worked").await;
    server.ok("StopVM", json!({ "id": vm["id"] })).await;
    let listed = server.ok("ListOperations", json!({ "resourceId": vm["id"] })).await;
    let verbs: Vec<&str> =
        listed["operations"].as_array().expect("operations").iter().filter_map(|one| one["verb"].as_str()).collect();
    assert_eq!(verbs, ["stop", "create"]);
    let last = &listed["operations"][0];
    assert_eq!((&last["state"], &last["progressPercent"]), (&json!("STATE_SUCCEEDED"), &json!(100)));
    assert_eq!(server.ok("GetOperation", json!({ "id": last["id"] })).await, *last);
    let message = server.refused("CancelOperation", json!({ "id": last["id"] }), "failed_precondition").await;
    assert!(message.contains("stop"), "{message}");
    server.refused("GetOperation", json!({ "id": vm["id"] }), "not_found").await;
    server.refused("CancelOperation", json!({ "id": "x" }), "invalid_argument").await;
    let failed = server.ok("ListOperations", json!({ "states": ["STATE_FAILED"] })).await;
    assert!(failed["operations"].is_null(), "{failed}");
    let page = server.ok("ListOperations", json!({ "pageSize": 1 })).await;
    let next = server.ok("ListOperations", json!({ "pageSize": 1, "pageToken": page["nextPageToken"] })).await;
    assert_ne!(page["operations"][0]["id"], next["operations"][0]["id"]);
    server.refused("ListOperations", json!({ "pageToken": "x" }), "invalid_argument").await;
}
