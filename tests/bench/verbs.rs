//! P3, P4, P5: what a change costs beyond libvirt's own calls and the commits.

use std::time::{Duration, Instant};

use serde_json::json;
use virt::connect::Connect;
use virt::storage_vol::StorageVol;

use crate::floor::Commits;
use crate::report::{Report, median, millis};
use crate::support::Server;
use crate::support::testbed::Testbed;

const ROUNDS: usize = 20;

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let answer = work();
    (begun.elapsed(), answer)
}

fn id(vm: &serde_json::Value) -> String {
    vm["id"].as_str().expect("an id").to_owned()
}

pub fn measure(report: &mut Report) {
    let bed = Testbed::new();
    let server = crate::run(Server::on(&bed.uri));
    let connection = Connect::open(Some(&bed.uri)).expect("libvirt answers");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let call = |method: &str, body: serde_json::Value| runtime.block_on(server.ok(method, body));
    let spec = json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 } });

    // P3
    let vm = id(&call("CreateVM", json!({ "name": "changed", "spec": spec })));
    let mut one = Commits::beside(&server.data_dir, 1, 4096);
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for round in 0..100 {
        ours.push(timed(|| call("UpdateVM", json!({ "id": vm, "description": format!("round {round}") }))).0);
        floor.push(one.commit());
    }
    let commit = median(&mut floor);
    report.tell("P3", "a redb commit of one row, p50", &format!("{:.2} ms", millis(commit)));
    let limit = commit * 2 + Duration::from_micros(300);
    report.within("P3", "UpdateVM (description), p50", median(&mut ours), limit);

    // P4
    let text = bed.virsh(&["dumpxml", "--inactive", &vm]);
    // The intent and the end of a creation: record, its three indexes, operation, event.
    let mut six = Commits::beside(&server.data_dir, 6, 1024);
    let (mut ours, mut defines, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (took, made) = timed(|| call("CreateVM", json!({ "name": format!("made-{round}"), "spec": spec })));
        ours.push(took);
        call("DeleteVM", json!({ "id": id(&made) }));
        let other = text.replace(&vm, "00000000-0000-4000-8000-0000000000ff").replace("changed", "floor");
        let (took, defined) = timed(|| connection.define_domain_xml(&other).expect("it is defined"));
        defines.push(took);
        defined.undefine().expect("it is undefined");
        both.push(six.commit() + six.commit());
    }
    let both = median(&mut both);
    report.tell("P4", "two redb commits of six rows, p50", &format!("{:.2} ms", millis(both)));
    let define = median(&mut defines);
    report.tell("P4", "libvirt's define, p50", &format!("{:.2} ms", millis(define)));
    let limit = define + both + Duration::from_millis(3);
    report.within("P4", "CreateVM without a disk, p50", median(&mut ours), limit);
    with_disk(report, &call, &connection, limit);

    // P5
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let domain = connection.lookup_domain_by_uuid_string(&vm).expect("it is defined");
    for _ in 0..ROUNDS {
        ours.push(timed(|| call("StartVM", json!({ "id": vm }))).0);
        call("StopVM", json!({ "id": vm, "force": true }));
        theirs.push(timed(|| domain.create().expect("it starts")).0);
        domain.destroy().expect("it stops");
        runtime.block_on(server.until_state(&vm, "STOPPED", Duration::from_secs(10)));
    }
    let floor = median(&mut theirs);
    report.tell("P5", "virDomainCreate, p50", &format!("{:.1} ms", millis(floor)));
    let limit = floor + Duration::from_millis(5).max(floor.mul_f64(0.03));
    report.within("P5", "StartVM, p50", median(&mut ours), limit);
    install(report, &bed, &call, &spec);
}

fn with_disk(
    report: &mut Report,
    call: &impl Fn(&str, serde_json::Value) -> serde_json::Value,
    connection: &Connect,
    without: Duration,
) {
    let spec = json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 }, "disks": [{ "sizeGib": 20 }] });
    let (mut ours, mut creates) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (took, made) = timed(|| call("CreateVM", json!({ "name": format!("disk-{round}"), "spec": spec })));
        ours.push(took);
        call("DeleteVM", json!({ "id": id(&made), "deleteVolumes": true }));
        let pool = connection.lookup_storage_pool_by_name("default").expect("the pool");
        let text = "<volume><name>floor.qcow2</name><capacity unit='GiB'>20</capacity>\
            <target><format type='qcow2'/></target></volume>";
        let (took, volume) = timed(|| StorageVol::create_xml(&pool, text, 0).expect("it is created"));
        creates.push(took);
        volume.delete(0).expect("it is deleted");
    }
    let create = median(&mut creates);
    report.tell("P4", "the pool's own volume creation, p50", &format!("{:.1} ms", millis(create)));
    let limit = without + create + Duration::from_millis(5);
    report.within("P4", "CreateVM with a new disk of 20 GiB, p50", median(&mut ours), limit);
}

/// Where virt-install is there, make and start against it.
fn install(
    report: &mut Report,
    bed: &Testbed,
    call: &impl Fn(&str, serde_json::Value) -> serde_json::Value,
    spec: &serde_json::Value,
) {
    let there =
        std::process::Command::new("virt-install").arg("--version").output().is_ok_and(|out| out.status.success());
    if !there {
        report.tell("P5", "create + start against virt-install", "virt-install is not installed here");
        return;
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..5 {
        let name = format!("both-{round}");
        let (took, made) = timed(|| call("CreateVM", json!({ "name": name, "spec": spec, "startOnCreate": true })));
        ours.push(took);
        call("DeleteVM", json!({ "id": id(&made), "force": true }));
        let (took, done) = timed(|| {
            std::process::Command::new("virt-install")
                .args([
                    "--connect",
                    &bed.uri,
                    "--name",
                    &name,
                    "--memory",
                    "256",
                    "--vcpus",
                    "1",
                    "--virt-type",
                    "qemu",
                ])
                .args(["--disk", "none", "--network", "none", "--osinfo", "detect=off,require=off", "--pxe"])
                .args(["--noautoconsole", "--wait", "0"])
                .output()
                .expect("it runs")
        });
        assert!(done.status.success(), "virt-install: {}", String::from_utf8_lossy(&done.stderr));
        theirs.push(took);
        bed.virsh(&["destroy", &name]);
        bed.try_virsh(&["undefine", &name, "--nvram"]);
    }
    report.within("P5", "create + start, to 0.6 of virt-install", median(&mut ours), median(&mut theirs).mul_f64(0.6));
}
