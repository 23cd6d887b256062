//! What would be done is told before it is done, and is what is done: creation and deletion with
//! `validate_only`, what a VM can be made of, definitions to read.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answer, Server, small_spec, state_of};
use crate::vm::fields;

const DEV: &str = "11111111-1111-1111-1111-111111111111";
const WEB: &str = "22222222-2222-2222-2222-222222222222";

/// Everything that a plan must leave as it is.
async fn world(server: &Server) -> Value {
    let mut options = server.ok("GetCreateOptions", json!({})).await;
    // Guests of the demo do nothing, but what is promised to them is counted in this.
    options["memoryFreeMib"].take();
    json!([
        server.ok("ListVMs", json!({ "pageSize": 1000 })).await["totalCount"],
        server.ok("ListOperations", json!({})).await,
        options,
    ])
}

fn only_validated(mut body: Value) -> Value {
    body["validateOnly"] = json!(true);
    body
}

fn checks<'a>(plan: &'a Value, name: &str) -> Vec<(&'a str, &'a str)> {
    let all = plan["preflight"].as_array().expect("checks").iter().filter(|check| check["name"] == name);
    all.map(|check| (check["outcome"].as_str().unwrap_or_default(), check["field"].as_str().unwrap_or_default()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_makes_nothing_and_shows_the_vm_as_it_would_be() {
    let server = Server::demo().await;
    let before = world(&server).await;
    let body = json!({ "name": "planned", "startOnCreate": true, "autostart": true, "spec": {
        "cpu": { "cores": 2 }, "memory": { "sizeMib": 512 }, "disks": [{ "sizeGib": 3 }], "nics": [{}] } });
    let begun = Instant::now();
    let plan = server.ok("CreateVM", only_validated(body.clone())).await;
    println!("a plan took {:?}", begun.elapsed());
    assert_eq!(state_of(&plan), "PROVISIONING");
    for absent in ["id", "createdAt", "updatedAt", "resourceVersion", "allowedActions"] {
        assert!(plan[absent].is_null(), "{absent} of a VM that is not there: {plan}");
    }
    assert_eq!((&plan["name"], &plan["autostart"]), (&json!("planned"), &json!(true)));
    assert_eq!((&plan["spec"]["disks"][0]["id"], &plan["spec"]["disks"][0]["sizeGib"]), (&json!("vda"), &json!("3")));
    assert!(plan["spec"]["disks"][0]["path"].as_str().is_some_and(|path| path.starts_with('/')), "{plan}");
    assert_eq!(plan["spec"]["nics"][0]["networkId"], "default");
    assert_eq!(checks(&plan, "pool"), [("OUTCOME_PASSED", "spec.disks[0].storage_pool_id")]);
    assert_eq!(checks(&plan, "network"), [("OUTCOME_PASSED", "spec.nics[0].network_id")]);
    assert_eq!(checks(&plan, "memory"), [("OUTCOME_PASSED", "spec.memory.size_mib")]);
    for check in plan["preflight"].as_array().expect("checks") {
        assert!(check["message"].as_str().is_some_and(|told| told.len() > 10), "{check}");
        assert_eq!(check["outcome"] == "OUTCOME_WARNING", check["remedy"].is_string(), "{check}");
    }
    assert_eq!(world(&server).await, before, "the plan did something");
    // A key keeps no plan: the same key, then, makes the VM.
    let keyed = |body: Value| server.call_with("CreateVM", body, &[("Idempotency-Key", "plan-1")]);
    assert_eq!(keyed(only_validated(body.clone())).await.status, 200);
    let made = keyed(body).await;
    assert_eq!(state_of(&made.body), "RUNNING", "{}", made.body);
    assert!(made.body["preflight"].is_null(), "{}", made.body);
    for same in ["/spec/cpu", "/spec/memory", "/spec/disks/0/id", "/spec/disks/0/bus", "/spec/nics/0/networkId"] {
        assert_eq!(made.body.pointer(same), plan.pointer(same), "{same} is another than was planned");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_stands_in_the_way_is_told_at_once_by_the_plan_and_by_the_creation() {
    let server = Server::demo().await;
    let before = world(&server).await;
    let mac = "52:54:00:aa:00:01";
    let spec = json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 }, "nics": [{ "macAddress": mac }] });
    let other = server.ok("CreateVM", json!({ "name": "other", "spec": spec })).await;
    let body = json!({ "name": "web-server-01", "startOnCreate": true, "spec": {
        "cpu": { "cores": 250 }, "memory": { "sizeMib": 1024 * 1024 },
        "disks": [
            { "sizeGib": 65536, "provisioning": "THICK_LAZY" },
            { "sizeGib": 1, "storagePoolId": "nowhere" },
            { "storagePoolId": "default", "volumeId": "nothing.qcow2" },
            { "path": "/var/lib/libvirt/images/web-server-01-22222222-0.qcow2", "format": "RAW" },
        ],
        "nics": [{ "networkId": "nolan" }, { "macAddress": mac.to_uppercase() }] } });
    let told = |answer: &Answer| {
        let fields: BTreeSet<String> = fields(answer).into_iter().collect();
        (answer.code().to_owned(), fields, answer.message().to_owned())
    };
    let plan = told(&server.call("CreateVM", only_validated(body.clone())).await);
    let expected = [
        "name",
        "spec.cpu.cores",
        "spec.disks[0].size_gib",
        "spec.disks[1].storage_pool_id",
        "spec.disks[2].volume_id",
        "spec.disks[3].format",
        "spec.memory.size_mib",
        "spec.nics[0].network_id",
        "spec.nics[1].mac_address",
    ];
    assert_eq!(plan.1.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{}", plan.2);
    // The format and the address are rules of the request itself: nothing is graver.
    assert_eq!(plan.0, "invalid_argument");
    let made = told(&server.call("CreateVM", body.clone()).await);
    assert_eq!((&made.0, &made.1), (&plan.0, &plan.1), "the creation is refused for something else: {}", made.2);

    // The gravest of what is left decides the code.
    let alone = |part: Value, name: &str| {
        let mut spec = small_spec();
        spec.as_object_mut().expect("an object").extend(part.as_object().expect("an object").clone());
        json!({ "name": name, "startOnCreate": true, "spec": spec })
    };
    for (part, name, code, field) in [
        (json!({ "nics": [{ "networkId": "nolan" }] }), "x", "not_found", "spec.nics[0].network_id"),
        (
            json!({ "disks": [{ "sizeGib": 1, "storagePoolId": "nowhere" }] }),
            "x",
            "not_found",
            "spec.disks[0].storage_pool_id",
        ),
        (json!({}), "web-server-01", "already_exists", "name"),
        (json!({ "cpu": { "cores": 250 } }), "x", "resource_exhausted", "spec.cpu.cores"),
        (json!({ "memory": { "sizeMib": 1024 * 1024 } }), "x", "resource_exhausted", "spec.memory.size_mib"),
        (
            json!({ "nics": [{ "networkId": "nolan" }], "cpu": { "cores": 250 } }),
            "x",
            "not_found",
            "spec.nics[0].network_id",
        ),
    ] {
        for body in [only_validated(alone(part.clone(), name)), alone(part.clone(), name)] {
            let answer = server.call("CreateVM", body).await;
            assert_eq!(answer.code(), code, "{part}: {}", answer.body);
            assert!(fields(&answer).contains(&field.to_owned()), "{part}: {}", answer.body);
        }
    }
    // What is wrong with a name does not hide what is wrong below.
    let answer =
        server.call("CreateVM", only_validated(alone(json!({ "nics": [{ "networkId": "nolan" }] }), ""))).await;
    assert_eq!(fields(&answer), ["name", "spec.nics[0].network_id"]);
    // Nothing of all this left a trace but the one that was made.
    server.ok("DeleteVM", json!({ "id": other["id"] })).await;
    let after = world(&server).await;
    assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_start_would_stop_is_a_warning() {
    let server = Server::demo().await;
    let body = json!({ "name": "later", "spec": { "cpu": { "cores": 100 }, "memory": { "sizeMib": 300 * 1024 },
        "disks": [{ "sizeGib": 60000 }] } });
    let plan = server.ok("CreateVM", only_validated(body.clone())).await;
    assert_eq!(checks(&plan, "memory"), [("OUTCOME_WARNING", "spec.memory.size_mib")]);
    assert_eq!(checks(&plan, "cpu"), [("OUTCOME_WARNING", "spec.cpu.cores")]);
    assert!(checks(&plan, "pool").contains(&("OUTCOME_WARNING", "spec.disks[0].size_gib")), "{plan}");
    let mut now = body;
    now["startOnCreate"] = json!(true);
    let answer = server.call("CreateVM", only_validated(now)).await;
    assert_eq!((answer.code(), fields(&answer)), ("resource_exhausted", vec!["spec.memory.size_mib".to_owned()]));
    // A disk that another VM has, too.
    let disk = server.vm(WEB).await["spec"]["disks"][0]["path"].clone();
    let body = json!({ "name": "twin", "spec": { "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 },
        "disks": [{ "path": disk, "format": "QCOW2" }] } });
    let plan = server.ok("CreateVM", only_validated(body)).await;
    let warning =
        plan["preflight"].as_array().expect("checks").iter().find(|check| check["outcome"] == "OUTCOME_WARNING");
    assert!(warning.is_some_and(|check| check["message"].to_string().contains("web-server-01")), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_defines_no_pool_and_the_creation_does() {
    let server = Server::on("test:///default").await;
    let pools = async || {
        let options = server.ok("GetCreateOptions", json!({})).await;
        let names = options["pools"].as_array().expect("pools").iter().map(|pool| pool["name"].to_string());
        names.collect::<Vec<_>>()
    };
    let before = pools().await;
    assert!(!before.contains(&"\"default\"".to_owned()), "{before:?}");
    let body = json!({ "name": "first", "spec": { "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 },
        "disks": [{ "sizeGib": 1 }] } });
    let plan = server.ok("CreateVM", only_validated(body.clone())).await;
    let told = plan["preflight"].as_array().expect("checks").iter().find(|check| check["name"] == "pool");
    assert!(told.is_some_and(|check| check["message"].to_string().contains("is made at")), "{plan}");
    assert_eq!(pools().await, before, "the plan defined a pool");
    let made = server.ok("CreateVM", body).await;
    assert!(pools().await.contains(&"\"default\"".to_owned()));
    let directory = |vm: &Value| {
        let path = vm["spec"]["disks"][0]["path"].as_str().expect("a path").to_owned();
        path.rsplit_once('/').map(|(directory, _)| directory.to_owned())
    };
    assert_eq!(directory(&made), directory(&plan), "the plan promised another place");
}

/// Kind and name of each, sorted.
fn named(items: &Value) -> BTreeSet<(String, String)> {
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    items.as_array().into_iter().flatten().map(|item| (text(item, "kind"), text(item, "name"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_does_what_its_plan_says() {
    let server = Server::demo().await;
    let spec = json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 }, "disks": [{ "sizeGib": 1 },
        { "sizeGib": 2, "provisioning": "THICK_LAZY", "format": "RAW" },
        { "path": "/var/lib/libvirt/images/web-server-01-22222222-0.qcow2", "format": "QCOW2" }],
        "cdroms": [{ "isoPath": "/iso/debian.iso" }] });
    let vm = server.ok("CreateVM", json!({ "name": "doomed", "startOnCreate": true, "spec": spec })).await;
    let id = &vm["id"];
    // It runs: the plan is refused as the deletion is, and told with force.
    for only in [true, false] {
        let body = json!({ "id": id, "deleteVolumes": true, "validateOnly": only });
        let message = server.refused("DeleteVM", body, "failed_precondition").await;
        assert!(message.contains("doomed"), "{message}");
    }
    let before = world(&server).await;
    let plan =
        server.ok("DeleteVM", json!({ "id": id, "deleteVolumes": true, "force": true, "validateOnly": true })).await;
    assert_eq!(state_of(&server.vm(id.as_str().expect("an id")).await), "RUNNING");
    assert_eq!(world(&server).await, before, "the plan did something");
    let gone = named(&plan["gone"]);
    assert!(gone.contains(&("definition".to_owned(), "doomed".to_owned())), "{plan}");
    assert_eq!(gone.iter().filter(|(kind, _)| kind == "volume").count(), 2, "{plan}");
    let kept = named(&plan["kept"]);
    for file in ["/iso/debian.iso", "/var/lib/libvirt/images/web-server-01-22222222-0.qcow2"] {
        assert!(kept.contains(&("file".to_owned(), file.to_owned())), "{file} is not named: {plan}");
    }
    for item in plan["kept"].as_array().expect("items") {
        assert!(item["reason"].is_string(), "{item}");
    }
    let sizes: u64 = plan["gone"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|item| item["sizeBytes"].as_str()?.parse::<u64>().ok())
        .sum();
    assert_eq!(plan["reclaimedBytes"].as_str().and_then(|bytes| bytes.parse().ok()), Some(sizes), "{plan}");
    assert!(sizes >= 2 << 30, "the thick volume counts: {plan}");

    assert_eq!(server.ok("DeleteVM", json!({ "id": id, "deleteVolumes": true, "force": true })).await, json!({}));
    let events = server.ok("ListVMEvents", json!({ "vmId": id, "type": "vm.deleted" })).await;
    let metadata = events["events"][0]["metadata"].as_object().expect("facts");
    let told = |prefix: &str| -> BTreeSet<String> {
        metadata.keys().filter_map(|key| key.strip_prefix(prefix).map(str::to_owned)).collect()
    };
    let names = |all: &BTreeSet<(String, String)>, kind: &str| -> BTreeSet<String> {
        all.iter().filter(|(of, _)| of == kind).map(|(_, name)| name.clone()).collect()
    };
    assert_eq!(told("deleted:"), names(&gone, "volume"), "other volumes went than was said");
    assert_eq!(told("kept:"), names(&kept, "file"), "other things stayed than was said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_deletion_knows_what_is_not_to_go() {
    let server = Server::demo().await;
    let spec = json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 }, "disks": [{ "sizeGib": 1 }] });
    let vm = server.ok("CreateVM", json!({ "name": "stays", "spec": spec })).await;
    let id = &vm["id"];
    let plan = server.ok("DeleteVM", json!({ "id": id, "validateOnly": true })).await;
    assert_eq!(named(&plan["gone"]), [("definition".to_owned(), "stays".to_owned())].into());
    assert!(plan["kept"][0]["reason"].as_str().is_some_and(|why| why.contains("not asked for")), "{plan}");
    assert!(plan["reclaimedBytes"].is_null(), "{plan}");
    let plan = server.ok("DeleteVM", json!({ "id": id, "removeFromInventoryOnly": true, "validateOnly": true })).await;
    assert!(plan["gone"].is_null() && named(&plan["kept"]).iter().any(|(kind, _)| kind == "definition"), "{plan}");
    server.ok("StartVM", json!({ "id": id })).await;
    server.ok("SuspendVM", json!({ "id": id })).await;
    let plan = server.ok("DeleteVM", json!({ "id": id, "validateOnly": true, "deleteVolumes": true })).await;
    // Where the memory lies is not known of this libvirt: that is said, and no size is made up.
    let gone = plan["gone"].as_array().expect("items");
    let saved = gone.iter().find(|item| item["kind"] == "saved_memory").expect("it goes");
    assert!(saved["sizeUnknown"] == true && saved["sizeBytes"].is_null(), "{plan}");
    assert!(
        gone.iter().filter(|item| item["kind"] != "saved_memory").all(|item| item["sizeUnknown"].is_null()),
        "{plan}"
    );
    let unknown = json!({ "id": "99999999-9999-4999-8999-999999999999", "validateOnly": true });
    server.refused("DeleteVM", unknown, "not_found").await;
    assert_eq!(state_of(&server.vm(id.as_str().expect("an id")).await), "SUSPENDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vm_can_be_made_of_is_told() {
    let server = Server::demo().await;
    let options = server.ok("GetCreateOptions", json!({})).await;
    assert_eq!(options["pools"][0]["name"], "default");
    assert!(options["pools"][0]["id"].as_str().is_some_and(|id| id.len() == 36), "{options}");
    assert_eq!((&options["networks"][0]["name"], &options["networks"][0]["active"]), (&json!("default"), &json!(true)));
    assert_eq!((&options["maxCores"], &options["hostThreads"]), (&json!(256), &json!(64)));
    // 256 GiB less 1 reserved less 56 promised.
    assert_eq!(options["memoryFreeMib"], (199 * 1024).to_string());
    let media = options["media"].as_array().expect("media");
    let web = media.iter().find(|medium| medium["usedBy"] == "web-server-01").expect("its disk");
    assert_eq!((&web["kind"], &web["format"], &web["pool"]), (&json!("KIND_DISK"), &json!("QCOW2"), &json!("default")));
    assert_eq!((&web["capacityBytes"], &web["allocatedBytes"]), (&json!("42949672960"), &json!("6442450944")));
    // Every profile is a VM that can be made here.
    let profiles = options["osProfiles"].as_array().expect("profiles");
    assert!(profiles.len() >= 20, "{}", profiles.len());
    for profile in profiles {
        let id = profile["id"].as_str().expect("an id");
        let spec = json!({ "cpu": { "cores": profile["cores"] }, "memory": { "sizeMib": profile["memoryMib"] },
            "disks": [{ "sizeGib": profile["diskGib"] }], "firmware": profile["firmware"],
            "guestOs": { "family": profile["family"], "variant": profile["variant"] } });
        server.ok("CreateVM", only_validated(json!({ "name": id, "spec": spec }))).await;
    }
    // One is made: it is counted, and its disk is there with its name.
    let spec = json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 1024 }, "disks": [{ "sizeGib": 1 }] });
    server.ok("CreateVM", json!({ "name": "counted", "startOnCreate": true, "spec": spec })).await;
    let options = server.ok("GetCreateOptions", json!({})).await;
    assert_eq!(options["memoryFreeMib"], (198 * 1024).to_string());
    assert!(
        options["media"].as_array().expect("media").iter().any(|medium| medium["usedBy"] == "counted"),
        "{options}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_is_shown_as_libvirt_has_it() {
    let server = Server::demo().await;
    let off = server.ok("GetVMDefinition", json!({ "id": DEV })).await;
    let xml = off["persistentXml"].as_str().expect("a definition");
    assert!(xml.contains("<domain") && xml.contains("dev-workstation") && off["liveXml"].is_null(), "{off}");
    let on = server.ok("GetVMDefinition", json!({ "id": WEB })).await;
    assert!(on["liveXml"].as_str().is_some_and(|xml| xml.contains("web-server-01")), "{on}");
    server.refused("GetVMDefinition", json!({ "id": "x" }), "invalid_argument").await;
    let unknown = json!({ "id": "99999999-9999-4999-8999-999999999999" });
    server.refused("GetVMDefinition", unknown, "not_found").await;
}

/// A form asks at every key.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_quick() {
    let server = Server::demo().await;
    let body = json!({ "name": "typed", "spec": { "cpu": { "cores": 2 }, "memory": { "sizeMib": 512 },
        "disks": [{ "sizeGib": 3 }, { "sizeGib": 1 }], "nics": [{}, {}], "cdroms": [{ "isoPath": "/iso/a.iso" }] },
        "validateOnly": true });
    let mut took = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        server.ok("CreateVM", body.clone()).await;
        took.push(begun.elapsed());
    }
    took.sort();
    println!("a plan takes {:?} (median), {:?} at most", took[10], took[19]);
    assert!(took[10] < Duration::from_millis(50), "{took:?}");
}
