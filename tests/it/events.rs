//! What happened on this host: pages that survive new events, every filter, and hearing of it as it
//! happens.

use serde_json::{Value, json};

use crate::stream::{Frames, kind};
use crate::support::Server;

const DEV: &str = "11111111-1111-1111-1111-111111111111";
const WEB: &str = "22222222-2222-2222-2222-222222222222";
const NODE: &str = "d0000000-0000-4000-8000-000000000001";

async fn list(server: &Server, body: Value) -> Vec<Value> {
    server.ok("ListEvents", body).await["events"].as_array().cloned().unwrap_or_default()
}

fn ids(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["id"].as_str().and_then(|id| id.parse().ok()).expect("a number")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_back_in_time_and_survive_what_happens_meanwhile() {
    let server = Server::demo().await;
    for _ in 0..3 {
        server.ok("StartVM", json!({ "id": DEV })).await;
        server.ok("StopVM", json!({ "id": DEV, "force": true })).await;
    }
    let all = ids(&list(&server, json!({ "pageSize": 1000 })).await);
    assert!(all.len() >= 6, "{all:?}");
    assert!(all.is_sorted_by(|newer, older| newer > older), "{all:?}");
    let mut paged = Vec::new();
    let mut token = String::new();
    loop {
        let page = server.ok("ListEvents", json!({ "pageSize": 2, "pageToken": token })).await;
        let events = page["events"].as_array().cloned().unwrap_or_default();
        assert!(events.len() <= 2);
        paged.extend(ids(&events));
        token = page["nextPageToken"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            break;
        }
        // Each page is of the same list, however much happens between them.
        server.ok("PauseVM", json!({ "id": WEB })).await;
        server.ok("ResumeVM", json!({ "id": WEB })).await;
        for other in [json!({ "pageToken": token, "severity": "INFO" }), json!({ "pageToken": "nonsense" })] {
            server.refused("ListEvents", other, "invalid_argument").await;
        }
    }
    assert_eq!(paged, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_holds_and_wrong_ones_are_named() {
    let server = Server::demo().await;
    server.ok("StartVM", json!({ "id": DEV })).await;
    server.ok("PauseVM", json!({ "id": WEB })).await;
    server.ok("DisableNode", json!({ "id": NODE, "reason": "Dust in the FANS" })).await;

    let of_dev = list(&server, json!({ "resourceId": DEV })).await;
    assert!(!of_dev.is_empty() && of_dev.iter().all(|event| event["resourceId"] == DEV), "{of_dev:?}");
    assert!(of_dev.iter().all(|event| event["subject"] == "SUBJECT_VM"), "{of_dev:?}");
    let of_node = list(&server, json!({ "resourceId": NODE, "search": "dust in the fans" })).await;
    assert_eq!(of_node.len(), 1, "{of_node:?}");
    let event = &of_node[0];
    assert_eq!((&event["subject"], &event["resourceId"]), (&json!("SUBJECT_NODE"), &json!(NODE)));
    for field in ["id", "type", "message", "user", "severity", "createdAt"] {
        assert!(event[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {event}");
    }
    let kind = event["type"].as_str().expect("a word");
    let of_kind = list(&server, json!({ "types": [kind, "vm.paused"] })).await;
    assert!(of_kind.len() >= 2 && of_kind.iter().all(|event| event["type"] == kind || event["type"] == "vm.paused"));
    assert!(list(&server, json!({ "types": ["no.such"] })).await.is_empty());
    let severity = event["severity"].as_str().expect("a word");
    assert!(list(&server, json!({ "severity": severity })).await.contains(event));
    assert!(list(&server, json!({ "severity": "ERROR" })).await.is_empty());
    let since = list(&server, json!({ "since": event["createdAt"] })).await;
    assert!(since.contains(event) && !since.iter().any(|event| of_dev.contains(event)), "{since:?}");

    for (body, field) in [
        (json!({ "resourceId": "x" }), "resource_id"),
        (json!({ "severity": "info" }), "severity"),
        (json!({ "pageSize": -1 }), "page_size"),
        (json!({ "search": "x".repeat(201) }), "search"),
    ] {
        let message = server.refused("ListEvents", body, "invalid_argument").await;
        assert!(message.starts_with(field), "{message}");
    }
    // Of one that is not known there is nothing.
    assert!(list(&server, json!({ "resourceId": "99999999-9999-4999-8999-999999999999" })).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_heard_in_order_and_once() {
    let server = Server::demo().await;
    let mut all = Frames::open(&server, "WatchEvents", &json!({})).await;
    let mut of_dev = Frames::open(&server, "WatchEvents", &json!({ "resourceId": DEV })).await;
    for frames in [&mut all, &mut of_dev] {
        assert_eq!(kind(&frames.message().await), "SYNCED", "the past was told");
    }
    server.ok("PauseVM", json!({ "id": WEB })).await;
    server.ok("StartVM", json!({ "id": DEV })).await;
    server.ok("DisableNode", json!({ "id": NODE, "reason": "dust" })).await;
    let heard = all.until(|message| message["event"]["type"] == "node.maintenance").await;
    let told: Vec<Value> = heard.iter().map(|message| message["event"].clone()).collect();
    let mut kept = list(&server, json!({})).await;
    kept.reverse();
    let begin = kept.iter().position(|event| *event == told[0]).expect("the first that was heard is kept");
    assert_eq!(told, kept[begin..begin + told.len()], "what was heard is what is kept");
    assert!(heard.iter().all(|message| kind(message) == "ADDED"));
    let started = of_dev.until(|message| message["event"]["type"] == "vm.started").await;
    assert!(started.iter().all(|message| message["event"]["resourceId"] == DEV), "{started:?}");
    let (_, code, _) = Frames::open(&server, "WatchEvents", &json!({ "resourceId": "x" })).await.end().await;
    assert_eq!(code, "invalid_argument");
}
