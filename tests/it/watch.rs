//! Watches: the present, SYNCED, changes; filters; a reader that never reads, a storm of events,
//! and how streams end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::stream::{Frames, Next, kind, version};
use crate::support::{SOON, Server, small_spec, state_of};

const DEV: &str = "11111111-1111-1111-1111-111111111111";

fn name(message: &Value) -> &str {
    message["vm"]["name"].as_str().unwrap_or_default()
}

async fn synced(frames: &mut Frames) -> Vec<Value> {
    let read = frames.until(|message| kind(message) == "SYNCED").await;
    assert!(read[..read.len() - 1].iter().all(|message| kind(message) == "ADDED"), "{read:?}");
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn the_present_then_synced_then_changes_with_growing_versions() {
    let server = Server::demo().await;
    let mut frames = Frames::open(&server, "WatchVMs", &json!({})).await;
    let mut read = synced(&mut frames).await;
    let mut names: Vec<&str> = read.iter().map(name).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    assert_eq!(names, ["cache-server", "db-server-01", "dev-workstation", "web-server-01"]);
    assert!(read.last().is_some_and(|last| last["vm"].is_null()), "SYNCED carries a VM");

    let vm = server.ok("CreateVM", json!({ "name": "watched", "spec": small_spec() })).await;
    let id = vm["id"].clone();
    read.extend(frames.until(|message| name(message) == "watched" && state_of(&message["vm"]) == "STOPPED").await);
    let first = read.iter().find(|message| name(message) == "watched").expect("it");
    assert_eq!(kind(first), "ADDED");
    server.ok("StartVM", json!({ "id": id })).await;
    let started = frames
        .until(|message| {
            name(message) == "watched"
                && state_of(&message["vm"]) == "RUNNING"
                && message["vm"]["status"]["operation"].is_null()
        })
        .await;
    let last = started.last().expect("one").clone();
    assert_eq!(kind(&last), "MODIFIED");
    let whole = server.vm(id.as_str().expect("an id")).await;
    for same in ["name", "spec", "allowedActions", "resourceVersion", "labels"] {
        assert_eq!(last["vm"][same], whole[same], "{same}");
    }
    read.extend(started);
    server.ok("DeleteVM", json!({ "id": id, "force": true })).await;
    read.extend(frames.until(|message| kind(message) == "DELETED").await);
    assert_eq!(read.last().map(name), Some("watched"));
    let versions: Vec<u64> = read.iter().map(version).collect();
    assert!(versions.is_sorted_by(|earlier, later| earlier < later), "{versions:?}");
    for wrong in [json!({ "nodeId": "x" }), json!({ "projectId": "x" })] {
        let (_, code, message) = Frames::open(&server, "WatchVMs", &wrong).await.end().await;
        assert_eq!(code, "invalid_argument", "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_to_match_is_added_and_what_ceases_is_deleted() {
    let server = Server::demo().await;
    server.ok("UpdateVM", json!({ "id": DEV, "labels": { "team": "a" } })).await;
    let mut frames = Frames::open(&server, "WatchVMs", &json!({ "labels": { "team": "a" } })).await;
    assert_eq!(synced(&mut frames).await.iter().map(name).collect::<Vec<_>>(), ["dev-workstation", ""]);
    server.ok("UpdateVM", json!({ "id": DEV, "labels": { "team": "b" } })).await;
    // The definition's metadata follows a change of labels a moment later, which is one more change.
    let ceased = frames.until(|message| kind(message) != "MODIFIED").await;
    assert_eq!(ceased.last().map(|last| (kind(last), name(last))), Some(("DELETED", "dev-workstation")));
    // What does not match is not heard of.
    server.ok("StartVM", json!({ "id": DEV })).await;
    server.ok("CreateVM", json!({ "name": "unheard", "spec": small_spec() })).await;
    server.ok("UpdateVM", json!({ "id": DEV, "labels": { "team": "a", "tier": "x" } })).await;
    let came = frames.message().await;
    assert_eq!((kind(&came), name(&came)), ("ADDED", "dev-workstation"));
    server.ok("UpdateVM", json!({ "id": DEV, "description": "more" })).await;
    let changed = frames.until(|message| message["vm"]["description"] == "more").await;
    assert!(changed.iter().all(|message| kind(message) == "MODIFIED"), "{changed:?}");
}

/// Names of frames that say how a VM is, the newest of each.
fn newest(read: &[Value]) -> BTreeMap<String, Value> {
    read.iter()
        .filter(|message| message["vm"].is_object())
        .map(|message| (name(message).to_owned(), message["vm"].clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_is_coalesced_and_its_end_is_exact() {
    let server = Server::demo().await;
    let mut frames = Frames::open(&server, "WatchVMs", &json!({})).await;
    synced(&mut frames).await;
    let begun = Instant::now();
    let storm = (0..1999).map(|index| {
        let server = &server;
        async move { server.ok("UpdateVM", json!({ "id": DEV, "description": format!("change {index}") })).await }
    });
    futures::stream::iter(storm).buffer_unordered(16).for_each(|_| std::future::ready(())).await;
    server.ok("UpdateVM", json!({ "id": DEV, "description": "change last" })).await;
    let took = begun.elapsed();
    let read = frames.until(|message| message["vm"]["description"] == "change last").await;
    println!(
        "R29: 2000 changes of one VM in {took:?}: {} frames read by one that began to read at the end",
        read.len()
    );
    assert!(read.len() < 2000, "nothing was coalesced");
    let now = server.vm(DEV).await;
    let last = &newest(&read)["dev-workstation"];
    for same in ["description", "resourceVersion", "labels", "spec"] {
        assert_eq!(last[same], now[same], "{same}");
    }
    assert!(read.iter().map(version).collect::<Vec<_>>().is_sorted_by(|earlier, later| earlier < later));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_never_reads_is_told_to_begin_again_and_holds_nobody_up() {
    let server = Server::demo().await;
    // What fills the connection first: its buffers hold megabytes, and VMs must be heavy.
    let labels: serde_json::Map<String, Value> =
        (0..50).map(|index| (format!("key-{index}"), json!("v".repeat(255)))).collect();
    for index in 0..40 {
        server.ok("CreateVM", json!({ "name": format!("heavy-{index}"), "labels": labels, "description": "d".repeat(1000), "spec": small_spec() })).await;
    }
    let mut idle = Frames::open(&server, "WatchVMs", &json!({})).await;
    let mut busy = Frames::open(&server, "WatchVMs", &json!({})).await;
    synced(&mut busy).await;
    let listed = server.ok("ListVMs", json!({ "pageSize": 1000, "labels": { "key-1": "v".repeat(255) } })).await;
    let ids: Vec<String> =
        listed["vms"].as_array().expect("VMs").iter().map(|vm| vm["id"].as_str().expect("an id").to_owned()).collect();
    let (done, mut is_done) = tokio::sync::oneshot::channel();
    let reading = tokio::spawn(async move {
        let mut read = 0_usize;
        loop {
            match busy.next().await {
                Next::Message(message) if message["vm"]["description"] == "last" => return read,
                Next::Message(message) => {
                    assert_ne!(kind(&message), "RESYNC", "one that reads was told to begin again");
                    read += 1;
                }
                Next::Ended(code, why) => panic!("one that reads was ended: {code} {why}"),
            }
        }
    });
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut changes = 0_usize;
    // The buffer holds 4096 changes; before it fills, the connection must. A change of a VM's
    // facts is one change of the picture.
    for round in 0..120 {
        let all = ids.iter().map(async |id| {
            let begun = Instant::now();
            server.ok("UpdateVM", json!({ "id": id, "description": format!("round {round}") })).await;
            begun.elapsed()
        });
        let took = futures::future::join_all(all).await;
        changes += took.len();
        slowest = slowest.max(took.into_iter().max().unwrap_or_default());
    }
    server.ok("UpdateVM", json!({ "id": DEV, "description": "last" })).await;
    done.send(()).expect("it is waited for");
    is_done.try_recv().expect("it was sent");
    let heard = tokio::time::timeout(SOON, reading).await.expect("the busy reader ends").expect("it did not fail");
    let (read, code, why) = idle.end().await;
    println!(
        "R18: {changes} changes in {:?}, slowest {slowest:?}; the busy reader read {heard} frames, the idle one {} with RESYNC at the end",
        begun.elapsed(),
        read.len()
    );
    assert_eq!(read.last().map(kind), Some("RESYNC"), "it ended with {code:?} {why}");
    assert_eq!((code.as_str(), why.as_str()), ("", ""));
    // It begins again, and all is there.
    let again = synced(&mut Frames::open(&server, "WatchVMs", &json!({})).await).await;
    assert_eq!(again.len(), 45);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_vm_is_followed_until_it_is_gone() {
    let server = Server::demo().await;
    let mut frames = Frames::open(&server, "WatchVM", &json!({ "vmId": DEV })).await;
    assert_eq!(frames.message().await["name"], "dev-workstation");
    server.ok("StartVM", json!({ "id": DEV })).await;
    frames.until(|vm| state_of(vm) == "RUNNING").await;
    server.ok("DeleteVM", json!({ "id": DEV, "force": true })).await;
    let (_, code, message) = frames.end().await;
    assert_eq!((code.as_str(), message.as_str()), ("not_found", format!("VM '{DEV}' not found").as_str()));
    for (id, wanted) in [(DEV, "not_found"), ("x", "invalid_argument"), ("", "invalid_argument")] {
        let (_, code, _) = Frames::open(&server, "WatchVM", &json!({ "vm_id": id })).await.end().await;
        assert_eq!(code, wanted, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_watched_from_their_beginning_to_their_end() {
    let server = Server::demo().await;
    let mut frames = Frames::open(&server, "WatchOperations", &json!({ "resourceId": DEV })).await;
    synced(&mut frames).await;
    server.ok("PauseVM", json!({ "id": "22222222-2222-2222-2222-222222222222" })).await;
    server.ok("StartVM", json!({ "id": DEV })).await;
    let read = frames.until(|message| message["operation"]["state"] == "STATE_SUCCEEDED").await;
    assert!(read.iter().all(|message| message["operation"]["resourceId"] == DEV), "{read:?}");
    assert_eq!(kind(&read[0]), "ADDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_and_their_metrics_are_followed() {
    let server = Server::demo().await;
    let node = "d0000000-0000-4000-8000-000000000003";
    let mut frames = Frames::open(&server, "WatchNodes", &json!({})).await;
    assert_eq!(synced(&mut frames).await.len(), 4);
    server.ok("DisableNode", json!({ "id": node, "reason": "dust" })).await;
    let changed = frames.until(|message| message["node"]["status"]["phase"] == "MAINTENANCE").await;
    assert!(changed.last().is_some_and(|last| last["node"]["id"] == node && kind(last) == "MODIFIED"), "{changed:?}");

    let mut metrics = Frames::open(&server, "StreamNodeMetrics", &json!({ "nodeId": node, "intervalSec": 1 })).await;
    for _ in 0..2 {
        let told = metrics.message().await;
        assert_eq!(told["nodeId"], node);
        assert!(told["memoryTotalBytes"].as_str().is_some_and(|bytes| bytes != "0"), "{told}");
    }
    server.ok("DecommissionNode", json!({ "id": node })).await;
    let (_, code, _) = metrics.end().await;
    assert_eq!(code, "not_found");
    let gone = frames.until(|message| kind(message) == "DELETED").await;
    assert!(gone.last().is_some_and(|last| last["node"]["id"] == node));
    for (body, wanted) in [
        (json!({ "nodeId": node }), "not_found"),
        (json!({ "nodeId": "x" }), "invalid_argument"),
        (json!({ "nodeId": "d0000000-0000-4000-8000-000000000001", "intervalSec": 3601 }), "invalid_argument"),
    ] {
        let (_, code, message) = Frames::open(&server, "StreamNodeMetrics", &body).await.end().await;
        assert_eq!(code, wanted, "{body}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_the_server_within_ten_seconds() {
    let mut server = Server::demo().await;
    let mut streams = Vec::new();
    for (method, body) in [
        ("WatchVMs", json!({})),
        ("WatchVM", json!({ "vmId": DEV })),
        ("WatchNodes", json!({})),
        ("WatchOperations", json!({})),
        ("StreamNodeMetrics", json!({ "nodeId": "d0000000-0000-4000-8000-000000000001" })),
        ("WatchEvents", json!({})),
        ("WatchVMUsage", json!({})),
    ] {
        let mut frames = Frames::open(&server, method, &body).await;
        frames.message().await;
        streams.push((method, frames));
    }
    let ends = tokio::spawn(async move {
        let mut ends = Vec::new();
        for (method, mut frames) in streams {
            ends.push((method, frames.end().await.1));
        }
        ends
    });
    let took = tokio::task::block_in_place(|| server.terminate());
    println!("R24: SIGTERM with seven open streams took {took:?}");
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    for (method, code) in ends.await.expect("they end") {
        assert_eq!(code, "unavailable", "{method}");
    }
}
