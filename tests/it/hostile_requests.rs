//! Requests that nobody would send who means well, to the whole program: each RPC, with texts much
//! like good ones. It answers every one, never that something of its own failed, and lives on.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::hostile::{cases, like, seeds};
use crate::support::Server;

/// Every unary RPC of the contract, as its path says it.
fn rpcs() -> Vec<String> {
    let mut found = Vec::new();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/Quantixkvm");
    for area in std::fs::read_dir(folder).expect("the contract").flatten() {
        for file in std::fs::read_dir(area.path().join("v1")).expect("an area").flatten() {
            let text = std::fs::read_to_string(file.path()).expect("a file of the contract");
            let package = text.lines().find_map(|line| line.strip_prefix("package ")?.strip_suffix(';'));
            let mut service = "";
            for line in text.lines() {
                if let Some(name) = line.strip_prefix("service ") {
                    service = name.trim_end_matches([' ', '{']);
                }
                let rpc = line.trim().strip_prefix("rpc ").filter(|rpc| !rpc.contains("returns (stream"));
                if let Some((name, _)) = rpc.and_then(|rpc| rpc.split_once('(')) {
                    found.push(format!("{}.{service}/{name}", package.unwrap_or_default()));
                }
            }
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_upsets_the_server() {
    let server = Server::demo().await;
    let pid = server.pid();
    let rpcs = rpcs();
    let config = cases(600, "tests/corpus/requests.regressions");
    let tries = config.cases;
    let runtime = tokio::runtime::Handle::current();
    let mut slowest = Duration::ZERO;
    let mut codes = std::collections::BTreeMap::<String, u32>::new();
    let tried = tokio::task::block_in_place(|| {
        let told = std::sync::Mutex::new((&mut slowest, &mut codes));
        TestRunner::new(config).run(&(prop::sample::select(rpcs), like(seeds("tests/corpus/json"))), |(rpc, text)| {
            let begun = Instant::now();
            let sent = server
                .http
                .post(format!("{}/{rpc}", server.url))
                .header("Content-Type", "application/json")
                .body(text.0.clone())
                .send();
            let answer = runtime.block_on(async {
                let answer = sent.await?;
                Ok::<_, reqwest::Error>((answer.status().as_u16(), answer.text().await?))
            });
            let (status, said) = answer.map_err(|error| TestCaseError::fail(format!("{rpc}: {error}")))?;
            let body: serde_json::Value = serde_json::from_str(&said)
                .map_err(|_| TestCaseError::fail(format!("{rpc}: {status} without JSON: {said}")))?;
            let code = if status == 200 { "ok" } else { body["code"].as_str().unwrap_or_default() }.to_owned();
            prop_assert!(
                !["", "internal", "unknown", "data_loss"].contains(&code.as_str()),
                "{}: {} {}",
                rpc,
                status,
                said
            );
            let mut told = told.lock().expect("the figures");
            *told.0 = (*told.0).max(begun.elapsed());
            *told.1.entry(code).or_default() += 1;
            Ok(())
        })
    });
    tried.unwrap_or_else(|error| panic!("{error}\n{}", server.log()));
    assert!(!server.log().contains("panicked"), "{}", server.log());
    assert!(std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| !status.contains("State:\tZ")));
    println!("{tries} hostile requests: {codes:?}; the slowest took {slowest:?}");
}
