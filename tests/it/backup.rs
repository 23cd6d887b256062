//! Backups of the state as clients and administrators meet them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{SOON, Server, small_spec};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

async fn backups(server: &Server) -> Vec<Value> {
    server.ok("ListBackups", json!({})).await["backups"].as_array().cloned().unwrap_or_default()
}

/// The node's condition of this type: its status and its sentence.
async fn condition(server: &Server) -> (String, String) {
    let nodes = server.ok("ListNodes", json!({})).await;
    let all = nodes["nodes"][0]["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = all.into_iter().find(|condition| condition["type"] == "BackupFresh").unwrap_or_default();
    let word = |key: &str| found[key].as_str().unwrap_or("UNKNOWN").to_owned();
    (word("status"), word("message"))
}

async fn gauge(server: &Server, name: &str) -> Option<f64> {
    let text = server.http.get(format!("{}/metrics", server.url)).send().await.ok()?.text().await.ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_made_by_itself_and_others_when_asked() {
    let mut server = Server::on("test:///default").await;
    server
        .until("the first backup by the clock", SOON, async || {
            let all = backups(&server).await;
            (all.len() == 1 && all[0]["kind"] == "KIND_SCHEDULED").then_some(())
        })
        .await;
    server.until("the node to say so", SOON, async || (condition(&server).await.0 == "TRUE").then_some(())).await;
    let made_at = gauge(&server, "quantixkvm_backup_timestamp_seconds ").await.expect("a gauge");
    assert!(made_at > 1.7e9, "{made_at}");
    assert_eq!(gauge(&server, "quantixkvm_backup_failing ").await, Some(0.0));

    server.ok("CreateVM", json!({ "name": "kept", "spec": small_spec() })).await;
    let key = [("Idempotency-Key", "b-1")];
    let made = server.call_with("BackupState", json!({}), &key).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(server.call_with("BackupState", json!({}), &key).await.body, made.body, "once a key");
    let all = backups(&server).await;
    assert_eq!((all.len(), &all[0]), (2, &made.body), "newest first");
    let path = Path::new(made.body["path"].as_str().expect("a path"));
    let folder = server.data_dir.join("backups");
    assert_eq!(path, folder.join(made.body["name"].as_str().expect("a name")));
    assert_eq!((mode(path), mode(&folder)), (0o600, 0o700));
    let size = std::fs::metadata(path).expect("a file").len();
    assert_eq!(made.body["sizeBytes"], size.to_string());
    // A start within the hour makes no other.
    server.terminate();
    server.again().await;
    server.until("the node to say so again", SOON, async || (condition(&server).await.0 == "TRUE").then_some(())).await;
    assert_eq!(backups(&server).await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_is_told_and_mended() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join("data");
    std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&data).expect("a directory");
    std::fs::write(data.join("backups"), b"in the way").expect("a file");
    let server = Server::start(Some(&data), &["--libvirt-uri", "test:///default"]).await;
    let message = server.refused("BackupState", json!({}), "failed_precondition").await;
    assert!(message.contains("backups") && message.contains("make room"), "{message}");
    server
        .until("the node to say so", Duration::from_secs(20), async || {
            let (status, message) = condition(&server).await;
            (status == "FALSE" && message.contains("quantixkvm backup")).then_some(())
        })
        .await;
    assert_eq!(gauge(&server, "quantixkvm_backup_failing ").await, Some(1.0));
    std::fs::remove_file(data.join("backups")).expect("the file");
    server.ok("BackupState", json!({})).await;
    server
        .until("the node to be content", Duration::from_secs(20), async || {
            (condition(&server).await.0 == "TRUE").then_some(())
        })
        .await;
    assert!(server.ok("ListBackups", json!({})).await["lastError"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_says_that_it_keeps_nothing() {
    let server = Server::demo().await;
    let message = server.refused("BackupState", json!({}), "failed_precondition").await;
    assert!(message.contains("in memory"), "{message}");
    assert_eq!(backups(&server).await, Vec::<Value>::new());
    assert_eq!(gauge(&server, "quantixkvm_backup_failing ").await, None);
}
