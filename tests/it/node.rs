//! Nodes: those that register, this host, drains, and what a node's state forbids to VMs.

use serde_json::{Value, json};

use crate::support::{SOON, Server, small_spec};

const HERE: &str = "d0000000-0000-4000-8000-000000000001";
const OTHER: &str = "d0000000-0000-4000-8000-000000000002";
const DEV: &str = "11111111-1111-1111-1111-111111111111";

fn phase(node: &Value) -> &str {
    node["status"]["phase"].as_str().unwrap_or("UNKNOWN")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_registers_reports_and_leaves() {
    let server = Server::demo().await;
    let first = json!({ "hostname": "hv-9", "managementIp": "192.0.2.9:8080", "labels": { "rack": "r9" },
        "memoryInfo": { "totalBytes": "1073741824" } });
    let node = server.ok("RegisterNode", first).await;
    assert_eq!((phase(&node), &node["managementIp"]), ("PENDING", &json!("192.0.2.9")));
    let again = server.ok("RegisterNode", json!({ "hostname": "HV-9", "managementIp": "[2001:db8::9]:1" })).await;
    assert_eq!((&again["id"], &again["managementIp"]), (&node["id"], &json!("2001:db8::9")));
    assert_eq!(again["labels"], json!({ "rack": "r9" }), "what is not sent stays");
    for (wrong, code, word) in [
        (json!({}), "invalid_argument", "management_ip: "),
        (json!({ "hostname": "a b", "managementIp": "192.0.2.1" }), "invalid_argument", "hostname: "),
        (json!({ "hostname": "x", "managementIp": "192.0.2" }), "invalid_argument", "management_ip: "),
        (json!({ "hostname": "hypervisor-01", "managementIp": "192.0.2.1" }), "already_exists", HERE),
    ] {
        let message = server.refused("RegisterNode", wrong, code).await;
        assert!(message.contains(word), "{message}");
    }
    let id = node["id"].clone();
    let beat = json!({ "nodeId": id, "cpuUsagePercent": 12.5, "memoryUsedMib": 10, "memoryTotalMib": "1024" });
    let answer = server.ok("UpdateHeartbeat", beat).await;
    assert!(answer["acknowledged"] == true && answer["heartbeatIntervalSecs"].as_u64() > Some(0), "{answer}");
    assert_eq!(phase(&server.ok("GetNode", json!({ "id": id })).await), "READY");
    let metrics = server.ok("GetNodeMetrics", json!({ "node_id": id })).await;
    assert_eq!((&metrics["cpuUsagePercent"], &metrics["memoryUsedBytes"]), (&json!(12.5), &json!("10485760")));
    server.refused("UpdateHeartbeat", json!({ "nodeId": HERE }), "failed_precondition").await;
    server.refused("UpdateHeartbeat", json!({ "nodeId": DEV }), "not_found").await;
    let message =
        server.refused("UpdateHeartbeat", json!({ "nodeId": id, "cpuUsagePercent": 101 }), "invalid_argument").await;
    assert!(message.starts_with("cpu_usage_percent: "), "{message}");

    // A heartbeat never lifts maintenance.
    server.ok("DisableNode", json!({ "id": id })).await;
    server.ok("UpdateHeartbeat", json!({ "nodeId": id })).await;
    assert_eq!(phase(&server.ok("GetNode", json!({ "id": id })).await), "MAINTENANCE");
    assert_eq!(phase(&server.ok("EnableNode", json!({ "id": id })).await), "READY");
    assert_eq!(server.ok("DecommissionNode", json!({ "id": id })).await, json!({}));
    server.refused("GetNode", json!({ "id": id }), "not_found").await;
    let events = server.ok("ListNodeEvents", json!({ "nodeId": id })).await;
    let reasons: Vec<&str> =
        events["events"].as_array().expect("events").iter().filter_map(|event| event["reason"].as_str()).collect();
    assert_eq!(reasons.first().copied(), Some("node.decommissioned"));
    assert!(reasons.contains(&"node.registered") && reasons.contains(&"node.maintenance"), "{reasons:?}");
    let one = server.ok("ListNodeEvents", json!({ "nodeId": id, "limit": 1 })).await;
    assert_eq!(one["events"].as_array().map(Vec::len), Some(1));
    let errors = server.ok("ListNodeEvents", json!({ "nodeId": id, "types": ["ERROR"] })).await;
    assert!(errors["events"].is_null(), "{errors}");
    server.refused("ListNodeEvents", json!({ "nodeId": id, "limit": -1 }), "invalid_argument").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_listed_filtered_and_paged() {
    let server = Server::demo().await;
    let names = |page: &Value| -> Vec<String> {
        page["nodes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|node| node["hostname"].as_str())
            .map(str::to_owned)
            .collect()
    };
    let all = server.ok("ListNodes", json!({})).await;
    assert_eq!(names(&all), ["hypervisor-01", "hypervisor-02", "hypervisor-03"]);
    assert_eq!(all["totalCount"], 3);
    let page = server.ok("ListNodes", json!({ "pageSize": 2 })).await;
    let rest = server.ok("ListNodes", json!({ "pageSize": 2, "pageToken": page["nextPageToken"] })).await;
    assert_eq!(names(&rest), ["hypervisor-03"]);
    server
        .refused("ListNodes", json!({ "pageToken": page["nextPageToken"], "phases": ["READY"] }), "invalid_argument")
        .await;
    server.ok("DisableNode", json!({ "id": OTHER })).await;
    assert_eq!(names(&server.ok("ListNodes", json!({ "phases": ["MAINTENANCE"] })).await), ["hypervisor-02"]);
    assert_eq!(names(&server.ok("ListNodes", json!({ "labels": { "no": "such" } })).await), Vec::<String>::new());
    assert!(
        names(&server.ok("ListNodes", json!({ "controlPlaneOnly": true })).await).contains(&"hypervisor-01".to_owned())
    );
    server.refused("ListNodes", json!({ "pageSize": -1 }), "invalid_argument").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_labels_change_as_their_mask_says() {
    let server = Server::demo().await;
    let set = json!({ "id": OTHER, "scheduling": { "schedulable": false, "overcommit": { "cpuRatio": 2, "memoryRatio": 1.5 } },
        "updateMask": "scheduling.overcommit.cpuRatio" });
    let node = server.ok("UpdateNode", set).await;
    let scheduling = &node["spec"]["scheduling"];
    let scheduling = if scheduling.is_null() { &node["scheduling"] } else { scheduling };
    assert_eq!(
        (&scheduling["overcommit"]["cpuRatio"], &scheduling["schedulable"]),
        (&json!(2.0), &json!(true)),
        "{node}"
    );
    for (wrong, field) in [
        (json!({ "id": OTHER, "updateMask": "hostname" }), "update_mask"),
        (json!({ "id": OTHER, "scheduling": { "overcommit": { "cpuRatio": 65 } } }), "scheduling.overcommit.cpu_ratio"),
        (
            json!({ "id": OTHER, "scheduling": { "reserved": { "memoryBytes": "999999999999999" } } }),
            "scheduling.reserved.memory_bytes",
        ),
    ] {
        let message = server.refused("UpdateNode", wrong, "invalid_argument").await;
        assert!(message.contains(&format!("{field}: ")), "{message}");
    }
    let labelled =
        json!({ "nodeId": OTHER, "addLabels": { "a": "1", "b": "2" }, "removeLabels": ["a", "rack", "none"] });
    let node = server.ok("UpdateLabels", labelled).await;
    assert_eq!((&node["labels"]["a"], &node["labels"]["b"]), (&json!("1"), &json!("2")), "a key in both is added");
    assert!(node["labels"]["rack"].is_null(), "{node}");
    let long = json!({ "nodeId": OTHER, "addLabels": { "k": "v".repeat(256) } });
    server.refused("UpdateLabels", long, "invalid_argument").await;
    for method in ["GetNode", "EnableNode", "DisableNode", "DrainNode", "DecommissionNode", "UpdateNode"] {
        server.refused(method, json!({ "id": DEV }), "not_found").await;
        server.refused(method, json!({ "id": "x" }), "invalid_argument").await;
    }
    server.refused("GetNodeMetrics", json!({}), "invalid_argument").await;
    server.refused("GetNodeMetrics", json!({ "id": HERE, "nodeId": OTHER }), "invalid_argument").await;
    assert_eq!(server.ok("GetNodeMetrics", json!({ "id": HERE, "nodeId": HERE })).await["vmRunningCount"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_node_makes_and_starts_nothing() {
    let server = Server::demo().await;
    let long = "r".repeat(1001);
    server.refused("DisableNode", json!({ "id": HERE, "reason": long }), "invalid_argument").await;
    let node = server.ok("DisableNode", json!({ "id": HERE, "reason": "new fans" })).await;
    assert_eq!((phase(&node), &node["status"]["errorMessage"]), ("MAINTENANCE", &json!("new fans")));
    let paused = server.ok("PauseVM", json!({ "id": "22222222-2222-2222-2222-222222222222" })).await;
    for (method, body) in
        [("StartVM", json!({ "id": DEV })), ("CreateVM", json!({ "name": "x", "spec": small_spec() }))]
    {
        let message = server.refused(method, body, "failed_precondition").await;
        for word in ["hypervisor-01", "MAINTENANCE", "new fans"] {
            assert!(message.contains(word), "{method}: {word} is not in {message}");
        }
    }
    // What is on goes on.
    server.ok("ResumeVM", json!({ "id": paused["id"] })).await;
    server.ok("EnableNode", json!({ "id": HERE })).await;
    server.ok("StartVM", json!({ "id": DEV })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_stops_what_runs_and_says_so() {
    let server = Server::demo().await;
    let message = server.refused("DrainNode", json!({ "id": HERE, "targetNodeId": OTHER }), "unimplemented").await;
    assert!(message.starts_with("target_node_id: "), "{message}");
    server.refused("DrainNode", json!({ "id": HERE, "gracePeriodSec": 3601 }), "invalid_argument").await;
    let report = server.ok("DrainNode", json!({ "id": HERE, "gracePeriodSec": 30 })).await;
    let mut stopped: Vec<&str> =
        report["stoppedVmIds"].as_array().expect("ids").iter().filter_map(Value::as_str).collect();
    stopped.sort_unstable();
    assert_eq!(
        stopped,
        [
            "22222222-2222-2222-2222-222222222222",
            "33333333-3333-3333-3333-333333333333",
            "44444444-4444-4444-4444-444444444444"
        ]
    );
    assert!(report["failures"].is_null() && report["migratedVmIds"].is_null(), "{report}");
    assert_eq!(phase(&report["node"]), "MAINTENANCE");
    assert_eq!(server.ok("ListVMs", json!({ "states": ["STOPPED"] })).await["totalCount"], 4);
    let drains = server.ok("ListOperations", json!({ "resourceId": HERE })).await;
    assert_eq!(
        (&drains["operations"][0]["verb"], &drains["operations"][0]["state"]),
        (&json!("drain"), &json!("STATE_SUCCEEDED"))
    );
    let again = server.ok("DrainNode", json!({ "id": HERE })).await;
    assert!(again["stoppedVmIds"].is_null(), "{again}");
    assert_eq!(phase(&server.ok("DrainNode", json!({ "id": OTHER })).await["node"]), "MAINTENANCE");
    for how in [json!({ "id": HERE }), json!({ "id": HERE, "force": true })] {
        let message = server.refused("DecommissionNode", how, "failed_precondition").await;
        assert!(message.contains("hypervisor-01"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_with_needed_and_free() {
    let server = Server::demo().await;
    let big = |name: &str, cores: u32, mib: u64| json!({ "name": name, "startOnCreate": true, "spec": { "cpu": { "cores": cores }, "memory": { "sizeMib": mib } } });
    // 256 GiB less 1 reserved less 56 promised; 64 threads × 4 less 14.
    let message = server.refused("CreateVM", big("x", 1, 200 * 1024), "resource_exhausted").await;
    assert!(message.contains("200 GiB") && message.contains("199 GiB") && message.contains("56 GiB"), "{message}");
    let message = server.refused("CreateVM", big("x", 250, 256), "resource_exhausted").await;
    assert!(message.contains("250") && message.contains("242"), "{message}");
    assert_eq!(server.ok("ListVMs", json!({})).await["totalCount"], 4, "something was made all the same");
    server.ok("CreateVM", big("fits", 1, 199 * 1024)).await;
    let message = server.refused("StartVM", json!({ "id": DEV }), "resource_exhausted").await;
    assert!(message.contains("4 GiB") && message.contains("0 bytes"), "{message}");
    // Made without a start there is room for anything.
    let mut body = big("later", 1, 1024);
    body["startOnCreate"] = json!(false);
    server.ok("CreateVM", body).await;
    let used = server
        .until("the allocation to be shown", SOON, async || {
            let node = server.ok("GetNode", json!({ "id": HERE })).await;
            let used = node["status"]["resources"]["memory"]["allocatedBytes"].clone();
            (used.as_str() == Some("273804165120")).then_some(used)
        })
        .await;
    assert!(used.is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_fit_alone_do_not_start_together() {
    let server = Server::demo().await;
    let body =
        |name: &str| json!({ "name": name, "spec": { "cpu": { "cores": 1 }, "memory": { "sizeMib": 120 * 1024 } } });
    for round in 0..10 {
        let mut ids = Vec::new();
        for name in ["a", "b"] {
            ids.push(server.ok("CreateVM", body(&format!("{name}-{round}"))).await["id"].clone());
        }
        let both = futures::future::join_all(ids.iter().map(|id| server.call("StartVM", json!({ "id": id })))).await;
        let mut codes: Vec<&str> = both.iter().map(crate::support::Answer::code).collect();
        codes.sort_unstable();
        assert_eq!(codes, ["", "resource_exhausted"], "round {round}: more was promised than there is");
        for id in &ids {
            server.ok("DeleteVM", json!({ "id": id, "force": true })).await;
        }
    }
}
