//! P9: a hung QEMU and fifty starts at once. P10: ten thousand records.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;
use virt::connect::Connect;

use crate::load::{Target, one_by_one};
use crate::reads::LIST;
use crate::report::{Report, median, millis, percentile};
use crate::support::Server;
use crate::support::testbed::Testbed;

const STARTS: usize = 50;

pub fn hung_and_many(report: &mut Report) {
    let bed = Testbed::new();
    let server = crate::run(Server::on(&bed.uri));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let call = |method: &str, body: serde_json::Value| runtime.block_on(server.ok(method, body));
    let spec = json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 } });
    // Starts are measured, not the room for them.
    let node = call("ListNodes", json!({}))["nodes"][0]["id"].clone();
    let overcommit = json!({ "cpuRatio": 64, "memoryRatio": 8 });
    call("UpdateNode", json!({ "id": node, "scheduling": { "schedulable": true, "overcommit": overcommit } }));
    let ids: Vec<String> = (0..STARTS)
        .map(|number| {
            let made = call("CreateVM", json!({ "name": format!("vm-{number}"), "spec": spec }));
            made["id"].as_str().expect("an id").to_owned()
        })
        .collect();

    call("StartVM", json!({ "id": ids[0] }));
    let list = Target::of(&server, LIST);
    let p99 = || percentile(&mut runtime.block_on(one_by_one(&list, "{}", 2000)), 0.99);
    let before = p99();
    let pid = rustix::process::Pid::from_raw(i32::try_from(bed.qemu(&ids[0])).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("it is stopped");
    let beside = p99();
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).expect("it goes on");
    report.tell("P9", "ListVMs p99 before", &format!("{:.2} ms", millis(before)));
    // Below half a millisecond the scheduler of a shared machine is all that is seen.
    let limit = before.mul_f64(1.1).max(before + Duration::from_micros(500));
    report.within("P9", "ListVMs p99 beside a hung QEMU", beside, limit);
    call("StopVM", json!({ "id": ids[0], "force": true }));

    let ours = {
        let begun = Instant::now();
        runtime.block_on(async {
            let starts = ids.iter().map(|id| server.ok("StartVM", json!({ "id": id })));
            futures::future::join_all(starts).await;
        });
        let took = begun.elapsed();
        runtime.block_on(async {
            let stops = ids.iter().map(|id| server.ok("StopVM", json!({ "id": id, "force": true })));
            futures::future::join_all(stops).await;
        });
        took
    };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for id in &ids {
            let uri = &bed.uri;
            scope.spawn(move || {
                let connection = Connect::open(Some(uri)).expect("libvirt answers");
                connection.lookup_domain_by_uuid_string(id).and_then(|domain| domain.create()).expect("it starts");
            });
        }
    });
    let theirs = begun.elapsed();
    report.within("P9", "50 parallel starts, to 1.05 of a bare client's", ours, theirs.mul_f64(1.05));
}

/// A host for the test driver with this many VMs.
pub fn host(count: usize) -> String {
    let mut text = "<node>".to_owned();
    for number in 0..count {
        let _ = write!(
            text,
            "<domain type='test'><name>vm-{number}</name><uuid>00000000-0000-4000-8000-{number:012}</uuid>\
             <memory unit='MiB'>256</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"
        );
    }
    text.push_str("</node>");
    text
}

pub fn ten_thousand(report: &mut Report) {
    let home = tempfile::tempdir().expect("a directory");
    let mut pages = Vec::new();
    for count in [1000, 10_000] {
        let file = home.path().join(format!("{count}.xml"));
        std::fs::write(&file, host(count)).expect("the host");
        let data = home.path().join(format!("data-{count}"));
        let uri = format!("test://{}", file.display());
        let mut server = crate::run(Server::start(Some(&data), &["--libvirt-uri", &uri]));
        let list = Target::of(&server, LIST);
        let body = json!({ "pageSize": 100 }).to_string();
        pages.push(median(&mut crate::run(one_by_one(&list, &body, 200))));
        if count == 10_000 {
            server.terminate();
            let begun = Instant::now();
            server.relaunch();
            crate::run(async {
                while !server
                    .try_call(LIST, &json!({ "pageSize": 1 }), &[])
                    .await
                    .is_ok_and(|answer| answer.status == 200)
                {}
            });
            report.within("P10", "start to first answer, 10,000 records", begun.elapsed(), Duration::from_secs(1));
        }
    }
    report.tell("P10", "a page of 100 at 1,000 records, p50", &format!("{:.2} ms", millis(pages[0])));
    report.within("P10", "a page of 100 at 10,000 records, p50", pages[1], pages[0].mul_f64(1.5));
}
