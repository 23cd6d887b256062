//! The past of measured use: sampled by the running server, read as columns, and begun anew where
//! its file is damaged.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{SOON, Server};

const WEB: &str = "22222222-2222-2222-2222-222222222222";
const NODE: &str = "d0000000-0000-4000-8000-000000000001";
const UNKNOWN: &str = "99999999-9999-4999-8999-999999999999";

/// The values of a column that are numbers.
fn measured(past: &Value, name: &str) -> Vec<f64> {
    let columns = past["columns"].as_array().cloned().unwrap_or_default();
    let column = columns.iter().find(|column| column["name"] == name).unwrap_or_else(|| panic!("no {name}: {past}"));
    column["values"].as_array().expect("values").iter().filter_map(Value::as_f64).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_measured_becomes_the_past() {
    let server = Server::demo().await;
    let first = server.ok("GetVMMetricHistory", json!({ "vmId": WEB })).await;
    assert_eq!((&first["stepSec"], &first["count"]), (&json!(10), &json!(360)));
    let told = |past: Value, name: &str| (!measured(&past, name).is_empty()).then_some(past);
    let within = SOON + Duration::from_secs(30);
    let vm = server
        .until("the use of a VM in the past", within, async || {
            told(server.ok("GetVMMetricHistory", json!({ "vmId": WEB })).await, "cpu_percent")
        })
        .await;
    assert!(measured(&vm, "cpu_percent").iter().all(|percent| (0.0..=100.0).contains(percent)), "{vm}");
    assert!(measured(&vm, "memory_used_bytes").iter().all(|bytes| *bytes >= 0.0), "{vm}");
    assert!(measured(&vm, "network_rx_bytes_sec").iter().all(|bytes| *bytes >= 0.0), "{vm}");
    let node = server.ok("GetNodeMetricHistory", json!({ "nodeId": NODE })).await;
    assert!(measured(&node, "memory_used_bytes").iter().any(|bytes| *bytes > 0.0), "{node}");

    // One that is gone keeps its past; one that never was has none.
    server.ok("DeleteVM", json!({ "id": WEB, "force": true })).await;
    let gone = server.ok("GetVMMetricHistory", json!({ "vmId": WEB })).await;
    assert!(!measured(&gone, "memory_used_bytes").is_empty(), "{gone}");
    server.refused("GetVMMetricHistory", json!({ "vmId": UNKNOWN }), "not_found").await;
    server.refused("GetNodeMetricHistory", json!({ "nodeId": UNKNOWN }), "not_found").await;
    for (method, body, field) in [
        ("GetVMMetricHistory", json!({}), "vm_id"),
        ("GetNodeMetricHistory", json!({ "nodeId": "x" }), "node_id"),
        (
            "GetNodeMetricHistory",
            json!({ "nodeId": NODE, "start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z" }),
            "end",
        ),
    ] {
        let message = server.refused(method, body, "invalid_argument").await;
        assert!(message.starts_with(field), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_of_the_past_stops_nobody() {
    let mut server = Server::on("test:///default").await;
    let path = server.data_dir.join("metrics.redb");
    assert!(path.is_file());
    server.terminate();
    std::fs::write(&path, b"redb? no").expect("it is damaged");
    server.again().await;
    assert!(server.log().contains("is begun anew"), "nothing was said\n{}", server.log());
    let node = server.ok("ListNodes", json!({})).await["nodes"][0]["id"].clone();
    server.ok("GetNodeMetricHistory", json!({ "nodeId": node })).await;
}
