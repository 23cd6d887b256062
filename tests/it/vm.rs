//! VMs made, refused, changed and deleted through the public API.

use buffa::Message as _;
use quantixkvm_proto::google::rpc::BadRequest;
use serde_json::{Value, json};

use crate::support::{Answer, Server, small_spec, state_of};

const DEV: &str = "11111111-1111-1111-1111-111111111111";
const PROJECT: &str = "00000000-0000-0000-0000-000000000001";

/// The fields of the `BadRequest` detail.
pub fn fields(answer: &Answer) -> Vec<String> {
    use base64::Engine as _;
    let details = answer.body["details"].as_array().expect("details");
    let detail = details.iter().find(|detail| detail["type"] == "google.rpc.BadRequest").expect("a BadRequest");
    let bytes = base64::engine::general_purpose::STANDARD_NO_PAD
        .decode(detail["value"].as_str().expect("a value"))
        .expect("base64 without padding");
    let decoded = BadRequest::decode_from_slice(&bytes).expect("a BadRequest");
    for violation in &decoded.field_violations {
        let told = format!("{}: {}", violation.field, violation.description);
        assert!(answer.message().contains(&told), "{told} is not in {}", answer.message());
    }
    decoded.field_violations.into_iter().map(|violation| violation.field).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn made_with_nothing_said_and_with_everything_said() {
    let server = Server::demo().await;
    let short = server.ok("CreateVM", json!({ "name": "short", "spec": small_spec() })).await;
    assert_eq!(state_of(&short), "STOPPED");
    assert_eq!((&short["projectId"], &short["createdBy"]), (&json!(PROJECT), &json!("demo")));
    assert_eq!((&short["origin"], &short["isManaged"]), (&json!("VM_ORIGIN_CONTROL_PLANE"), &json!(true)));
    assert!(short["resourceVersion"].is_string() && short["createdAt"].is_string(), "{short}");
    for absent in ["labels", "description", "autostart", "startOrder"] {
        assert!(short[absent].is_null(), "{absent} in {short}");
    }
    for absent in ["disks", "nics", "cdroms"] {
        assert!(short["spec"][absent].is_null(), "{absent} was added behind the user's back: {short}");
    }

    let wanted = json!({
        "name": "long", "projectId": "99999999-0000-0000-0000-000000000009", "description": "one\n\ttwo <&> é",
        "labels": { "team": "a", "k\"<": "v&'" }, "startOnCreate": true, "autostart": true,
        "nodeId": "d0000000-0000-4000-8000-000000000001",
        "spec": {
            "cpu": { "cores": 4, "sockets": 2, "threadsPerCore": 2, "maxCores": 8 },
            "memory": { "sizeMib": "1024", "maxMemoryMib": 2048, "ballooningEnabled": true },
            "disks": [{ "sizeGib": 5, "bus": "VIRTIO_BLK", "cache": "NONE", "discardEnabled": false },
                      { "size_gib": "1", "format": "RAW", "bus": 1 }],
            "nics": [{ "networkId": "default", "macAddress": "52:54:00:aa:bb:cc", "model": "E1000" }, {}],
            "boot": { "bootOrder": [{ "type": "DISK" }] },
            "rng": { "enabled": true }, "agent": { "enabled": false }, "serial": { "count": 1 },
            "guestOs": { "family": "GUEST_OS_FAMILY_DEBIAN", "variant": "12" },
        }
    });
    let long = server.ok("CreateVM", wanted.clone()).await;
    assert_eq!(state_of(&long), "RUNNING");
    for same in ["name", "projectId", "description", "labels", "autostart"] {
        assert_eq!(long[same], wanted[same], "{same}");
    }
    let spec = &long["spec"];
    for (path, value) in [
        ("/cpu/cores", json!(4)),
        ("/cpu/maxCores", json!(8)),
        ("/memory/sizeMib", json!("1024")),
        ("/memory/maxMemoryMib", json!("2048")),
        ("/disks/0/id", json!("vda")),
        ("/disks/0/cache", json!("NONE")),
        ("/disks/0/sizeGib", json!("5")),
        ("/disks/1/bus", json!("VIRTIO_SCSI")),
        ("/disks/1/format", json!("RAW")),
        ("/nics/0/macAddress", json!("52:54:00:aa:bb:cc")),
        ("/nics/0/model", json!("E1000")),
        ("/nics/0/networkId", json!("default")),
        ("/guestOs/variant", json!("12")),
    ] {
        let found = spec.pointer(path).cloned().unwrap_or_default();
        let uuid = path.ends_with("networkId") && found.as_str().is_some_and(|id| id.len() == 36);
        assert!(found == value || uuid, "{path} is {found}, not {value}: {spec}");
    }
    assert_ne!(spec["nics"][1]["macAddress"].as_str().unwrap_or_default(), "", "a MAC of its own");
    assert_eq!(server.vm(long["id"].as_str().expect("an id")).await["spec"], *spec);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_violation_is_told_at_once_beside_its_field() {
    let server = Server::demo().await;
    let answer = server
        .call(
            "CreateVM",
            json!({ "name": "-x y", "projectId": "acme", "nodeId": "here", "description": "é".repeat(1001),
                "labels": { "": "v", "k": "v".repeat(256) },
                "spec": { "cpu": { "cores": 257 }, "memory": { "sizeMib": 1 },
                    "disks": [{ "sizeGib": 70000 }, { "path": "/x.img" }, { "path": "relative", "format": "RAW" }],
                    "nics": [{ "macAddress": "zz" }] } }),
        )
        .await;
    assert_eq!((answer.status, answer.code()), (400, "invalid_argument"), "{}", answer.body);
    let mut found = fields(&answer);
    found.sort();
    assert_eq!(
        found,
        [
            "description",
            "labels[\"\"]",
            "labels[\"k\"]",
            "name",
            "node_id",
            "project_id",
            "spec.cpu.cores",
            "spec.disks[0].size_gib",
            "spec.disks[1].format",
            "spec.disks[2].path",
            "spec.memory.size_mib",
            "spec.nics[0].mac_address",
        ]
    );
    let answer = server.call("CreateVM", json!({})).await;
    assert_eq!(fields(&answer), ["name", "spec.cpu.cores", "spec.memory.size_mib"]);
    let answer = server
        .call(
            "CreateVM",
            json!({ "name": "x", "spec": { "cpu": { "cores": 3, "sockets": 2 }, "memory": { "sizeMib": "1048577" } } }),
        )
        .await;
    assert_eq!(fields(&answer), ["spec.cpu.sockets", "spec.memory.size_mib"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_have_rules_and_one_owner() {
    let server = Server::demo().await;
    let long = "n".repeat(255);
    for good in ["a", "0", "A-b_c", "9-_", "web01", long.as_str()] {
        server.ok("CreateVM", json!({ "name": good, "spec": small_spec() })).await;
    }
    let too_long = "n".repeat(256);
    for bad in ["", "-a", "_a", "a b", "a.b", "é", "a/b", "a\n", "a\u{0}", "<a>", too_long.as_str()] {
        let message =
            server.refused("CreateVM", json!({ "name": bad, "spec": small_spec() }), "invalid_argument").await;
        assert!(message.starts_with("name: ") && message.len() < 200, "{bad:?}: {message}");
    }
    let message =
        server.refused("CreateVM", json!({ "name": "dev-workstation", "spec": small_spec() }), "already_exists").await;
    assert!(message.contains(DEV) && message.contains("dev-workstation"), "{message}");
    let other =
        json!({ "name": "dev-workstation", "projectId": "99999999-0000-0000-0000-000000000009", "spec": small_spec() });
    let theirs = server.ok("CreateVM", other).await;
    // Twenty at once: one is made, the others hear of it.
    let all = futures::future::join_all(
        (0..20).map(|_| server.call("CreateVM", json!({ "name": "wanted", "spec": small_spec() }))),
    )
    .await;
    let made: Vec<&Answer> = all.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(made.len(), 1, "{all:?}");
    assert!(all.iter().all(|answer| answer.status == 200 || answer.code() == "already_exists"), "{all:?}");
    let listed = server.ok("ListVMs", json!({ "pageSize": 1000 })).await;
    assert_eq!(listed["vms"].as_array().expect("VMs").iter().filter(|vm| vm["name"] == "wanted").count(), 1);

    let message = server.refused("UpdateVM", json!({ "id": theirs["id"], "name": "-" }), "invalid_argument").await;
    assert!(message.starts_with("name: "), "{message}");
    let message = server.refused("UpdateVM", json!({ "id": DEV, "name": "wanted" }), "already_exists").await;
    assert!(message.contains(made[0].body["id"].as_str().expect("an id")), "{message}");
    let renamed = server.ok("UpdateVM", json!({ "id": DEV, "name": "freed" })).await;
    assert_eq!(renamed["name"], "freed");
    server.ok("CreateVM", json!({ "name": "dev-workstation", "spec": small_spec() })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_offered_is_refused_by_name() {
    let server = Server::demo().await;
    let create = |part: Value| {
        let mut spec = small_spec();
        spec.as_object_mut().expect("an object").extend(part.as_object().expect("an object").clone());
        json!({ "name": "unmade", "spec": spec })
    };
    for (part, field) in [
        (json!({ "pciDevices": [{ "hostAddress": "0000:01:00.0" }] }), "spec.pci_devices"),
        (json!({ "provisioning": { "cloudInit": { "userData": "x" } } }), "spec.provisioning"),
        (json!({ "haPolicy": { "autoRestart": true } }), "spec.ha_policy"),
        (json!({ "cpu": { "cores": 1, "numa": { "enabled": true } } }), "spec.cpu.numa"),
        (json!({ "nics": [{}, { "sriov": { "enabled": true } }] }), "spec.nics[1].sriov"),
        (json!({ "display": { "password": "x" } }), "spec.display.password"),
        (json!({ "agent": { "channel": "VSOCK" } }), "spec.agent.channel"),
    ] {
        let message = server.refused("CreateVM", create(part.clone()), "unimplemented").await;
        assert!(message.starts_with(&format!("{field}: ")), "{part}: {message}");
        let update = json!({ "id": DEV, "spec": part });
        let message = server.refused("UpdateVM", update, "unimplemented").await;
        assert!(message.starts_with(&format!("{field}: ")), "{part}: {message}");
    }
    let message = server
        .refused("CreateVM", json!({ "name": "x", "templateId": "t", "spec": small_spec() }), "unimplemented")
        .await;
    assert!(message.starts_with("template_id: "), "{message}");
    let node = "d0000000-0000-4000-8000-000000000002";
    let message =
        server.refused("CreateVM", json!({ "name": "x", "nodeId": node, "spec": small_spec() }), "unimplemented").await;
    assert!(message.starts_with("node_id: "), "{message}");
    server.refused("CreateVM", json!({ "name": "x", "nodeId": DEV, "spec": small_spec() }), "not_found").await;
    assert_eq!(server.ok("ListVMs", json!({})).await["totalCount"], 4, "something was made all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn enums_are_known_or_refused_and_keys_come_in_both_spellings() {
    let server = Server::demo().await;
    let disk = |bus: Value| json!({ "name": "x", "spec": { "cpu": { "cores": 1 }, "memory": { "size_mib": 256 }, "disks": [{ "sizeGib": 1, "bus": bus }] } });
    let message = server.refused("CreateVM", disk(json!("FLOPPY")), "invalid_argument").await;
    assert!(message.contains("FLOPPY"), "{message}");
    let message = server.refused("CreateVM", disk(json!(99)), "invalid_argument").await;
    assert!(message.starts_with("spec.disks[0].bus: ") && message.contains("99"), "{message}");
    for wrong in [
        json!({ "cpu": { "cores": "many" } }),
        json!({ "cpu": { "cores": -1 } }),
        json!({ "memory": { "sizeMib": 1.5 } }),
        json!([]),
    ] {
        server.refused("CreateVM", json!({ "name": "x", "spec": wrong }), "invalid_argument").await;
    }
    // Unknown keys are ignored, as Connect's own servers do.
    let vm = server.ok("CreateVM", json!({ "name": "x", "who": "cares", "spec": { "cpu": { "cores": 1 }, "memory": { "size_mib": "256" }, "color": "red" }, "start_on_create": true })).await;
    assert_eq!((state_of(&vm).as_str(), &vm["spec"]["memory"]["sizeMib"]), ("RUNNING", &json!("256")));
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_takes_what_was_made_for_the_vm_and_only_if_asked() {
    let server = Server::demo().await;
    let with_disk = |name: &str| json!({ "name": name, "spec": { "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 }, "disks": [{ "sizeGib": 1 }] } });
    let kept = server.ok("CreateVM", with_disk("kept")).await;
    let path = kept["spec"]["disks"][0]["path"].clone();
    assert_eq!(server.ok("DeleteVM", json!({ "id": kept["id"] })).await, json!({}));
    let events = server.ok("ListVMEvents", json!({ "vmId": kept["id"], "type": "vm.deleted" })).await;
    assert!(events["events"][0]["metadata"].to_string().contains("kept:"), "{events}");
    // Its volume is there: another VM can take it; it is not that VM's to delete.
    let reuse = json!({ "name": "reuse", "spec": { "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 }, "disks": [{ "path": path, "format": "QCOW2" }] } });
    let reuse = server.ok("CreateVM", reuse).await;
    server.ok("DeleteVM", json!({ "id": reuse["id"], "deleteVolumes": true })).await;
    let events = server.ok("ListVMEvents", json!({ "vmId": reuse["id"], "type": "vm.deleted" })).await;
    assert!(events["events"][0]["metadata"].to_string().contains("not made for this VM"), "{events}");
    let gone = server.ok("CreateVM", with_disk("gone")).await;
    server.ok("DeleteVM", json!({ "id": gone["id"], "deleteVolumes": true })).await;
    let events = server.ok("ListVMEvents", json!({ "vmId": gone["id"], "type": "vm.deleted" })).await;
    assert!(events["events"][0]["metadata"].to_string().contains("deleted:"), "{events}");

    // Forgotten here, it is found again by libvirt's name, and not as ours.
    server.ok("DeleteVM", json!({ "id": DEV, "removeFromInventoryOnly": true })).await;
    let back = server
        .until("the forgotten VM to be found again", crate::support::SOON, async || {
            let answer = server.call("GetVM", json!({ "id": DEV })).await;
            (answer.status == 200).then_some(answer.body)
        })
        .await;
    assert_eq!((&back["origin"], &back["name"]), (&json!("VM_ORIGIN_HOST_DISCOVERED"), &json!("dev-workstation")));
}
