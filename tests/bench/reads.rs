//! P1, P2, P7, P8, P14: a thousand VMs on a real libvirtd, read and left alone.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use virt::connect::Connect;

use crate::floor::Floor;
use crate::load::{Target, a_second, client, one_by_one, post};
use crate::report::{Report, median, middle};
use crate::support::Server;
use crate::support::testbed::Testbed;

pub const LIST: &str = "Quantixkvm.compute.v1.VMService/ListVMs";
const GET: &str = "Quantixkvm.compute.v1.VMService/GetVM";

/// A VM as our own writer makes it, under another name.
fn define_many(server: &Server, bed: &Testbed, count: usize) {
    // A disk that nobody reads: what is defined is never started.
    let disk = tempfile::NamedTempFile::new().expect("a file");
    let vm = crate::run(server.ok(
        "CreateVM",
        json!({ "name": "bench-pattern", "labels": { "team": "a", "tier": "web" }, "description": "one of many",
            "spec": { "cpu": { "cores": 2 }, "memory": { "sizeMib": 1024 }, "nics": [{}, {}],
                "cdroms": [{}], "disks": [{ "path": disk.path(), "format": "RAW" }] } }),
    ));
    let id = vm["id"].as_str().expect("an id");
    let text = bed.virsh(&["dumpxml", "--inactive", id]);
    let connection = Connect::open(Some(&bed.uri)).expect("libvirt answers");
    for number in 1..count {
        let uuid = format!("00000000-0000-4000-8000-{number:012}");
        let mut next = text.replace(id, &uuid).replace("bench-pattern", &format!("vm-{number}"));
        // Each card has an address of its own.
        for (nic, (at, _)) in text.match_indices("<mac address='").enumerate() {
            let old = &text[at + 14..at + 31];
            next = next.replace(
                old,
                &format!("52:54:{nic:02x}:{:02x}:{:02x}:{:02x}", number >> 16, number >> 8 & 255, number & 255),
            );
        }
        connection.define_domain_xml(&next).expect("it is defined");
    }
}

/// From the process's start to its first answer, and to the first that libvirt confirms.
fn start_times(server: &mut Server) -> (Duration, Duration) {
    server.kill();
    let begun = Instant::now();
    server.relaunch();
    crate::run(async {
        let first = loop {
            let answer = server.try_call(LIST, &json!({ "pageSize": 1 }), &[]).await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                break begun.elapsed();
            }
        };
        server.ready().await;
        (first, begun.elapsed())
    })
}

/// What a process costs this machine: its own pages, and its share of those that it has in common
/// with others, libvirt's libraries above all (the kernel's PSS).
fn megabytes(pid: u32) -> f64 {
    kib(pid, "smaps_rollup", "Pss:") / 1024.0
}

/// All pages that a process has mapped, however many others have them too.
fn resident(pid: u32) -> f64 {
    kib(pid, "status", "VmRSS:") / 1024.0
}

fn kib(pid: u32, file: &str, field: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).expect("the process runs");
    let line = text.lines().find(|line| line.starts_with(field)).expect("its memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// The resident memory of a program that does nothing but hold a connection to libvirt.
fn bare_client(uri: &str) -> f64 {
    let mut virsh = Command::new("virsh")
        .args(["-c", uri, "event", "--event", "lifecycle", "--loop"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("virsh runs");
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut last = 0.0;
    let mut now = resident(virsh.id());
    // It has settled when it grows no more.
    while (now > last || now < 8.0) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(300));
        (last, now) = (now, resident(virsh.id()));
    }
    virsh.kill().expect("it ends");
    virsh.wait().expect("it has ended");
    now
}

/// CPU time that a process has used.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the server runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number");
    Duration::from_millis(ticks * 10)
}

pub fn measure(report: &mut Report) {
    let bed = Testbed::new();
    let mut server = crate::run(Server::on(&bed.uri));
    report.at_most("P7", "memory, idle, no VM", megabytes(server.pid()), 25.0, "MB");
    let (ours, bare) = (resident(server.pid()), bare_client(&bed.uri));
    report.tell("P7", "resident, idle, ours and virsh's with a connection", &format!("{ours:.1} and {bare:.1} MB"));
    let mut empty = Vec::new();
    for _ in 0..3 {
        empty.push(start_times(&mut server).1);
    }
    report.within("P8", "start to ready, no VM", median(&mut empty), Duration::from_millis(100));

    define_many(&server, &bed, 1000);
    crate::run(server.until("a thousand VMs", Duration::from_secs(120), async || {
        let list = server.ok("ListVMs", json!({ "pageSize": 1 })).await;
        (list["totalCount"] == 1000).then_some(())
    }));
    let (mut first, mut ready) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (answered, compared) = start_times(&mut server);
        first.push(answered);
        ready.push(compared);
    }
    report.within("P8", "start to first answer, 1,000 VMs", median(&mut first), Duration::from_millis(300));
    report.within("P8", "start to compared with libvirt, 1,000 VMs", median(&mut ready), Duration::from_millis(300));
    settle(&server);
    report.at_most("P7", "memory, 1,000 VMs", megabytes(server.pid()), 45.0, "MB");

    let rest = Duration::from_secs(15);
    let before = cpu(server.pid());
    std::thread::sleep(rest);
    let used = (cpu(server.pid()) - before).as_secs_f64() / rest.as_secs_f64() * 100.0;
    report.at_most("P14", "CPU at rest, 1,000 VMs, of one core", used, 1.0, "%");

    lists(report, &server);
    memory_after(report, &server);
}

