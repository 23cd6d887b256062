//! What an operator may not, where the method itself is an operator's: files of the host outside its
//! pools, more than the quota, a VM that is protected.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Answer, SOON, Server, small_spec};
use crate::vm::fields;

/// A server on a test driver whose pool `default` is a directory of this test.
struct Host {
    server: Server,
    home: tempfile::TempDir,
}

impl Host {
    async fn new() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(home.path().join("pool")).expect("a directory");
        let xml = format!(
            "<node><pool type='dir'><name>default</name><target><path>{pool}</path></target>\
             <volume type='file'><name>link</name><capacity>1048576</capacity><target><path>{pool}/link</path>\
             <format type='raw'/></target></volume></pool>\
             <pool type='dir'><name>unseen</name><target><path>/nowhere/pool</path></target>\
             <volume type='file'><name>there</name><capacity>1048576</capacity><target><path>/nowhere/pool/there</path>\
             <format type='raw'/></target></volume></pool>\
             <pool type='logical'><name>lv</name><source><name>vg</name></source><target><path>/dev/vg</path></target>\
             <volume type='block'><name>root</name><capacity>1048576</capacity><target><path>/dev/vg/root</path>\
             <format type='raw'/></target></volume></pool></node>",
            pool = home.path().join("pool").display()
        );
        let file = home.path().join("host.xml");
        std::fs::write(&file, xml).expect("the test driver's file");
        let server = Server::on(&format!("test://{}", file.display())).await;
        Self { server, home }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn path(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    async fn operator(&self, name: &str, quota: Value) -> String {
        let token = self.server.token_of(name, "OPERATOR").await;
        self.server.ok("UpdateUser", json!({ "id": name, "quota": quota })).await;
        token
    }
}

/// A small specification with more in it.
fn with(part: Value) -> Value {
    let mut spec = small_spec();
    spec.as_object_mut().expect("an object").extend(part.as_object().expect("an object").clone());
    spec
}

fn only_validated(mut body: Value) -> Value {
    body["validateOnly"] = json!(true);
    body
}

/// The header of a qcow2 image over `under`.
fn qcow2(at: &Path, under: &str) {
    let mut bytes = b"QFI\xfb\0\0\0\x03".to_vec();
    bytes.extend(if under.is_empty() { 0_u64 } else { 104 }.to_be_bytes());
    bytes.extend(u32::try_from(under.len()).expect("short").to_be_bytes());
    bytes.resize(104, 0);
    bytes.extend(under.as_bytes());
    std::fs::write(at, bytes).expect("an image");
}

fn denied(answer: &Answer, field: &str, path: &str) {
    assert_eq!(answer.code(), "permission_denied", "{field} {path}: {}", answer.body);
    assert_eq!(fields(answer), [field], "{path}: {}", answer.body);
    assert!(answer.message().contains(path) && answer.message().contains("role admin"), "{}", answer.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_names_files_of_the_pools_and_an_administrator_any() {
    let host = Host::new().await;
    let server = &host.server;
    let ann = host.operator("ann", json!({})).await;
    std::fs::create_dir(host.at("outside")).expect("a directory");
    std::fs::write(host.at("outside/secret"), "secret").expect("a file");
    for name in ["pool/a.iso", "pool/vmlinuz", "pool/initrd"] {
        std::fs::write(host.at(name), "x").expect("a file");
    }
    symlink(host.at("outside/secret"), host.at("pool/link")).expect("a link");
    symlink(host.at("outside"), host.at("pool/way")).expect("a link");
    symlink("/dev/null", host.at("pool/null")).expect("a link");
    let plain = host.path("pool/plain.qcow2");
    qcow2(Path::new(&plain), "");
    qcow2(&host.at("pool/over.qcow2"), "plain.qcow2");
    for (name, under) in
        [("shadow", "/etc/shadow"), ("up", "../outside/secret"), ("json", "json:{\"driver\":\"file\"}")]
    {
        qcow2(&host.at(&format!("pool/{name}.qcow2")), under);
    }
    qcow2(&host.at("pool/twice.qcow2"), "shadow.qcow2");
    std::fs::write(host.at("pool/no-image"), [0; 512]).expect("a file");
    let disk = |path: &str, format: &str| json!({ "disks": [{ "path": path, "format": format }] });

    let outside = [
        host.path("outside/secret"),
        host.path("outside/nothing"),
        "/etc/shadow".to_owned(),
        "/dev/sda".to_owned(),
        "/dev/null".to_owned(),
        "/dev/vg/root".to_owned(),
        "/proc/self/mem".to_owned(),
        host.path("pool"),
        host.path("pool/link"),
        host.path("pool/way/secret"),
        host.path("pool/null"),
        "/nowhere/at/all".to_owned(),
    ];
    let over = |name: &str| host.path(&format!("pool/{name}"));
    let leading = ["shadow.qcow2", "up.qcow2", "json.qcow2", "twice.qcow2", "no-image"].map(over);
    let mut rows: Vec<(Value, &str, &str)> = Vec::new();
    for path in &outside {
        let backing = json!({ "disks": [{ "sizeGib": 1, "backingFile": path, "backingFormat": "RAW" }] });
        let kernel = |kernel: &str, initrd: &str| json!({ "boot": { "directBoot": { "kernelPath": kernel, "initrdPath": initrd } } });
        rows.extend([
            (disk(path, "RAW"), "spec.disks[0].path", path.as_str()),
            (disk(path, "QCOW2"), "spec.disks[0].path", path),
            (backing, "spec.disks[0].backing_file", path),
            (json!({ "cdroms": [{ "isoPath": path }] }), "spec.cdroms[0].iso_path", path),
            (kernel(path, ""), "spec.boot.direct_boot.kernel_path", path),
            (kernel(&host.path("pool/vmlinuz"), path), "spec.boot.direct_boot.initrd_path", path),
        ]);
    }
    for path in &leading {
        let backing = json!({ "disks": [{ "sizeGib": 1, "backingFile": path, "backingFormat": "QCOW2" }] });
        rows.extend([
            (disk(path, "QCOW2"), "spec.disks[0].path", path.as_str()),
            (backing, "spec.disks[0].backing_file", path),
        ]);
    }
    for (part, field, path) in &rows {
        let body = json!({ "name": "x", "spec": with(part.clone()) });
        denied(&server.call_as(Some(&ann), "CreateVM", only_validated(body.clone())).await, field, path);
        denied(&server.call_as(Some(&ann), "CreateVM", body).await, field, path);
    }
    assert!(server.ok("ListVMs", json!({})).await["vms"].is_null(), "a refused creation left something");
    println!("host paths refused to an operator: {}/{}", rows.len(), rows.len());

    // What is there and what is not are refused in the same words.
    let words = async |path: &str| {
        let body = json!({ "name": "x", "spec": with(disk(path, "RAW")) });
        server.call_as(Some(&ann), "CreateVM", body).await.message().replace(path, "")
    };
    assert_eq!(words(&host.path("outside/secret")).await, words(&host.path("outside/nothing")).await);

    // A volume by its id is a path, too; and of what this service cannot see, libvirt's list decides.
    let volume =
        |pool: &str, name: &str| json!({ "disks": [{ "storagePoolId": pool, "volumeId": name, "format": "RAW" }] });
    for (part, field) in [
        (volume("default", "link"), "spec.disks[0].volume_id"),
        (volume("lv", "root"), "spec.disks[0].volume_id"),
        (disk("/nowhere/pool/elsewhere", "RAW"), "spec.disks[0].path"),
    ] {
        let body = json!({ "name": "x", "spec": with(part) });
        let answer = server.call_as(Some(&ann), "CreateVM", body.clone()).await;
        assert_eq!((answer.code(), fields(&answer)), ("permission_denied", vec![field.to_owned()]), "{}", answer.body);
        assert_eq!(server.call("CreateVM", only_validated(body)).await.status, 200, "an administrator may");
    }
    for part in [volume("unseen", "there"), disk("/nowhere/pool/there", "RAW")] {
        let body = only_validated(json!({ "name": "x", "spec": with(part) }));
        let answer = server.call_as(Some(&ann), "CreateVM", body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    let good = json!({ "disks": [{ "path": plain, "format": "QCOW2" },
        { "path": host.path("pool/over.qcow2"), "format": "QCOW2" }],
        "cdroms": [{ "isoPath": host.path("pool/a.iso") }],
        "boot": { "directBoot": { "kernelPath": host.path("pool/vmlinuz"), "initrdPath": host.path("pool/initrd") } } });
    let made = server.call_as(Some(&ann), "CreateVM", json!({ "name": "good", "spec": with(good) })).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(made.body["createdBy"], "ann");
    let id = made.body["id"].as_str().expect("an id").to_owned();

    // Media, and the same paths by an update.
    let secret = host.path("outside/secret");
    denied(
        &server.call_as(Some(&ann), "MountISO", json!({ "vmId": id, "isoPath": secret })).await,
        "iso_path",
        &secret,
    );
    for (part, field) in [
        (disk(&secret, "RAW"), "spec.disks[0].path"),
        (disk(&host.path("pool/shadow.qcow2"), "QCOW2"), "spec.disks[0].path"),
        (
            json!({ "cdroms": [{ "id": made.body["spec"]["cdroms"][0]["id"], "isoPath": secret }] }),
            "spec.cdroms[0].iso_path",
        ),
        (json!({ "boot": { "directBoot": { "kernelPath": secret } } }), "spec.boot.direct_boot.kernel_path"),
    ] {
        let answer = server.call_as(Some(&ann), "UpdateVM", json!({ "id": id, "spec": part })).await;
        assert_eq!((answer.code(), fields(&answer)), ("permission_denied", vec![field.to_owned()]), "{}", answer.body);
    }
    // An administrator names it; then the operator changes what else there is, and gets no more of it.
    let odd = json!({ "disks": [{ "path": secret, "format": "RAW", "readonly": true }] });
    let odd = server.ok("CreateVM", json!({ "name": "odd", "spec": with(odd) })).await;
    let renamed = json!({ "id": odd["id"], "description": "x", "spec": { "memory": { "sizeMib": 512 } } });
    assert_eq!(server.call_as(Some(&ann), "UpdateVM", renamed).await.status, 200);
    for (key, value) in [("readonly", json!(false)), ("format", json!("QCOW2"))] {
        let mut disks = odd["spec"]["disks"].clone();
        disks[0][key] = value;
        let answer =
            server.call_as(Some(&ann), "UpdateVM", json!({ "id": odd["id"], "spec": { "disks": disks } })).await;
        denied(&answer, "spec.disks[0].path", &secret);
    }
    // What a guest writes into is no image, whatever it says.
    let raw = server.ok("CreateVM", json!({ "name": "raw", "spec": with(disk(&host.path("pool/raw"), "RAW")) })).await;
    qcow2(&host.at("pool/raw"), "");
    let body = json!({ "name": "x", "spec": with(disk(&host.path("pool/raw"), "QCOW2")) });
    let answer = server.call_as(Some(&ann), "CreateVM", body.clone()).await;
    denied(&answer, "spec.disks[0].path", "pool/raw");
    assert!(answer.message().contains("\"raw\""), "{}", answer.message());
    server.ok("DeleteVM", json!({ "id": raw["id"] })).await;
    assert_eq!(server.call_as(Some(&ann), "CreateVM", body).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_creations_at_once_as_many_are_made_as_the_quota_allows() {
    let host = Host::new().await;
    let ann = host.operator("ann", json!({ "vms": 5 })).await;
    // By one client, whose connections are there: at once is at once.
    let bearer = format!("Bearer {ann}");
    let signed = [("Authorization", bearer.as_str())];
    let spec = with(json!({ "disks": [{ "sizeGib": 1 }, { "sizeGib": 1 }] }));
    let body = |name: &str| json!({ "name": name, "spec": spec });
    let create = async |name: String| host.server.call_with("CreateVM", body(&name), &signed).await;
    let known = async || host.server.call_with("WhoAmI", json!({}), &signed).await.body["name"].clone();
    assert_eq!(futures::future::join_all((0..20).map(|_| known())).await[19], "ann");
    let answers = futures::future::join_all((0..20).map(|n| create(format!("vm-{n}")))).await;
    let made = answers.iter().filter(|answer| answer.status == 200).count();
    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert_eq!((made, refused.len()), (5, 15), "{refused:?}");
    for answer in refused {
        assert_eq!(answer.code(), "resource_exhausted", "{}", answer.body);
        assert!(answer.message().contains("the quota of ann is 5"), "{}", answer.message());
    }
    let vms = host.server.ok("ListVMs", json!({})).await["vms"].as_array().expect("VMs").clone();
    assert_eq!(vms.len(), 5);
    // Another operator's are others', an administrator's are nobody's, and what goes makes room.
    let bob = host.operator("bob", json!({ "vms": 1 })).await;
    let of_bob = json!({ "name": "of-bob", "spec": small_spec() });
    assert_eq!(host.server.call_as(Some(&bob), "CreateVM", of_bob).await.status, 200);
    host.server.ok("CreateVM", json!({ "name": "of-the-admin", "spec": small_spec() })).await;
    assert_eq!(create("more".to_owned()).await.code(), "resource_exhausted");
    let gone = host.server.call_as(Some(&ann), "DeleteVM", json!({ "id": vms[0]["id"] })).await;
    assert_eq!(gone.status, 200, "{}", gone.body);
    assert_eq!(create("more".to_owned()).await.status, 200);
    // Nor does it become the host's, which would count in no quota.
    for validate_only in [true, false] {
        let body = json!({ "id": vms[1]["id"], "removeFromInventoryOnly": true, "validateOnly": validate_only });
        let answer = host.server.call_as(Some(&ann), "DeleteVM", body).await;
        assert_eq!(answer.code(), "permission_denied", "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_counts_what_vms_may_grow_to_and_says_what_is_used() {
    let host = Host::new().await;
    let server = &host.server;
    let ann = host.operator("ann", json!({ "vcpus": 8, "memoryMib": "1024", "diskGib": "10" })).await;
    let ask = async |method: &str, body: Value| server.call_as(Some(&ann), method, body).await;
    let spec = json!({ "cpu": { "cores": 2, "maxCores": 6 }, "memory": { "sizeMib": 256, "maxMemoryMib": 512 },
        "disks": [{ "sizeGib": 4 }, { "sizeGib": 2 }] });
    let made = ask("CreateVM", json!({ "name": "one", "spec": spec })).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let one = made.body["id"].clone();
    let body = json!({ "name": "two", "spec": { "cpu": { "cores": 3 }, "memory": { "sizeMib": 513 },
        "disks": [{ "sizeGib": 5 }] } });
    for body in [only_validated(body.clone()), body] {
        let answer = ask("CreateVM", body).await;
        assert_eq!(answer.code(), "resource_exhausted", "{}", answer.body);
        let mut found = fields(&answer);
        found.sort();
        assert_eq!(found, ["spec.cpu.cores", "spec.disks", "spec.memory.size_mib"], "{}", answer.body);
        for told in [
            "3 vCPUs are needed, other VMs that ann made use 6, and the quota of ann is 8",
            "513 MiB",
            "use 512",
            "5 GiB",
            "is 10",
        ] {
            assert!(answer.message().contains(told), "{told}: {}", answer.message());
        }
    }
    // Existing volumes were made for somebody else: they cost nothing.
    let two = ask(
        "CreateVM",
        json!({ "name": "two", "spec": { "cpu": { "cores": 2 }, "memory": { "sizeMib": 512 },
        "disks": [{ "sizeGib": 4 }] } }),
    )
    .await;
    assert_eq!(two.status, 200, "{}", two.body);
    let update = async |id: &Value, spec: Value| ask("UpdateVM", json!({ "id": id, "spec": spec })).await;
    assert_eq!(update(&two.body["id"], json!({ "cpu": { "cores": 3 } })).await.code(), "resource_exhausted");
    assert_eq!(update(&two.body["id"], json!({ "memory": { "sizeMib": 513 } })).await.code(), "resource_exhausted");
    assert_eq!(update(&two.body["id"], json!({ "cpu": { "cores": 1 } })).await.status, 200);
    assert_eq!(update(&two.body["id"], json!({ "cpu": { "cores": 2 } })).await.status, 200);
    // One of somebody else counts as theirs who makes it larger, whole.
    let other = server.ok("CreateVM", json!({ "name": "other", "spec": small_spec() })).await;
    assert_eq!(update(&other["id"], json!({ "cpu": { "cores": 2 } })).await.code(), "resource_exhausted");
    assert_eq!(ask("UpdateVM", json!({ "id": other["id"], "description": "x" })).await.status, 200);
    server.ok("UpdateVM", json!({ "id": one, "spec": { "cpu": { "cores": 6, "maxCores": 16 } } })).await;
    // A quota that was lowered, or passed by an administrator, takes nothing away.
    assert_eq!(update(&one, json!({ "cpu": { "cores": 4 } })).await.status, 200);
    assert_eq!(ask("StartVM", json!({ "id": one })).await.status, 200);

    // Two that grow at once are not both let past.
    let bob = host.operator("bob", json!({ "vcpus": 12 })).await;
    let mut ids = Vec::new();
    for n in 0..8 {
        let body = json!({ "name": format!("bob-{n}"), "spec": small_spec() });
        ids.push(server.call_as(Some(&bob), "CreateVM", body).await.body["id"].clone());
    }
    let bearer = format!("Bearer {bob}");
    let signed = [("Authorization", bearer.as_str())];
    let known = async || server.call_with("WhoAmI", json!({}), &signed).await.body["name"].clone();
    assert_eq!(futures::future::join_all((0..8).map(|_| known())).await[7], "bob");
    let grow = async |id: &Value| {
        let body = json!({ "id": id, "spec": { "cpu": { "cores": 2 } } });
        server.call_with("UpdateVM", body, &signed).await
    };
    let answers = futures::future::join_all(ids.iter().map(grow)).await;
    let grown = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(grown, 4, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.code() == "resource_exhausted"), "{answers:?}");
}

/// The verb's answer in `allowed_actions`.
fn action<'a>(vm: &'a Value, verb: &str) -> &'a Value {
    let all = vm["allowedActions"].as_array().expect("actions");
    all.iter().find(|action| action["verb"] == verb).expect("every verb is listed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_vm_is_deleted_by_nobody() {
    let mut host = Host::new().await;
    let ann = host.operator("ann", json!({})).await;
    let server = &host.server;
    // Setting and clearing it is an administrator's.
    let body = json!({ "name": "kept", "spec": small_spec(), "deletionProtection": true });
    for body in [only_validated(body.clone()), body.clone()] {
        let answer = server.call_as(Some(&ann), "CreateVM", body).await;
        assert_eq!(answer.code(), "permission_denied", "{}", answer.body);
        assert_eq!(fields(&answer), ["deletion_protection"]);
    }
    let plain = json!({ "name": "ann-1", "spec": small_spec(), "deletionProtection": false });
    let plain = server.call_as(Some(&ann), "CreateVM", plain).await;
    assert_eq!(plain.status, 200, "{}", plain.body);
    assert!(plain.body["deletionProtection"].is_null());
    let kept = server.ok("CreateVM", body).await;
    assert_eq!(kept["deletionProtection"], true);
    for on in [true, false] {
        for vm in [&kept, &plain.body] {
            for body in [
                json!({ "id": vm["id"], "deletionProtection": on }),
                json!({ "id": vm["id"], "updateMask": "deletionProtection" }),
            ] {
                let answer = server.call_as(Some(&ann), "UpdateVM", body).await;
                assert_eq!(answer.code(), "permission_denied", "{}", answer.body);
                assert!(answer.message().contains("role admin"), "{}", answer.message());
            }
        }
    }
    // No deletion of whatever kind, in whatever state.
    for state in ["STOPPED", "RUNNING"] {
        if state == "RUNNING" {
            server.ok("StartVM", json!({ "id": kept["id"] })).await;
        }
        for (key, validate_only) in ["force", "deleteVolumes", "removeFromInventoryOnly"]
            .into_iter()
            .flat_map(|key| [(key, true), (key, false)])
        {
            let body = json!({ "id": kept["id"], key: true, "validateOnly": validate_only });
            let answer = server.call_as(Some(&ann), "DeleteVM", body.clone()).await;
            assert_eq!(answer.code(), "permission_denied", "{body}: {}", answer.body);
            let told = server.refused("DeleteVM", body, "failed_precondition").await;
            assert_eq!(told, "VM \"kept\" is protected against deletion; clear the protection first");
        }
        let vm = server.vm(kept["id"].as_str().expect("an id")).await;
        for verb in ["delete", "force_delete"] {
            let action = action(&vm, verb);
            assert!(action["allowed"].is_null(), "{action}");
            assert!(
                action["reason"].as_str().is_some_and(|why| why.contains("protected against deletion")),
                "{action}"
            );
        }
        assert_eq!(vm["status"]["state"], state);
    }
    // Whatever else an operator does is done, and leaves the protection as it is.
    for body in [json!({ "description": "x" }), json!({ "spec": { "memory": { "sizeMib": 300 } } })] {
        let mut body = body;
        body["id"] = kept["id"].clone();
        let answer = server.call_as(Some(&ann), "UpdateVM", body).await;
        assert_eq!((answer.status, &answer.body["deletionProtection"]), (200, &json!(true)), "{}", answer.body);
    }
    // It is in libvirt's definition, too.
    server
        .until("the metadata to follow", SOON, async || {
            let shown = server.ok("GetVMDefinition", json!({ "id": kept["id"] })).await;
            let text = shown["persistentXml"].as_str()?.to_owned();
            text.contains("protection deletion=").then_some(())
        })
        .await;
    // On and off with a specification at once.
    let id = plain.body["id"].clone();
    for on in [true, false] {
        let cores = if on { 2 } else { 1 };
        let body = json!({ "id": id, "deletionProtection": on, "spec": { "cpu": { "cores": cores } } });
        let vm = server.ok("UpdateVM", body).await;
        assert_eq!((vm["deletionProtection"] == true, &vm["spec"]["cpu"]["cores"]), (on, &json!(cores)));
    }
    let outside = host.path("outside.raw");
    let odd = with(json!({ "disks": [{ "path": outside, "format": "RAW" }] }));
    let odd = server.ok("CreateVM", json!({ "name": "odd", "spec": odd })).await;

    // Another process has another test driver: what it does not know is lost, and protected still.
    host.server.kill();
    host.server.again().await;
    let server = &host.server;
    let kept_id = kept["id"].as_str().expect("an id");
    server.until_state(kept_id, "LOST", SOON).await;
    assert_eq!(server.vm(kept_id).await["deletionProtection"], true);
    let told = server.refused("DeleteVM", json!({ "id": kept_id }), "failed_precondition").await;
    assert!(told.contains("protected against deletion"), "{told}");
    // What is lost is defined again within the same bounds.
    let answer = server.call_as(Some(&ann), "RedefineVM", json!({ "id": odd["id"] })).await;
    denied(&answer, "spec.disks[0].path", &outside);
    server.ok("UpdateUser", json!({ "id": "ann", "quota": { "memoryMib": "500" } })).await;
    let answer = server.call_as(Some(&ann), "RedefineVM", json!({ "id": kept_id })).await;
    assert_eq!(answer.code(), "resource_exhausted", "{}", answer.body);
    server.ok("UpdateUser", json!({ "id": "ann", "quota": {} })).await;
    let again = server.call_as(Some(&ann), "RedefineVM", json!({ "id": kept_id })).await;
    assert_eq!((again.status, &again.body["deletionProtection"]), (200, &json!(true)), "{}", again.body);
    let cleared = server.ok("UpdateVM", json!({ "id": kept_id, "deletionProtection": false })).await;
    assert!(cleared["deletionProtection"].is_null(), "{cleared}");
    let events = server.ok("ListVMEvents", json!({ "vmId": kept_id })).await;
    let said = events["events"].to_string();
    assert!(said.contains("is no longer protected against deletion"), "{said}");
    let gone = server.call_as(Some(&ann), "DeleteVM", json!({ "id": kept_id })).await;
    assert_eq!(gone.status, 200, "{}", gone.body);
}
