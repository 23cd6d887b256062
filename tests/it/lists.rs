//! Lists of VMs: pages, order, filters, counts, and tokens that outlive what comes and goes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Server, small_spec};

const DEMO: [&str; 4] = ["cache-server", "db-server-01", "dev-workstation", "web-server-01"];

fn names(page: &Value) -> Vec<String> {
    let empty = Vec::new();
    let vms = page["vms"].as_array().unwrap_or(&empty);
    vms.iter().map(|vm| vm["name"].as_str().expect("a name").to_owned()).collect()
}

fn token(page: &Value) -> String {
    page["nextPageToken"].as_str().unwrap_or_default().to_owned()
}

async fn create(server: &Server, name: &str, labels: Value) -> String {
    let vm = server.ok("CreateVM", json!({ "name": name, "labels": labels, "spec": small_spec() })).await;
    vm["id"].as_str().expect("an id").to_owned()
}

/// Every page of a list, one behind the other.
async fn pages(server: &Server, mut wanted: Value) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    loop {
        let page = server.ok("ListVMs", wanted.clone()).await;
        all.push(names(&page));
        let next = token(&page);
        if next.is_empty() {
            return all;
        }
        wanted["pageToken"] = json!(next);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_and_pages() {
    let server = Server::demo().await;
    for name in ["b-1", "a-1", "c-1"] {
        create(&server, name, json!({})).await;
    }
    let mut by_name: Vec<String> = DEMO.iter().copied().chain(["a-1", "b-1", "c-1"]).map(str::to_owned).collect();
    by_name.sort();
    for order in ["", "name", "name asc"] {
        assert_eq!(names(&server.ok("ListVMs", json!({ "orderBy": order })).await), by_name, "{order}");
    }
    let newest = names(&server.ok("ListVMs", json!({ "orderBy": "created_at desc" })).await);
    assert_eq!(newest[..3], ["c-1", "a-1", "b-1"], "{newest:?}");
    let mut descending = by_name.clone();
    descending.reverse();
    assert_eq!(names(&server.ok("ListVMs", json!({ "order_by": "name desc" })).await), descending);
    let oldest = names(&server.ok("ListVMs", json!({ "orderBy": "created_at" })).await);
    assert_eq!(oldest.iter().rev().collect::<Vec<_>>(), newest.iter().collect::<Vec<_>>());

    for order in ["name", "name desc", "created_at", "created_at desc"] {
        let whole = names(&server.ok("ListVMs", json!({ "orderBy": order })).await);
        for size in [1, 2, 3, 7] {
            let read = pages(&server, json!({ "orderBy": order, "pageSize": size })).await;
            assert!(read.iter().all(|page| page.len() <= size), "a page of {size}: {read:?}");
            assert_eq!(read.concat(), whole, "{order} in pages of {size}");
        }
    }
    assert_eq!(server.ok("ListVMs", json!({ "pageSize": 2 })).await["totalCount"], 7);
    let all = server.ok("ListVMs", json!({ "pageSize": 5000 })).await;
    assert_eq!((names(&all).len(), token(&all)), (7, String::new()));
    for (wrong, field) in [
        (json!({ "pageSize": -1 }), "page_size"),
        (json!({ "orderBy": "state" }), "order_by"),
        (json!({ "orderBy": "name; drop" }), "order_by"),
        (json!({ "projectId": "none" }), "project_id"),
        (json!({ "nodeId": "none" }), "node_id"),
        (json!({ "states": [77] }), "states[0]"),
    ] {
        let message = server.refused("ListVMs", wrong, "invalid_argument").await;
        assert!(message.starts_with(&format!("{field}: ")), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_are_joined_and_counted() {
    let server = Server::demo().await;
    create(&server, "one", json!({ "team": "a", "tier": "web" })).await;
    create(&server, "two", json!({ "team": "a" })).await;
    let other = "99999999-0000-0000-0000-000000000009";
    server
        .ok("CreateVM", json!({ "name": "two", "projectId": other, "labels": { "team": "a" }, "spec": small_spec() }))
        .await;
    let node = "d0000000-0000-4000-8000-000000000001";
    for (filter, wanted) in [
        (json!({ "labels": { "team": "a" } }), vec!["one", "two", "two"]),
        (json!({ "labels": { "team": "a", "tier": "web" } }), vec!["one"]),
        (json!({ "labels": { "team": "b" } }), vec![]),
        (json!({ "projectId": other }), vec!["two"]),
        (json!({ "projectId": "default", "labels": { "team": "a" } }), vec!["one", "two"]),
        (
            json!({ "project_id": "00000000-0000-0000-0000-000000000001", "states": ["RUNNING"] }),
            vec!["cache-server", "db-server-01", "web-server-01"],
        ),
        (json!({ "states": ["RUNNING", 2], "nodeId": node, "labels": { "team": "a" } }), vec!["one", "two", "two"]),
        (json!({ "states": ["LOST"] }), vec![]),
        (json!({ "nodeId": "d0000000-0000-4000-8000-000000000002" }), vec![]),
    ] {
        let page = server.ok("ListVMs", filter.clone()).await;
        assert_eq!(names(&page), wanted, "{filter}");
        assert_eq!(page["totalCount"].as_u64().unwrap_or_default(), wanted.len() as u64, "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_survives_what_comes_and_goes_and_is_good_for_its_own_list_alone() {
    let server = Server::demo().await;
    let mut ids = Vec::new();
    for name in ["a-1", "b-1", "c-1", "d-1"] {
        ids.push(create(&server, name, json!({})).await);
    }
    let first = server.ok("ListVMs", json!({ "pageSize": 2 })).await;
    assert_eq!(names(&first), ["a-1", "b-1"]);
    let after_b = token(&first);
    // The row it stands on goes, one comes before it and one behind.
    server.ok("DeleteVM", json!({ "id": ids[1] })).await;
    create(&server, "a-2", json!({})).await;
    create(&server, "b-2", json!({})).await;
    let rest = pages(&server, json!({ "pageSize": 3, "pageToken": after_b })).await.concat();
    assert_eq!(rest, ["b-2", "c-1", "cache-server", "d-1", "db-server-01", "dev-workstation", "web-server-01"]);

    for wrong in [
        json!({ "pageToken": "nonsense" }),
        json!({ "pageToken": "!!!" }),
        json!({ "pageToken": after_b, "orderBy": "name desc" }),
        json!({ "pageToken": after_b, "labels": { "team": "a" } }),
        json!({ "pageToken": after_b, "states": ["RUNNING"] }),
    ] {
        let message = server.refused("ListVMs", wrong, "invalid_argument").await;
        assert!(message.starts_with("page_token: "), "{message}");
    }
    let foreign = token(&server.ok("ListNodes", json!({ "pageSize": 1 })).await);
    let message = server.refused("ListVMs", json!({ "pageToken": foreign }), "invalid_argument").await;
    assert!(message.starts_with("page_token: "), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_and_twenty_vms_created_at_once_are_all_there_once() {
    let server = Server::demo().await;
    let begun = std::time::Instant::now();
    let wanted: BTreeSet<String> = (0..120).map(|index| format!("load-{index:03}")).collect();
    let bodies: Vec<Value> =
        wanted.iter().map(|name| json!({ "name": name, "labels": { "load": "yes" }, "spec": small_spec() })).collect();
    let made = futures::future::join_all(bodies.into_iter().map(|body| server.ok("CreateVM", body))).await;
    println!("120 CreateVM at once took {:?}", begun.elapsed());
    let ids: BTreeSet<&str> = made.iter().filter_map(|vm| vm["id"].as_str()).collect();
    assert_eq!(ids.len(), 120);
    let listed = pages(&server, json!({ "pageSize": 17, "labels": { "load": "yes" } })).await;
    assert_eq!(listed.len(), 8);
    assert_eq!(listed.concat(), wanted.into_iter().collect::<Vec<_>>());
    assert_eq!(server.ok("ListVMs", json!({})).await["totalCount"], 124);
    assert_eq!(names(&server.ok("ListVMs", json!({})).await).len(), 50, "the page where nothing is said");
}
