//! R6, R7: the whole program's state is backed up under load, lost and put back; and killed while
//! it makes backups.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quantixkvm::store::Store;
use serde_json::{Value, json};

use crate::support::{BINARY, SOON, Server, small_spec};

const URI: [&str; 2] = ["--libvirt-uri", "test:///default"];

/// What was acknowledged, by VM: its description.
type Ledger = Arc<Mutex<BTreeMap<String, String>>>;

/// Makes VMs and describes them until told to stop or the server is gone.
async fn load(http: reqwest::Client, url: String, who: usize, stop: Arc<AtomicBool>, ledger: Ledger) {
    let call = async |method: &str, body: Value| {
        let answer = http
            .post(format!("{url}/Quantixkvm.compute.v1.VMService/{method}"))
            .header("Content-Type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .ok()?;
        let ok = answer.status().is_success();
        Some((ok, serde_json::from_str::<Value>(&answer.text().await.ok()?).ok()?))
    };
    for round in 0.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let name = format!("load-{who}-{round}");
        let Some((true, vm)) = call("CreateVM", json!({ "name": name, "spec": small_spec() })).await else { return };
        let id = vm["id"].as_str().expect("an id").to_owned();
        ledger.lock().expect("the ledger").insert(id.clone(), String::new());
        let text = format!("round {round}");
        let Some((true, _)) = call("UpdateVM", json!({ "id": id, "description": text })).await else { return };
        ledger.lock().expect("the ledger").insert(id, text);
    }
}

/// VMs by id with what of them only the store knows.
async fn known(server: &Server) -> BTreeMap<String, Value> {
    let listed = server.ok("ListVMs", json!({ "pageSize": 1000 })).await;
    let word = |vm: &Value, key: &str| vm[key].as_str().unwrap_or_default().to_owned();
    listed["vms"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|vm| {
            let kept = json!([vm["name"], vm["description"], vm["projectId"], vm["labels"], vm["createdAt"]]);
            (word(vm, "id"), kept)
        })
        .collect()
}

fn command(data: &Path, arguments: &[&str]) {
    let output = Command::new(BINARY)
        .args(arguments)
        .args(["--data-dir", &data.display().to_string()])
        .output()
        .expect("the program can be started");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_is_restored_with_everything_acknowledged_before_its_backup() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join("data");
    let mut server = Server::start(Some(&data), &URI).await;
    let (stop, ledger) = (Arc::new(AtomicBool::new(false)), Ledger::default());
    let clients: Vec<_> = (0..3)
        .map(|who| {
            tokio::spawn(load(server.http.clone(), server.url.clone(), who, Arc::clone(&stop), Arc::clone(&ledger)))
        })
        .collect();
    server.until("some load", SOON, async || (ledger.lock().expect("the ledger").len() >= 10).then_some(())).await;
    let acknowledged = ledger.lock().expect("the ledger").clone();
    let made = server.ok("BackupState", json!({})).await;
    server
        .until("more load", SOON, async || {
            (ledger.lock().expect("the ledger").len() >= acknowledged.len() + 5).then_some(())
        })
        .await;
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("the client does not fail");
    }
    // Then one of a quiet moment, which must equal what the API shows.
    let quiet = server.ok("BackupState", json!({})).await;
    let shown = known(&server).await;
    let operations = server.ok("ListOperations", json!({ "pageSize": 1000 })).await;
    server.kill();

    let mut lost = 0;
    for (backup, equal) in [(&made, false), (&quiet, true)] {
        for file in files(&data).into_iter().filter(|path| path.is_file()) {
            std::fs::remove_file(file).expect("a file of the state");
        }
        command(&data, &["restore", backup["path"].as_str().expect("a path")]);
        server.again_anew().await;
        let restored = known(&server).await;
        for (id, text) in &acknowledged {
            let vm =
                restored.get(id).unwrap_or_else(|| panic!("VM {id} was acknowledged before the backup and is lost"));
            // What was sent before the backup and acknowledged after it may be in it, too.
            assert!(text.is_empty() || vm[1] == json!(text), "{vm} was described as {text}");
        }
        if equal {
            assert_eq!(restored, shown, "what is restored is not what was backed up");
            let now = server.ok("ListOperations", json!({ "pageSize": 1000 })).await;
            assert_eq!(now["operations"], operations["operations"]);
        } else {
            lost = shown.len() - restored.len();
        }
        // It can be worked with.
        let name = if equal { "after-quiet" } else { "after-load" };
        server.ok("CreateVM", json!({ "name": name, "spec": small_spec() })).await;
        server.kill();
    }
    println!(
        "R6: backed up under load after {} acknowledged VMs, 0 of them lost ({lost} made later are not in it); the \
         backup of a quiet moment equals what was shown ({} VMs)",
        acknowledged.len(),
        shown.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_backing_up_there_is_no_half_backup() {
    let rounds = if std::env::var_os("QKVM_LONG").is_some() { 100 } else { 12 };
    let seed = std::env::var("QKVM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("R6: seed {seed} (QKVM_SEED repeats it)");
    let mut random = fastrand::Rng::with_seed(seed);
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join("data");
    let folder = data.join("backups");
    let mut server = Server::start(Some(&data), &URI).await;
    let (mut parts, mut whole) = (0, 0);
    for _ in 0..rounds {
        let (http, url) = (server.http.clone(), server.url.clone());
        let asking = tokio::spawn(async move {
            let method = "Quantixkvm.state.v1.StateService/BackupState";
            let ask = || http.post(format!("{url}/{method}")).header("Content-Type", "application/json").body("{}");
            while ask().send().await.is_ok() {}
        });
        tokio::time::sleep(Duration::from_millis(random.u64(1..150))).await;
        server.kill();
        asking.await.expect("the client does not fail");
        let is_part = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "part");
        let half: Vec<_> = files(&folder).into_iter().filter(is_part).collect();
        parts += half.len();
        for path in files(&folder).iter().filter(|path| !is_part(path)) {
            Store::inspect_backup(path)
                .unwrap_or_else(|error| panic!("seed {seed}: a half backup has a name: {error}"));
            whole += 1;
        }
        server.again().await;
        // The new process makes one by the clock, and that has a part of its own.
        let left: Vec<_> = files(&folder).into_iter().filter(|path| half.contains(path)).collect();
        assert_eq!(left, Vec::<std::path::PathBuf>::new(), "seed {seed}");
    }
    println!(
        "R6: {rounds} kills among backups: {whole} looks at named ones, 0 half; {parts} parts, 0 after the next start"
    );
}
