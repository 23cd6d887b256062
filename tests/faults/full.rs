//! R12, R13 in the whole program: the file system under its data directory is full. What cannot be
//! kept is refused with what is missing, what runs goes on, and with room all is as before.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{BINARY, SOON, Server, small_spec};

const SIZE: &str = "size=6m,mode=0700";

/// A file that takes all that is left, seen through the server's own mounts.
struct Ballast(PathBuf);

impl Ballast {
    fn fill(at: PathBuf) -> (Self, usize) {
        let mut file = std::fs::File::create(&at).expect("the test may look into the server's mounts");
        let mut taken = 0;
        for size in [65536, 4096] {
            let block = vec![7; size];
            while file.write_all(&block).is_ok() {
                taken += size;
            }
        }
        (Self(at), taken)
    }

    fn remove(self) {
        std::fs::remove_file(self.0).expect("the ballast");
    }
}

/// A server whose data directory is a small file system. Its mounts are its own: they go with it,
/// however it ends.
async fn on_a_small_disk(data: &Path) -> Server {
    // Beside it: the mount is seen by the server alone.
    let socket = data.with_extension("sock").display().to_string();
    let mount = format!("mount -t tmpfs -o {SIZE} tmpfs \"$0\" && exec \"$@\"");
    let at = data.display().to_string();
    // Who is not root is root among its own mounts alone.
    let who: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["--map-root-user"] };
    let unshare = ["unshare", "--mount", "--propagation", "private"];
    let command = [&unshare[..], who, &["sh", "-c", &mount, &at, BINARY]].concat();
    Server::start_by(&command, Some(data), &["--libvirt-uri", "test:///default", "--socket", &socket]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_got_over() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join("data");
    std::fs::create_dir(&data).expect("a directory");
    let at = data.display().to_string();
    let server = on_a_small_disk(&data).await;
    let pid = server.pid();
    let inside = PathBuf::from(format!("/proc/{pid}/root{at}"));

    let vm = server.ok("CreateVM", json!({ "name": "before", "spec": small_spec(), "startOnCreate": true })).await;
    let id = vm["id"].as_str().expect("an id").to_owned();
    server.until_state(&id, "RUNNING", SOON).await;
    server
        .until("the first backup", SOON, async || {
            server.ok("ListBackups", json!({})).await["backups"].as_array().map(drop)
        })
        .await;

    let (ballast, taken) = Ballast::fill(inside.join("ballast"));
    // Pages that the file has may take some more.
    let mut made = Vec::new();
    let refused = server
        .until("a creation to be refused", SOON, async || {
            let name = format!("during-{}", fastrand::u64(..));
            let body = json!({ "name": name, "spec": small_spec(), "description": "d".repeat(1000) });
            let answer = server.call("CreateVM", body).await;
            (answer.status != 200).then_some(answer)
        })
        .await;
    assert_eq!(refused.code(), "resource_exhausted", "{}", refused.body);
    for word in [&*format!("{at}/state.redb"), "needed", "free", "make room"] {
        assert!(refused.message().contains(word), "{word}: {}", refused.message());
    }
    let backup = server.call("BackupState", json!({})).await;
    assert_eq!(backup.code(), "resource_exhausted", "{}", backup.body);
    assert!(backup.message().contains("backups") && backup.message().contains("free"), "{}", backup.message());
    // What is there is shown, and runs.
    assert_eq!(server.state(&id).await, "RUNNING");
    for (method, body) in [
        ("ListEvents", json!({})),
        ("ListVMEvents", json!({ "vmId": id })),
        ("ListOperations", json!({})),
        ("ListBackups", json!({})),
        ("ListNodes", json!({})),
    ] {
        server.ok(method, body).await;
    }
    let shown = server.ok("ListVMs", json!({ "pageSize": 1000 })).await;
    made.extend(shown["vms"].as_array().into_iter().flatten().map(|vm| vm["name"].clone()));

    ballast.remove();
    server
        .until("a VM to be made again", SOON, async || {
            let answer = server.call("CreateVM", json!({ "name": "after", "spec": small_spec() })).await;
            (answer.status == 200).then_some(())
        })
        .await;
    server.ok("BackupState", json!({})).await;
    server
        .until("nothing to be in flight", SOON, async || {
            server.ok("ListOperations", json!({ "states": ["STATE_RUNNING"] })).await["operations"]
                .is_null()
                .then_some(())
        })
        .await;
    let listed = server.ok("ListVMs", json!({ "pageSize": 1000 })).await;
    let names = |listed: &Value| -> Vec<Value> {
        listed["vms"].as_array().into_iter().flatten().map(|vm| vm["name"].clone()).collect()
    };
    for name in names(&listed) {
        assert!(name == "after" || made.contains(&name), "{name} was refused and is there");
    }
    for vm in listed["vms"].as_array().into_iter().flatten() {
        assert_ne!(vm["status"]["state"], "PROVISIONING", "{vm}");
    }
    server.ok("StopVM", json!({ "id": id, "force": true })).await;
    server.ok("DeleteVM", json!({ "id": id })).await;
    let left: Vec<String> = [inside.clone(), inside.join("backups")]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("a folder").flatten())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".part") || name.ends_with(".new"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "temporary files are left");
    assert_eq!(server.pid(), pid);
    assert!(std::path::Path::new(&format!("/proc/{pid}/exe")).exists(), "it is the same process still");
    println!(
        "R13: {} KiB of ballast on {SIZE}: CreateVM and BackupState resource_exhausted with path, need and free; reads \
         and VMs went on; all as before once it was gone",
        taken / 1024
    );
}

/// The file has failed and is no more: nothing that is answered could be vouched for.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_file_that_cannot_be_opened_anew_ends_the_process() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join("data");
    std::fs::create_dir(&data).expect("a directory");
    let mut server = on_a_small_disk(&data).await;
    let inside = PathBuf::from(format!("/proc/{}/root{}", server.pid(), data.display()));
    let (_ballast, _) = Ballast::fill(inside.join("ballast"));
    std::fs::rename(inside.join("state.redb"), inside.join("gone.redb")).expect("the state file");
    // Until one of them needs room.
    server
        .until("a creation to meet the full disk", SOON, async || {
            let body = json!({ "name": format!("vm-{}", fastrand::u64(..)), "spec": small_spec() });
            let path = "Quantixkvm.compute.v1.VMService/CreateVM";
            match server.try_call(path, &body, &[]).await {
                Ok(answer) if answer.status == 200 => None,
                Ok(answer) => {
                    assert_eq!(answer.code(), "unavailable", "{}", answer.body);
                    Some(())
                }
                // It may be gone before it has answered.
                Err(_) => Some(()),
            }
        })
        .await;
    let status = server.ended(SOON);
    assert_eq!(status.code(), Some(1), "its supervisor starts it again\n{}", server.log());
    assert!(server.log().contains("guests run on"), "{}", server.log());
}
