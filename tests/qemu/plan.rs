//! What a plan says of a real host: who may open what, what is in a pool, what a deletion frees.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::testbed::{Testbed, guest, guest_disk};
use crate::support::{SOON, Server, state_of};

const FOREIGN: &str = "7e57ed00-0000-4000-8000-000000000009";

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

fn create(name: &str, part: Value) -> Value {
    let mut spec = json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 } });
    spec.as_object_mut().expect("an object").extend(part.as_object().expect("an object").clone());
    json!({ "name": name, "spec": spec })
}

fn plan(name: &str, part: Value) -> Value {
    let mut body = create(name, part);
    body["validateOnly"] = json!(true);
    body
}

fn outcome(plan: &Value, field: &str) -> String {
    let all = plan["preflight"].as_array().expect("checks");
    let found =
        all.iter().find(|check| check["field"] == field).unwrap_or_else(|| panic!("no check of {field}: {plan}"));
    found["outcome"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_qemus_user_cannot_reach_names_the_remedy_and_the_remedy_is_right() {
    let bed = Testbed::new();
    // As every distribution has it: QEMU is not root.
    bed.file(
        "box/qemu.conf",
        "security_driver = \"none\"\nuser = \"nobody\"\ngroup = \"nogroup\"\ndynamic_ownership = 1\n\
         remember_owner = 0\nstdio_handler = \"file\"\nnamespaces = [ ]\ncgroup_controllers = [ ]\n",
    );
    bed.act("restart", &[]);
    let server = Server::on(&bed.uri).await;
    let home = tempfile::Builder::new().prefix("qk-closed-").tempdir_in("/tmp").expect("a directory");
    let closed = home.path().join("of ann");
    std::fs::create_dir(&closed).expect("a directory");
    mode(home.path(), 0o755);
    let image = closed.join("tiny.qcow2");
    std::fs::copy(guest().join("tiny.qcow2"), &image).expect("a copy of the guest");
    let iso = closed.join("some.iso");
    let mut bytes = vec![0_u8; 0x8001];
    bytes.extend(b"CD001\x01\0");
    bytes.resize(64 << 10, 0);
    std::fs::write(&iso, bytes).expect("an image");
    let part = json!({
        "disks": [{ "sizeGib": 1, "backingFile": image.display().to_string(), "backingFormat": "QCOW2" }],
        "cdroms": [{ "isoPath": iso.display().to_string() }],
    });
    mode(&closed, 0o700);
    for body in [plan("reads", part.clone()), create("reads", part.clone())] {
        let message = server.refused("CreateVM", body, "failed_precondition").await;
        for told in [
            "spec.disks[0].backing_file: ",
            "spec.cdroms[0].iso_path: ",
            "cannot be reached by nobody",
            &format!("run: setfacl -m u:nobody:x '{}'", closed.display()),
        ] {
            assert!(message.contains(told), "{told} is not in {message}");
        }
        assert!(!message.contains(&format!("x {}", home.path().display())), "an open directory is blamed: {message}");
    }
    assert_eq!(server.ok("ListVMs", json!({})).await["totalCount"], Value::Null, "something was made");
    // What the remedy gives, where setfacl is not installed.
    let mended = std::process::Command::new("setfacl").args(["-m", "u:nobody:x"]).arg(&closed).status();
    if !mended.is_ok_and(|status| status.success()) {
        mode(&closed, 0o711);
    }
    let seen = server.ok("CreateVM", plan("reads", part.clone())).await;
    for field in ["spec.disks[0].backing_file", "spec.cdroms[0].iso_path"] {
        assert_eq!(outcome(&seen, field), "OUTCOME_PASSED", "{seen}");
    }
    let mut body = create("reads", part);
    body["startOnCreate"] = json!(true);
    let vm = server.ok("CreateVM", body).await;
    assert_eq!(state_of(&vm), "RUNNING", "what passed does not start: {vm}");
    // A start looks in the same way.
    server.ok("StopVM", json!({ "id": vm["id"], "force": true })).await;
    mode(&closed, 0o700);
    let message = server.refused("StartVM", json!({ "id": vm["id"] }), "failed_precondition").await;
    assert!(message.contains("\"reads\" cannot start") && message.contains("setfacl"), "{message}");
    mode(&closed, 0o711);
    server.ok("DeleteVM", json!({ "id": vm["id"], "force": true, "deleteVolumes": true })).await;
    assert!(image.is_file() && iso.is_file(), "what was not the VM's went with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_networks_and_cpus_are_what_they_are_said_to_be() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    let tiny = guest().join("tiny.qcow2").display().to_string();
    let kernel = guest().join("vmlinuz").display().to_string();
    for (part, code, field) in [
        (json!({ "disks": [{ "path": tiny, "format": "RAW" }] }), "invalid_argument", "spec.disks[0].format"),
        (
            json!({ "disks": [{ "sizeGib": 1, "backingFile": tiny, "backingFormat": "RAW" }] }),
            "invalid_argument",
            "spec.disks[0].backing_format",
        ),
        (json!({ "disks": [{ "path": kernel, "format": "QCOW2" }] }), "invalid_argument", "spec.disks[0].format"),
        (
            json!({ "disks": [{ "path": "/nowhere/x.raw", "format": "RAW" }] }),
            "failed_precondition",
            "spec.disks[0].path",
        ),
        (json!({ "cdroms": [{ "isoPath": "/tmp" }] }), "failed_precondition", "spec.cdroms[0].iso_path"),
        (
            json!({ "boot": { "directBoot": { "kernelPath": "/nowhere/vmlinuz", "initrdPath": "/nowhere/initrd" } } }),
            "failed_precondition",
            "spec.boot.direct_boot.initrd_path",
        ),
        (json!({ "nics": [{ "bridge": "br-nowhere" }] }), "not_found", "spec.nics[0].bridge"),
        (json!({ "cpu": { "cores": 1, "model": "Abacus" } }), "unimplemented", "spec.cpu.model"),
        (json!({ "cpu": { "cores": 1, "model": "host-passthrough" } }), "unimplemented", "spec.cpu.model"),
    ] {
        for body in [plan("x", part.clone()), create("x", part.clone())] {
            let message = server.refused("CreateVM", body, code).await;
            assert!(message.contains(&format!("{field}: ")), "{part}: {message}");
        }
    }
    // A value that is none is told beside what else there is, and goes no further.
    let odd = json!({ "disks": [{ "sizeGib": 1, "storagePoolId": "a\u{0}b", "backingFile": "/nowhere", "backingFormat": "RAW" }],
        "nics": [{ "networkId": "a\u{0}b" }], "cdroms": [{ "isoPath": "/a\u{0}b" }] });
    let message = server.refused("CreateVM", plan("x", odd), "invalid_argument").await;
    for field in [
        "spec.disks[0].storage_pool_id: ",
        "spec.disks[0].backing_file: ",
        "spec.nics[0].network_id: ",
        "spec.cdroms[0].iso_path: ",
    ] {
        assert!(message.contains(field), "{field}: {message}");
    }
    let seen = server.ok("CreateVM", plan("x", json!({ "cdroms": [{ "isoPath": kernel }], "nics": [{}] }))).await;
    assert!(seen["preflight"].to_string().contains("does not look like a CD"), "{seen}");
    assert!(seen["preflight"].to_string().contains("emulates"), "{seen}");
    assert_eq!(outcome(&seen, "spec.nics[0].network_id"), "OUTCOME_PASSED");
    bed.virsh(&["net-destroy", "default"]);
    let seen = server.ok("CreateVM", plan("x", json!({ "nics": [{}] }))).await;
    assert_eq!(outcome(&seen, "spec.nics[0].network_id"), "OUTCOME_WARNING");
    let mut now = plan("x", json!({ "nics": [{}] }));
    now["startOnCreate"] = json!(true);
    let message = server.refused("CreateVM", now, "failed_precondition").await;
    assert!(message.contains("virsh net-start default"), "{message}");
    assert_eq!(server.ok("ListVMs", json!({})).await["totalCount"], Value::Null, "something was made");
    assert_eq!(bed.virsh(&["pool-list", "--all", "--name"]), "", "a plan defined a pool");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_deletion_tells_the_bytes_and_options_show_what_is_there() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    let disks = json!([guest_disk(), { "sizeGib": 1, "format": "RAW", "provisioning": "THICK_LAZY" }]);
    let vm = server.ok("CreateVM", create("sized", json!({ "disks": disks }))).await;
    let id = vm["id"].as_str().expect("an id");
    let options = server.ok("GetCreateOptions", json!({})).await;
    assert_eq!((&options["pools"][0]["name"], &options["pools"][0]["active"]), (&json!("default"), &json!(true)));
    assert_eq!((&options["kvm"], &options["networks"][0]["active"]), (&Value::Null, &json!(true)), "{options}");
    let models = options["cpuModels"].as_array().expect("CPU models");
    assert!(models.contains(&json!("qemu64")), "{models:?}");
    assert!(options["maxCores"].as_u64().is_some_and(|most| (200..=255).contains(&most)), "{options}");
    let media = options["media"].as_array().expect("media");
    assert_eq!(media.iter().filter(|medium| medium["usedBy"] == "sized").count(), 2, "{options}");
    // Its network's own bridge is no bridge to be chosen.
    assert!(!options["bridges"].to_string().contains("virbr0"), "{options}");

    let plan = server.ok("DeleteVM", json!({ "id": id, "deleteVolumes": true, "validateOnly": true })).await;
    let bytes = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let mut by_virsh = 0;
    for item in plan["gone"].as_array().expect("items").iter().filter(|item| item["kind"] == "volume") {
        let (pool, volume) = item["name"].as_str().and_then(|name| name.split_once('/')).expect("pool/volume");
        let xml = bed.virsh(&["vol-dumpxml", "--pool", pool, volume]);
        let allocation = xml.split("<allocation unit='bytes'>").nth(1).and_then(|rest| rest.split('<').next());
        let allocation: u64 = allocation.and_then(|text| text.parse().ok()).expect("an allocation");
        assert_eq!(bytes(&item["sizeBytes"]), allocation, "{item}");
        by_virsh += allocation;
    }
    assert!(by_virsh >= 1 << 30, "{plan}");
    assert_eq!(bytes(&plan["reclaimedBytes"]), by_virsh, "{plan}");
    let kept = plan["kept"].as_array().expect("items");
    let image = guest().join("tiny.qcow2").display().to_string();
    assert!(kept.iter().any(|item| item["name"] == image.as_str() && bytes(&item["sizeBytes"]) > 0), "{plan}");
    // Snapshots go with the VM, and say so.
    let other = server.ok("CreateVM", create("snapped", json!({ "disks": [guest_disk()] }))).await;
    bed.virsh(&["snapshot-create-as", "snapped", "before-upgrade"]);
    let told = server.ok("DeleteVM", json!({ "id": other["id"], "deleteVolumes": true, "validateOnly": true })).await;
    let kinds: Vec<(&Value, &Value)> =
        told["gone"].as_array().expect("items").iter().map(|item| (&item["kind"], &item["name"])).collect();
    assert!(kinds.contains(&(&json!("snapshots"), &json!("before-upgrade"))), "{told}");
    server.ok("DeleteVM", json!({ "id": other["id"], "deleteVolumes": true })).await;

    let before = bed.files();
    server.ok("DeleteVM", json!({ "id": id, "deleteVolumes": true })).await;
    let volumes =
        |files: &std::collections::BTreeSet<String>| files.iter().filter(|file| file.contains("/images/")).count();
    assert_eq!((volumes(&before), volumes(&bed.files())), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_is_shown_without_its_secrets() {
    let bed = Testbed::new();
    let server = Server::on(&bed.uri).await;
    let text = format!(
        "<domain type='qemu'><name>secretive</name><uuid>{FOREIGN}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>
         <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
         <graphics type='vnc' port='-1' autoport='yes' passwd='hunter2'/></devices></domain>"
    );
    bed.virsh(&["define", &bed.file("secretive.xml", &text)]);
    bed.virsh(&["start", "secretive"]);
    let shown = async |what: &str, holds: &dyn Fn(&Value) -> bool| {
        server
            .until(what, SOON, async || {
                let answer = server.call("GetVMDefinition", json!({ "id": FOREIGN })).await;
                (answer.status == 200 && holds(&answer.body)).then_some(answer.body)
            })
            .await
    };
    let on = shown("both definitions", &|body| body["liveXml"].is_string()).await;
    for xml in [&on["persistentXml"], &on["liveXml"]] {
        let xml = xml.as_str().expect("a definition");
        assert!(xml.contains("secretive") && xml.contains("<graphics") && !xml.contains("hunter2"), "{xml}");
    }
    // The last that was seen of one that is gone: adopted, it is kept as LOST.
    server.ok("AdoptVM", json!({ "id": FOREIGN })).await;
    bed.virsh(&["destroy", "secretive"]);
    bed.virsh(&["undefine", "secretive"]);
    server.until_state(FOREIGN, "LOST", SOON).await;
    let lost = shown("the kept definition", &|body| body["persistentXml"].is_string()).await;
    let xml = lost["persistentXml"].as_str().expect("a definition");
    assert!(xml.contains("<graphics") && !xml.contains("hunter2") && lost["liveXml"].is_null(), "{lost}");
    // The copy that is kept has it: defined again, it is whole.
    server.ok("RedefineVM", json!({ "id": FOREIGN })).await;
    assert!(bed.virsh(&["dumpxml", "--security-info", "secretive"]).contains("hunter2"));
}
