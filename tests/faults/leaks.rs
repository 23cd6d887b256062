//! R27: a mixed load goes on and on, and the process stays as big as it is: its memory, its open
//! files, its threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::support::{Server, service_of, small_spec};

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    at_seconds: f64,
    resident_kib: f64,
    files: f64,
    threads: f64,
}

fn held(pid: u32, begun: Instant) -> Held {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let number = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key)).expect("a line of the status");
        line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
    };
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").count();
    Held {
        at_seconds: begun.elapsed().as_secs_f64(),
        resident_kib: number("VmRSS:"),
        #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
        files: files as f64,
        threads: number("Threads:"),
    }
}

/// The open files by kind.
fn which(pid: u32) -> String {
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").flatten() {
        let target = std::fs::read_link(entry.path()).unwrap_or_default().display().to_string();
        *kinds.entry(target.split(':').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    format!("{kinds:?}")
}

/// The slope of a line through these points, by least squares: what is added a second.
fn slope(all: &[Held], of: fn(&Held) -> f64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
    let count = all.len() as f64;
    let mean = |value: &dyn Fn(&Held) -> f64| all.iter().map(value).sum::<f64>() / count;
    let (x, y) = (mean(&|held| held.at_seconds), mean(&|held| of(held)));
    let above: f64 = all.iter().map(|held| (held.at_seconds - x) * (of(held) - y)).sum();
    let below: f64 = all.iter().map(|held| (held.at_seconds - x).powi(2)).sum();
    above / below
}

/// One client, going round until told to stop. Every call is counted; what fails is unexpected.
async fn client(http: reqwest::Client, url: String, who: usize, stop: Arc<AtomicBool>, calls: Arc<AtomicUsize>) {
    let call = async |method: &str, body: Value| -> Value {
        let answer = http
            .post(format!("{url}/{}/{method}", service_of(method)))
            .header("Content-Type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap_or_else(|error| panic!("{method}: {error}"));
        calls.fetch_add(1, Ordering::Relaxed);
        let text = answer.text().await.expect("an answer");
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{method}: {text}"))
    };
    for round in 0.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let vm = call("CreateVM", json!({ "name": format!("leak-{who}-{round}"), "spec": small_spec() })).await;
        let id = vm["id"].as_str().unwrap_or_else(|| panic!("it is made: {vm}")).to_owned();
        let one = json!({ "id": id });
        call("StartVM", one.clone()).await;
        call("PauseVM", one.clone()).await;
        call("ResumeVM", one.clone()).await;
        call("UpdateVM", json!({ "id": id, "description": format!("round {round}") })).await;
        for method in ["ListVMs", "ListNodes", "ListOperations", "ListEvents", "ListBackups"] {
            call(method, json!({})).await;
        }
        // Refused, each in its own way.
        let refused = call("GetConsole", one.clone()).await;
        assert!(refused["code"].is_string(), "{refused}");
        call("GetVM", json!({ "id": "nonsense" })).await;
        call("StartVM", one.clone()).await;
        // A watch that is left after its first messages.
        let watch = http
            .post(format!("{url}/{}/WatchVMs", service_of("WatchVMs")))
            .header("Content-Type", "application/connect+json")
            .body([&[0_u8, 0, 0, 0, 2][..], b"{}"].concat())
            .send()
            .await
            .expect("a stream");
        assert!(watch.status().is_success());
        let first = watch.bytes_stream().next().await;
        assert!(first.is_some_and(|bytes| bytes.is_ok()), "the stream begins");
        // A connection that is never used, and one that says nonsense.
        let at = url.strip_prefix("http://").expect("an address").to_owned();
        drop(tokio::net::TcpStream::connect(&at).await);
        let _ = http.get(format!("{url}/console/nonsense")).send().await.map(drop);
        call("StopVM", json!({ "id": id, "force": true })).await;
        call("DeleteVM", one).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_of_mixed_load_leaves_the_process_as_big_as_it_was() {
    let long = std::env::var_os("QKVM_LONG").is_some();
    let (warm_up, measured) = if long { (300, 3600) } else { (20, 45) };
    let server = Server::on("test:///default").await;
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|who| {
            let (http, url) = (server.http.clone(), server.url.clone());
            tokio::spawn(client(http, url, who, Arc::clone(&stop), Arc::clone(&calls)))
        })
        .collect();
    let pid = server.pid();
    let begun = Instant::now();
    let mut all = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    while begun.elapsed() < Duration::from_secs(warm_up + measured) {
        tick.tick().await;
        if begun.elapsed() >= Duration::from_secs(warm_up) {
            all.push(held(pid, begun));
        }
        if let Some(ended) = clients.iter().position(tokio::task::JoinHandle::is_finished) {
            panic!("client {ended} has ended before its time\n{}", server.log());
        }
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("the client does not fail");
    }
    let listed = server.ok("ListVMs", json!({})).await;
    assert_eq!(listed["totalCount"], 1, "the test driver's own: {listed}");
    let first = all[0];
    let (memory, files, threads) =
        (slope(&all, |h| h.resident_kib), slope(&all, |h| h.files), slope(&all, |h| h.threads));
    let last = all[all.len() - 1];
    let seconds = last.at_seconds - first.at_seconds;
    println!(
        "R27: {} calls in {:.0} s; after {warm_up} s of warming up, over {seconds:.0} s: memory {:.1} to {:.1} MiB \
         ({memory:+.2} KiB/s), files {:.0} to {:.0} ({files:+.4}/s), threads {:.0} to {:.0} ({threads:+.4}/s)",
        calls.load(Ordering::Relaxed),
        begun.elapsed().as_secs_f64(),
        first.resident_kib / 1024.0,
        last.resident_kib / 1024.0,
        first.files,
        last.files,
        first.threads,
        last.threads,
    );
    println!("{}", which(pid));
    // Operations and events fill up to their bounds at first, and with them the file's pages: 100
    // KiB/s in a minute, of which an hour may show a tenth. Of files and threads there are as many
    // as there are clients, give or take those that come and go.
    let bound = if long { 10.0 } else { 100.0 };
    assert!(memory < bound, "memory grows by {memory:.2} KiB a second");
    assert!(files * seconds < 8.0, "files grow by {files:.4} a second");
    assert!(threads * seconds < 8.0, "threads grow by {threads:.4} a second");
}
