use std::path::Path;

use serde_json::Value;

use crate::support::Server;
use crate::{content, data_dir, run, stdout};

const TEST: &str = "test:///default";
const NAMES: [&str; 15] = [
    "configuration",
    "data-directory",
    "state-file",
    "listen",
    "cpu",
    "orphans",
    "qemu-img",
    "uefi",
    "tpm",
    "libvirt",
    "qemu",
    "kvm",
    "libvirt-speed",
    "pool",
    "network",
];

/// The findings, and the code that the program exits with.
fn check(data: &Path, uri: &str, listen: &str) -> (Vec<Value>, Option<i32>) {
    let data = data.display().to_string();
    let flags = ["check", "--json", "--allow-root", "--data-dir", &data, "--libvirt-uri", uri, "--listen", listen];
    let output = run(&flags);
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).expect("an array");
    let names: Vec<&str> = findings.iter().filter_map(|finding| finding["name"].as_str()).collect();
    assert_eq!(names, NAMES, "the list is always the same");
    for finding in &findings {
        let keys: Vec<&str> = finding.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["found", "name", "remedy", "status"]);
        let bad = matches!(finding["status"].as_str(), Some("warning" | "failed"));
        assert_eq!(finding["remedy"].is_string(), bad, "{finding}");
    }
    (findings, output.status.code())
}

fn one<'a>(findings: &'a [Value], name: &str) -> (&'a str, &'a str) {
    let finding = findings.iter().find(|finding| finding["name"] == name).expect("it is in the list");
    (finding["status"].as_str().expect("a status"), finding["found"].as_str().expect("what was found"))
}

#[test]
fn the_test_driver_is_fit() {
    let home = data_dir();
    let (findings, code) = check(&home.path().join("data"), TEST, "127.0.0.1:0");
    assert_eq!(code, Some(0), "{findings:#?}");
    for name in ["configuration", "data-directory", "state-file", "listen", "libvirt", "network"] {
        assert_eq!(one(&findings, name).0, "ok", "{findings:#?}");
    }
    for name in ["qemu", "kvm", "libvirt-speed"] {
        assert_eq!(one(&findings, name).0, "skipped", "{findings:#?}");
    }
    assert_eq!(content(home.path()), [], "nothing is made");
}

#[test]
fn libvirt_out_of_reach_fails_with_a_remedy() {
    let home = data_dir();
    let (findings, code) = check(home.path(), "qemu:///system?socket=/nonexistent/socket", "127.0.0.1:0");
    assert_eq!(code, Some(1));
    let (status, found) = one(&findings, "libvirt");
    assert_eq!(status, "failed");
    assert!(found.contains("/nonexistent/socket"), "{found}");
    assert_eq!(one(&findings, "pool"), ("skipped", "libvirt cannot be reached"));
}

#[test]
fn a_damaged_state_file_is_named_and_left_alone() {
    let home = data_dir();
    let data = home.path().display().to_string();
    let host = concat!("test://", env!("CARGO_MANIFEST_DIR"), "/tests/golden/rebuild/host.xml");
    assert!(run(&["recover", "--data-dir", &data, "--libvirt-uri", host]).status.success());
    let (findings, code) = check(home.path(), TEST, "127.0.0.1:0");
    assert_eq!(code, Some(0));
    assert!(one(&findings, "state-file").1.contains("3 VMs"), "{findings:#?}");

    let file = home.path().join("state.redb");
    let whole = std::fs::read(&file).expect("the state file");
    for (damage, words) in [
        (whole[..whole.len() / 2].to_vec(), "damaged"),
        (Vec::new(), "it is empty"),
        (b"not a database at all".to_vec(), "no state file of quantixkvm"),
    ] {
        std::fs::write(&file, &damage).expect("the state file can be damaged");
        let before = content(home.path());
        let (findings, code) = check(home.path(), TEST, "127.0.0.1:0");
        let (status, found) = one(&findings, "state-file");
        assert_eq!((code, status), (Some(1), "failed"), "{found}");
        assert!(found.contains(words), "\"{words}\" is not in: {found}");
        assert_eq!(content(home.path()), before, "not a byte is changed");
    }
}

#[test]
fn a_directory_that_others_read_fails() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = data_dir();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let (findings, code) = check(home.path(), TEST, "127.0.0.1:0");
    assert_eq!((code, one(&findings, "data-directory").0), (Some(1), "failed"));
}

#[test]
fn a_strangers_port_fails() {
    let home = data_dir();
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = stranger.local_addr().expect("its address").to_string();
    let answering = std::thread::spawn(move || drop(stranger.accept()));
    let (findings, code) = check(home.path(), TEST, &address);
    let (status, found) = one(&findings, "listen");
    assert_eq!((code, status), (Some(1), "failed"));
    assert!(found.contains(&address), "{found}");
    answering.join().expect("it was asked who it is");
}

#[tokio::test]
async fn a_server_that_runs_is_no_fault() {
    let mut server = Server::on(TEST).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let data = server.data_dir.clone();
    let pid = server.pid();
    let checked = tokio::task::spawn_blocking(move || check(&data, TEST, &address)).await;
    let (findings, code) = checked.expect("the check ran");
    assert_eq!(code, Some(0), "{findings:#?}");
    assert_eq!(one(&findings, "listen").0, "ok", "{findings:#?}");
    assert!(one(&findings, "state-file").1.contains(&format!("process {pid}")), "{findings:#?}");
    server.terminate();
}

#[test]
fn a_wrong_setting_is_a_finding() {
    let output = run(&["check", "--json", "--accelerator", "xen"]);
    assert_eq!(output.status.code(), Some(1));
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).expect("an array");
    let (status, found) = one(&findings, "configuration");
    assert_eq!(status, "failed");
    assert!(found.contains("--accelerator") && found.contains("xen"), "{found}");
    assert_eq!(one(&findings, "libvirt").0, "skipped");
}

#[test]
fn the_list_is_for_people() {
    let home = data_dir();
    let data = home.path().display().to_string();
    let output = run(&["check", "--data-dir", &data, "--libvirt-uri", TEST, "--listen", "127.0.0.1:0"]);
    let text = stdout(&output);
    assert!(!text.contains('\x1b'), "no colors where nobody looks: {text}");
    for name in NAMES {
        let lines = text.lines().filter(|line| line.split_whitespace().nth(1) == Some(name)).count();
        assert_eq!(lines, 1, "one line for {name}: {text}");
    }
}
