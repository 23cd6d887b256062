use std::path::Path;

use serde_json::json;

use crate::support::Server;
use crate::{content, data_dir, run, stderr, stdout};

const HOST: &str = concat!("test://", env!("CARGO_MANIFEST_DIR"), "/tests/golden/rebuild/host.xml");

fn recover(data: &Path, uri: &str) -> std::process::Output {
    run(&["recover", "--data-dir", &data.display().to_string(), "--libvirt-uri", uri])
}

#[tokio::test]
async fn what_libvirt_knows_is_served_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = data_dir();
    let data = home.path().join("data");
    let output = recover(&data, HOST);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for words in ["Rebuilt 3 VMs", "web-1", "web-2", "web-3", "Skipped 5 VMs", "state.redb"] {
        assert!(text.contains(words), "\"{words}\" is not in: {text}");
    }
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!((mode(&data), mode(&data.join("state.redb"))), (0o700, 0o600));

    let mut server = Server::start(Some(&data), &["--libvirt-uri", HOST, "--accelerator", "tcg"]).await;
    let vm = server.vm("10000000-0000-4000-8000-000000000002").await;
    assert_eq!(vm["name"], json!("web-2"), "{vm}");
    server.terminate();
}

#[test]
fn a_file_that_is_there_is_never_touched() {
    let home = data_dir();
    assert_eq!(recover(home.path(), HOST).status.code(), Some(0));
    let before = content(home.path());
    let again = recover(home.path(), HOST);
    assert_eq!(again.status.code(), Some(1));
    let words = stderr(&again);
    assert!(words.contains("state.redb is there") && words.contains("move it away"), "{words}");
    assert_eq!(content(home.path()), before);

    // Damaged, or a link that leads nowhere: there all the same.
    let file = home.path().join("state.redb");
    std::fs::remove_file(&file).expect("the state file");
    std::os::unix::fs::symlink("/nonexistent/state.redb", &file).expect("a link");
    assert_eq!(recover(home.path(), HOST).status.code(), Some(1));
    assert!(file.is_symlink());
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let home = data_dir();
    let data = home.path().join("data");
    let output = recover(&data, "qemu:///system?socket=/nonexistent/socket");
    assert_eq!(output.status.code(), Some(1));
    let words = stderr(&output);
    assert!(words.contains("/nonexistent/socket") && words.contains("quantixkvm check"), "{words}");
    assert_eq!(content(home.path()), []);
}

#[test]
fn a_wrong_setting_is_refused() {
    let output = run(&["recover", "--data-dir", "relative"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("--data-dir"), "{}", stderr(&output));
}