/// Until the definitions were all read once after the start.
fn settle(server: &Server) {
    let mut last = Duration::ZERO;
    for _ in 0..60 {
        std::thread::sleep(Duration::from_millis(500));
        let now = cpu(server.pid());
        if now - last < Duration::from_millis(30) {
            return;
        }
        last = now;
    }
}

fn lists(report: &mut Report, server: &Server) {
    let all = json!({ "pageSize": 1000 }).to_string();
    let list = Target::of(server, LIST);
    let rows = crate::run(server.ok("ListVMs", json!({ "pageSize": 1000 })));
    let id = rows["vms"][0]["id"].as_str().expect("an id").to_owned();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), rows.to_string()).expect("the rows");
    report.tell("P1", "bytes of the list", &format!("{} kB", rows.to_string().len() / 1000));
    let floor = Floor::start(file.path());
    let bare = |path: &str| Target { url: format!("{}/{path}", floor.url), token: None };
    let (floor_list, floor_get) = (bare("list"), bare("get"));
    let (get, body) = (Target::of(server, GET), json!({ "id": id }).to_string());
    let time = Duration::from_secs(3);
    let asked = || counted(server);
    let before = asked();
    let (mut c1, mut c16, mut gets) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        let (ours, theirs) =
            crate::run(async { (one_by_one(&list, &all, 100).await, one_by_one(&floor_list, &all, 100).await) });
        c1.push(median(&mut ours.clone()).as_secs_f64() / median(&mut theirs.clone()).as_secs_f64());
        let (ours, theirs) =
            crate::run(async { (a_second(&list, &all, time).await, a_second(&floor_list, &all, time).await) });
        c16.push(ours / theirs);
        let (ours, theirs) =
            crate::run(async { (a_second(&get, &body, time).await, a_second(&floor_get, &body, time).await) });
        report.tell("P2", "GetVM and axum's POST + one row, 16 connections", &format!("{ours:.0}/s and {theirs:.0}/s"));
        gets.push(ours / theirs);
    }
    report.at_most("P1", "ListVMs, 1,000 VMs, 1 connection, to axum's p50", middle(c1), 1.5, "x");
    report.at_least("P1", "ListVMs, 1,000 VMs, 16 connections, to axum's rate", middle(c16), 0.5, "x");
    report.at_least("P2", "GetVM, 16 connections, to axum's rate", middle(gets), 0.5, "x");
    report.tell("P1", "requests counted by the server meanwhile", &format!("{}", asked() - before));
}

/// Requests that the server says it has answered.
fn counted(server: &Server) -> u64 {
    let text = crate::run(async {
        server.http.get(format!("{}/metrics", server.url)).send().await.expect("metrics").text().await.expect("text")
    });
    text.lines()
        .filter(|line| line.starts_with("quantixkvm_rpc") && line.contains("_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .map(|count| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let count = count as u64;
            count
        })
        .sum()
}

fn memory_after(report: &mut Report, server: &Server) {
    report.at_most("P7", "memory after the read load", megabytes(server.pid()), 55.0, "MB");
    let list = Target::of(server, LIST);
    let small = json!({ "pageSize": 2 }).to_string();
    let hammer = |count: usize| {
        crate::run(async {
            let clients: Vec<_> = (0..16)
                .map(|_| {
                    let (list, body) = (list.clone(), small.clone());
                    tokio::spawn(async move {
                        let client = client();
                        for _ in 0..count / 16 {
                            post(&client, &list, &body).await;
                        }
                    })
                })
                .collect();
            for client in clients {
                client.await.expect("a client ends");
            }
        });
        megabytes(server.pid())
    };
    let before = hammer(20_000);
    let after = hammer(100_000);
    report.at_most("P7", "growth over 100,000 requests", (after - before).max(0.0), 2.0, "MB");
}
