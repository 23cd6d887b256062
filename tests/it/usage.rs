//! Measured use of the VMs that run, again and again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stream::Frames;
use crate::support::Server;

const DEV: &str = "11111111-1111-1111-1111-111111111111";
const WEB: &str = "22222222-2222-2222-2222-222222222222";

fn ids(update: &Value) -> BTreeSet<String> {
    let vms = update["vms"].as_array().cloned().unwrap_or_default();
    vms.iter().map(|vm| vm["vmId"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_comes_at_once_and_then_each_measurement() {
    let server = Server::demo().await;
    let mut all = Frames::open(&server, "WatchVMUsage", &json!({})).await;
    let first = all.until(|update| ids(update).len() == 3).await.pop().expect("one");
    let usage = &first["vms"][0]["usage"];
    assert!(usage["memoryAllocatedBytes"].as_str().is_some_and(|bytes| bytes != "0"), "{first}");
    let second = all.message().await;
    assert_ne!(first["measuredAt"], second["measuredAt"]);
    // One that begins now does not wait for the next measurement.
    let begun = Instant::now();
    let mut one = Frames::open(&server, "WatchVMUsage", &json!({ "vmIds": [WEB], "intervalSec": 3 })).await;
    assert_eq!(ids(&one.message().await), [WEB.to_owned()].into());
    assert!(begun.elapsed() < Duration::from_secs(1), "the first took {:?}", begun.elapsed());
    let first = Instant::now();
    assert_eq!(ids(&one.message().await), [WEB.to_owned()].into());
    assert!(first.elapsed() > Duration::from_millis(2500), "the interval was {:?}", first.elapsed());

    server.ok("StartVM", json!({ "id": DEV })).await;
    all.until(|update| ids(update).contains(DEV)).await;
    server.ok("StopVM", json!({ "id": DEV, "force": true })).await;
    all.until(|update| !ids(update).contains(DEV)).await;
    for (body, field) in [
        (json!({ "vmIds": [WEB, "x"] }), "vm_ids[1]"),
        (json!({ "intervalSec": 61 }), "interval_sec"),
    ] {
        let (_, code, message) = Frames::open(&server, "WatchVMUsage", &body).await.end().await;
        assert_eq!(code, "invalid_argument", "{message}");
        assert!(message.starts_with(field), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_runs_that_is_said_once() {
    let server = Server::demo().await;
    let mut off = Frames::open(&server, "WatchVMUsage", &json!({ "vmIds": [DEV] })).await;
    assert_eq!(ids(&off.message().await), BTreeSet::new());
    let said = Instant::now();
    // The others are measured meanwhile; of this one there is nothing new for as long as it is off.
    let mut others = Frames::open(&server, "WatchVMUsage", &json!({})).await;
    for _ in 0..3 {
        others.message().await;
    }
    server.ok("StartVM", json!({ "id": DEV })).await;
    let next = off.message().await;
    assert!(said.elapsed() < Duration::from_secs(15), "the machine is too slow for this test: {:?}", said.elapsed());
    assert_eq!(ids(&next), [DEV.to_owned()].into());
}
