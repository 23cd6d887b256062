//! Consoles, keys and media where there is no guest: what is refused, and who is let in.

use serde_json::json;

use crate::support::{Server, small_spec, ws};

const RUNNING: &str = "web-server-01";
const STOPPED: &str = "11111111-1111-1111-1111-111111111111";

async fn id_of(server: &Server, name: &str) -> String {
    let all = server.ok("ListVMs", json!({})).await;
    let vms = all["vms"].as_array().expect("VMs");
    let found = vms.iter().find(|vm| vm["name"] == name).expect("the demo has it");
    found["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_driver_without_consoles_says_so() {
    let server = Server::demo().await;
    let id = id_of(&server, RUNNING).await;
    for kind in ["KIND_VNC", "KIND_SERIAL"] {
        let message = server.refused("GetConsole", json!({ "vmId": id, "kind": kind }), "unimplemented").await;
        assert!(message.contains("test driver"), "{message}");
        let message =
            server.refused("GetConsole", json!({ "vmId": STOPPED, "kind": kind }), "failed_precondition").await;
        assert!(message.contains("dev-workstation") && message.contains("RUNNING"), "{message}");
    }
    server.refused("GetConsole", json!({ "vmId": id, "type": "SPICE" }), "unimplemented").await;
    server.refused("GetConsole", json!({ "vmId": id, "kind": "KIND_VNC", "takeOver": true }), "invalid_argument").await;
    server.refused("GetConsole", json!({ "vmId": "x" }), "invalid_argument").await;
    let unknown = "99999999-9999-4999-8999-999999999999";
    for method in ["GetConsole", "GetScreenshot"] {
        server.refused(method, json!({ "vmId": unknown }), "not_found").await;
    }
    // What it has: a screen to photograph, keys to press.
    let shot = server.ok("GetScreenshot", json!({ "vmId": id })).await;
    // The signature of PNG, in base64: what every libvirt and QEMU that is supported gives.
    assert!(shot["image"].as_str().is_some_and(|image| image.starts_with("iVBORw0KGgo")), "{shot}");
    assert_eq!(shot["mimeType"], "image/png");
    server.ok("SendKeys", json!({ "vmId": id, "keys": ["ctrl", "alt", "delete"] })).await;
    server.refused("SendKeys", json!({ "vmId": STOPPED, "keys": ["a"] }), "failed_precondition").await;
    server.refused("GetScreenshot", json!({ "vmId": STOPPED }), "failed_precondition").await;
    let vm = server.vm(STOPPED).await;
    for verb in ["console", "screenshot", "send_keys"] {
        let actions = vm["allowedActions"].as_array().expect("actions");
        let action = actions.iter().find(|action| action["verb"] == verb).expect("it is listed");
        assert!(action["reason"].as_str().is_some_and(|reason| reason.contains("RUNNING")), "{action}");
    }
}

#[tokio::test]
async fn nobody_is_let_in_without_a_ticket_or_from_another_page() {
    let server = Server::demo().await;
    let path = format!("/consoles/{STOPPED}/vnc");
    let status = async |path: &str, ticket: &str, headers: &[(&'static str, &str)]| {
        ws::open(&server, path, ticket, headers).await.map(drop)
    };
    assert_eq!(status(&path, "guessed", &[]).await, Err(401));
    assert_eq!(status(&path, "", &[]).await, Err(401));
    assert_eq!(status("/consoles/x/vnc", "guessed", &[]).await, Err(404));
    assert_eq!(status(&format!("{path}?from=1"), "guessed", &[]).await, Err(401));
    assert_eq!(status(&format!("/consoles/{STOPPED}/serial?from=x"), "guessed", &[]).await, Err(400));
    for origin in ["http://evil.example", "null", "https://localhost"] {
        assert_eq!(status(&path, "guessed", &[("origin", origin)]).await, Err(403), "{origin}");
    }
    assert_eq!(status(&path, "guessed", &[("sec-fetch-site", "cross-site")]).await, Err(403));
    // What is no WebSocket is answered as such.
    let plain = server.http.get(format!("{}{path}", server.url)).send().await.expect("an answer");
    assert_eq!(plain.status().as_u16(), 400);
}

#[tokio::test]
async fn a_medium_changes_the_definition_where_nothing_runs() {
    let server = Server::demo().await;
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("a & b.iso").display().to_string();
    std::fs::write(&path, b"x").expect("it is written");
    let mut spec = small_spec();
    spec["cdroms"] = json!([{}, {}]);
    let vm = server.ok("CreateVM", json!({ "name": "media", "spec": spec })).await;
    let id = vm["id"].as_str().expect("an id");
    let drives: Vec<&str> =
        vm["spec"]["cdroms"].as_array().expect("drives").iter().filter_map(|drive| drive["id"].as_str()).collect();
    let mounted = server.ok("MountISO", json!({ "vmId": id, "isoPath": path })).await;
    assert_eq!(mounted["spec"]["cdroms"][0]["isoPath"], path.as_str());
    assert_eq!(mounted["spec"]["cdroms"][1]["isoPath"].as_str().unwrap_or_default(), "");
    assert_eq!(server.vm(id).await["spec"], mounted["spec"]);
    let both = server.ok("MountISO", json!({ "vmId": id, "cdromId": drives[1], "isoPath": path })).await;
    assert_eq!(both["spec"]["cdroms"][1]["isoPath"], path.as_str());
    let ejected = server.ok("EjectISO", json!({ "vmId": id })).await;
    assert_eq!(ejected["spec"]["cdroms"][0]["isoPath"].as_str().unwrap_or_default(), "");
    assert_eq!(ejected["spec"]["cdroms"][1]["isoPath"], path.as_str());
    // Done once a key.
    let key = [("Idempotency-Key", "once")];
    let body = json!({ "vmId": id, "cdromId": drives[1] });
    let first = server.call_with("EjectISO", body.clone(), &key).await;
    let again = server.call_with("EjectISO", body, &key).await;
    assert_eq!((first.status, &first.body), (200, &again.body));
    let events = server.ok("ListVMEvents", json!({ "vmId": id })).await;
    let kinds: Vec<&str> =
        events["events"].as_array().expect("events").iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "vm.iso_ejected").count(), 2, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "vm.iso_mounted").count(), 2, "{kinds:?}");

    let message =
        server.refused("MountISO", json!({ "vmId": id, "isoPath": "/nowhere.iso" }), "invalid_argument").await;
    assert!(message.starts_with("iso_path: ") && message.contains("does not exist"), "{message}");
    for path in ["", "a.iso", "/a/../b.iso", "/tmp"] {
        server.refused("MountISO", json!({ "vmId": id, "isoPath": path }), "invalid_argument").await;
    }
    server.refused("EjectISO", json!({ "vmId": id, "cdromId": "sdz" }), "not_found").await;
    let bare = server.ok("CreateVM", json!({ "name": "bare", "spec": small_spec() })).await;
    let message = server.refused("EjectISO", json!({ "vmId": bare["id"] }), "not_found").await;
    assert!(message.contains("bare"), "{message}");
    server.ok("StartVM", json!({ "id": id })).await;
    server.ok("SuspendVM", json!({ "id": id })).await;
    let message = server.refused("MountISO", json!({ "vmId": id, "isoPath": path }), "failed_precondition").await;
    assert!(message.contains("SUSPENDED"), "{message}");
}
