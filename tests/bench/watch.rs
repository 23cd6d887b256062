//! P6: from an outside change to a frame at a subscriber, beside libvirt's own callback.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::{Value, json};
use virt::connect::Connect;

use crate::report::{Report, median, millis, percentile};
use crate::support::Server;
use crate::support::testbed::Testbed;

const CHANGES: usize = 60;

/// What libvirt's own client hears, and when.
fn callbacks(uri: &str, vm: &str) -> (std::process::Child, Receiver<Instant>) {
    let mut child = Command::new("stdbuf")
        .args(["-oL", "virsh", "-c", uri, "event", vm, "--event", "lifecycle", "--loop"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("virsh runs");
    let (sender, heard) = channel();
    let lines = BufReader::new(child.stdout.take().expect("its output"));
    std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            if line.contains("Suspended") || line.contains("Resumed") {
                let _ = sender.send(Instant::now());
            }
        }
    });
    (child, heard)
}

/// Tells when a subscriber has read that the VM is in a state.
async fn subscriber(
    client: reqwest::Client,
    url: String,
    vm: String,
    told: tokio::sync::mpsc::UnboundedSender<(String, Instant)>,
) {
    let body = [&[0, 0, 0, 0, 2][..], b"{}"].concat();
    let answer = client
        .post(format!("{url}/Quantixkvm.compute.v1.VMService/WatchVMs"))
        .header("Content-Type", "application/connect+json")
        .body(body)
        .send()
        .await
        .expect("a stream");
    let mut stream = answer.bytes_stream();
    let mut read = Vec::new();
    while let Some(Ok(bytes)) = stream.next().await {
        let at = Instant::now();
        read.extend_from_slice(&bytes);
        while read.len() >= 5 {
            let length = u32::from_be_bytes([read[1], read[2], read[3], read[4]]) as usize;
            if read.len() < 5 + length {
                break;
            }
            let frame: Value = serde_json::from_slice(&read[5..5 + length]).unwrap_or_default();
            read.drain(..5 + length);
            let state = if frame["type"] == "SYNCED" {
                "SYNCED".to_owned()
            } else if frame["vm"]["id"] == vm.as_str() {
                frame["vm"]["status"]["state"].as_str().unwrap_or_default().to_owned()
            } else {
                continue;
            };
            if told.send((state, at)).is_err() {
                return;
            }
        }
    }
}

pub fn measure(report: &mut Report) {
    let bed = Testbed::new();
    let server = crate::run(Server::on(&bed.uri));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let spec = json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 } });
    let made = runtime.block_on(server.ok("CreateVM", json!({ "name": "seen", "startOnCreate": true, "spec": spec })));
    let vm = made["id"].as_str().expect("an id").to_owned();
    let connection = Connect::open(Some(&bed.uri)).expect("libvirt answers");
    let domain = connection.lookup_domain_by_uuid_string(&vm).expect("it is defined");
    let (mut virsh, heard) = callbacks(&bed.uri, &vm);
    // The first event that virsh tells of says that it listens.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        domain.suspend().expect("it pauses");
        domain.resume().expect("it goes on");
        if heard.recv_timeout(Duration::from_millis(200)).is_ok() {
            break;
        }
        assert!(Instant::now() < deadline, "virsh hears nothing");
    }
    for subscribers in [1, 100] {
        let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let tasks: Vec<_> = (0..subscribers)
            .map(|_| runtime.spawn(subscriber(server.client(), server.url.clone(), vm.clone(), told.clone())))
            .collect();
        for _ in 0..subscribers {
            while runtime.block_on(seen.recv()).expect("subscribers").0 != "SYNCED" {}
        }
        std::thread::sleep(Duration::from_millis(300));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for change in 0..CHANGES {
            while heard.try_recv().is_ok() {}
            while seen.try_recv().is_ok() {}
            let wanted = if change % 2 == 0 { "PAUSED" } else { "RUNNING" };
            let begun = Instant::now();
            if change % 2 == 0 { domain.suspend() } else { domain.resume() }.expect("it changes");
            let mut last = begun;
            for _ in 0..subscribers {
                loop {
                    let (state, at) = runtime
                        .block_on(async { tokio::time::timeout(Duration::from_secs(5), seen.recv()).await })
                        .expect("a frame within 5 s")
                        .expect("subscribers");
                    if state == wanted {
                        last = last.max(at);
                        break;
                    }
                }
            }
            ours.push(last - begun);
            theirs.push(heard.recv_timeout(Duration::from_secs(5)).expect("virsh hears it") - begun);
        }
        let (floor50, floor99) = (median(&mut theirs), percentile(&mut theirs, 0.99));
        report.tell(
            "P6",
            "libvirt's own callback, p50 and p99",
            &format!("{:.2} and {:.2} ms", millis(floor50), millis(floor99)),
        );
        if subscribers == 1 {
            report.within("P6", "change to frame, p50", median(&mut ours), floor50 + Duration::from_millis(2));
            report.within(
                "P6",
                "change to frame, p99",
                percentile(&mut ours, 0.99),
                floor99 + Duration::from_millis(10),
            );
        } else {
            let limit = floor99 + Duration::from_millis(25);
            report.within("P6", "change to the last of 100 frames, p99", percentile(&mut ours, 0.99), limit);
        }
        for task in tasks {
            task.abort();
        }
    }
    let _ = virsh.kill();
    let _ = virsh.wait();
}
