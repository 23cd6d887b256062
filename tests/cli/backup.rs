//! `backup` and `restore`, with and without a server that runs.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Server, USER, small_spec};
use crate::{content, data_dir, run, stderr, stdout};

const HOST: &str = concat!("test://", env!("CARGO_MANIFEST_DIR"), "/tests/golden/rebuild/host.xml");

fn on(data: &Path, arguments: &[&str]) -> Output {
    let data = data.display().to_string();
    let (command, rest) = arguments.split_first().expect("a subcommand");
    run(&[&[*command, "--data-dir", &data], rest].concat())
}

fn listed(data: &Path) -> Vec<Value> {
    let output = on(data, &["backup", "--list", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    told["backups"].as_array().expect("a list").clone()
}

/// A state file of three VMs that no server has open.
fn rebuilt() -> tempfile::TempDir {
    let home = data_dir();
    let output = on(home.path(), &["recover", "--libvirt-uri", HOST]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    home
}

#[test]
fn without_a_server_the_file_is_copied_and_put_back() {
    let home = rebuilt();
    let (data, state) = (home.path(), home.path().join("state.redb"));
    let before = std::fs::read(&state).expect("the state");
    assert!(stdout(&on(data, &["backup", "--list"])).contains("no backups yet"));
    let output = on(data, &["backup"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.starts_with("MADE") && text.contains("manual") && text.contains("backups/state-"), "{text}");
    assert_eq!(listed(data).len(), 1);
    let elsewhere = data_dir();
    let file = elsewhere.path().join("copy.redb");
    let file = file.to_str().expect("a path");
    assert_eq!(on(data, &["backup", "--output", file]).status.code(), Some(0));
    let taken = on(data, &["backup", "--output", file]);
    assert_eq!(taken.status.code(), Some(1));
    assert!(stderr(&taken).contains("is there and was left untouched"), "{}", stderr(&taken));
    assert_eq!(listed(data).len(), 1, "one that goes elsewhere is not among them");
    assert_eq!(std::fs::read(&state).expect("the state"), before);

    // A file that is whole is replaced on purpose alone.
    let refused = on(data, &["restore", file]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("3 VMs") && stderr(&refused).contains("--force"), "{}", stderr(&refused));
    assert_eq!(std::fs::read(&state).expect("the state"), before);
    let output = on(data, &["restore", file, "--force", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["vms"], 3);
    let replaced = told["replaced"].as_str().expect("a path");
    assert!(replaced.contains("state.redb.before-restore-"), "{replaced}");
    assert_eq!(std::fs::read(replaced).expect("it is kept"), before);

    // A damaged one, and one that is gone, without.
    std::fs::write(&state, b"redb, but not really").expect("a file");
    assert_eq!(on(data, &["restore", file]).status.code(), Some(0));
    std::fs::remove_file(&state).expect("the state");
    let output = on(data, &["restore", file]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("with 3 VMs") && !stdout(&output).contains("kept as"), "{}", stdout(&output));
    assert_eq!(on(data, &["backup"]).status.code(), Some(0), "what was restored can be backed up");
}

#[test]
fn what_cannot_be_restored_or_backed_up_is_refused_by_name() {
    let home = rebuilt();
    let bad = home.path().join("bad.redb");
    std::fs::write(&bad, b"redb, but not really").expect("a file");
    let before = content(home.path());
    for (file, words) in
        [(bad.display().to_string(), "damaged"), ("/nonexistent/x.redb".to_owned(), "/nonexistent/x.redb")]
    {
        let output = on(home.path(), &["restore", &file, "--force"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("the backup:") && stderr(&output).contains(words), "{}", stderr(&output));
    }
    assert_eq!(content(home.path()), before);
    let empty = data_dir();
    let output = on(empty.path(), &["backup"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no state file"), "{}", stderr(&output));
    assert_eq!(content(empty.path()), []);
    let output = on(home.path(), &["backup", "--output", "/nonexistent/directory/x.redb"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/nonexistent/directory"), "{}", stderr(&output));
    assert_eq!(run(&["backup", "--data-dir", "relative"]).status.code(), Some(78));
    assert_eq!(run(&["restore", "x", "--data-dir", "relative"]).status.code(), Some(78));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_server_it_is_asked_and_nothing_is_restored_under_it() {
    let server = Server::on("test:///default").await;
    server.ok("CreateVM", json!({ "name": "kept", "spec": small_spec() })).await;
    let socket = server.socket().display().to_string();
    let home = data_dir();
    let file = home.path().join("copy.redb");
    let file = file.to_str().expect("a path");
    let output = on(&server.data_dir, &["backup", "--socket", &socket, "--output", file, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["backups"][0]["path"], file);
    let size = std::fs::metadata(file).expect("the copy").len();
    assert_eq!(told["backups"][0]["size_bytes"], size);
    let by_hand = listed(&server.data_dir).into_iter().filter(|one| one["kind"] == "manual").count();
    assert_eq!(by_hand, 1);
    let pid = server.pid().to_string();
    let refused = on(&server.data_dir, &["restore", file, "--force"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains(&pid), "{}", stderr(&refused));

    // The socket is not the server's.
    let unreachable = on(&server.data_dir, &["backup", "--socket", "/nonexistent/api.sock"]);
    assert_eq!(unreachable.status.code(), Some(1));
    let told = stderr(&unreachable);
    assert!(told.contains("/nonexistent/api.sock") && told.contains("--socket"), "{told}");

    // Elsewhere it is what the server knew.
    let other = data_dir();
    assert_eq!(on(other.path(), &["restore", file]).status.code(), Some(0));
    let restored = Server::start(Some(other.path()), &["--libvirt-uri", "test:///default"]).await;
    let vms = restored.ok("ListVMs", json!({})).await;
    assert!(vms["vms"].as_array().expect("VMs").iter().any(|vm| vm["name"] == "kept"), "{vms}");
}

/// A restored state is an older truth: what was ended or revoked since must not be good again, and
/// what was good then is good no more.
#[tokio::test(flavor = "multi_thread")]
async fn no_session_and_no_token_outlives_a_restore() {
    let home = data_dir();
    let data = home.path().join("data");
    let mut server = Server::start(Some(&data), &["--libvirt-uri", "test:///default"]).await;
    let signed = server.ok("Login", json!({ "name": USER, "password": "correct horse" })).await;
    let access_token = signed["accessToken"].as_str().expect("an access token").to_owned();
    let revoked = server.ok("CreateToken", json!({ "name": "leaked", "userId": USER })).await;
    let made = server.ok("BackupState", json!({})).await;
    server.ok("RevokeToken", json!({ "id": revoked["token"]["id"] })).await;
    let kept = server.token.clone().expect("the tests' own");
    let known = [access_token, kept, revoked["secret"].as_str().expect("a secret").to_owned()];
    let keys = std::fs::read(data.join("access-token-keys.json")).expect("the keys");
    server.terminate();

    let output = on(&data, &["restore", made["path"].as_str().expect("a path"), "--force"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told = stdout(&output);
    for words in ["1 user may sign in", "1 session and 2 API tokens are not restored", "sign in again"] {
        assert!(told.contains(words), "\"{words}\" is not in: {told}");
    }
    server.relaunch();
    for token in &known {
        let sent = reqwest::Client::new()
            .post(format!("{}/Quantixkvm.auth.v1.AuthService/WhoAmI", server.url))
            .bearer_auth(token)
            .json(&json!({}))
            .send();
        assert_eq!(sent.await.expect("an answer").status().as_u16(), 401);
    }
    assert_ne!(std::fs::read(data.join("access-token-keys.json")).expect("the keys"), keys);
    // The password is good, as it was then.
    let again = reqwest::Client::new()
        .post(format!("{}/Quantixkvm.auth.v1.AuthService/Login", server.url))
        .json(&json!({ "name": USER, "password": "correct horse" }))
        .send();
    assert_eq!(again.await.expect("an answer").status().as_u16(), 200);
}
