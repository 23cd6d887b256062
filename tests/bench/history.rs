//! What the past of measured use costs: keeping a day of samples of a hundred running VMs, and all that
//! a server does that measures and keeps them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use procfs::process::Process;
use quantixkvm::model::id::{NodeId, VmId};
use quantixkvm::model::metric::{Range, Resolution, Resource, Sample};
use quantixkvm::store::MetricStore;

use serde_json::json;

use crate::many;
use crate::report::{Report, millis};
use crate::support::Server;

const VMS: u8 = 100;
const DAY: u32 = 86_400;
const STEP: u32 = 10;
/// At a whole day.
const BEGIN: u32 = 20_000 * DAY;

/// Of the whole server. The past is kept each ten seconds, use measured each two: some of each.
const WATCHED: Duration = Duration::from_secs(30);

/// CPU time of a process, in seconds.
fn spent(process: procfs::ProcResult<procfs::process::Process>) -> f64 {
    let stat = process.and_then(|process| process.stat()).expect("the kernel tells it");
    #[allow(clippy::cast_precision_loss, reason = "a time in seconds")]
    let ticks = (stat.utime + stat.stime) as f64;
    #[allow(clippy::cast_precision_loss, reason = "a hundred or so")]
    let a_second = procfs::ticks_per_second() as f64;
    ticks / a_second
}

pub fn measure(report: &mut Report) {
    kept(report);
    whole(report);
}

/// The share of a core that a server takes by itself, in percent.
fn share_of(server: &Server) -> f64 {
    let pid = i32::try_from(server.pid()).expect("a pid");
    let (begun, before) = (Instant::now(), spent(Process::new(pid)));
    // Nothing is waited for: time is what is measured against.
    std::thread::sleep(WATCHED);
    (spent(Process::new(pid)) - before) / begun.elapsed().as_secs_f64() * 100.0
}

/// Libvirt's test driver is a part of the server's process: what libvirtd would do is counted, too.
fn whole(report: &mut Report) {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("host.xml");
    std::fs::write(&file, many::host(usize::from(VMS))).expect("the host");
    let uri = format!("test://{}", file.display());
    let server = crate::run(Server::start(Some(&home.path().join("data")), &["--libvirt-uri", &uri]));
    let vms = crate::run(server.ok("ListVMs", json!({ "pageSize": 1000 })))["vms"].clone();
    let vms = vms.as_array().expect("VMs");
    assert_eq!(vms.len(), usize::from(VMS));
    let all = |verb: &str, more: serde_json::Value, state: &str| {
        crate::run(async {
            for vm in vms {
                let mut body = more.clone();
                body["id"] = vm["id"].clone();
                if server.state(vm["id"].as_str().expect("an id")).await != state {
                    server.ok(verb, body).await;
                }
            }
        });
    };
    all("StartVM", json!({}), "RUNNING");
    let measured = share_of(&server);
    let past = crate::run(server.ok("GetVMMetricHistory", json!({ "vmId": vms[0]["id"] })));
    assert!(past["count"].as_u64().is_some_and(|count| count > 0), "nothing was kept: {past}");
    all("StopVM", json!({ "force": true }), "STOPPED");
    let idle = share_of(&server);
    report.at_most("past", "CPU of a server that measures and keeps 100 running VMs", measured, 2.0, "%");
    report.tell("past", "CPU of the same server while they are off", &format!("{idle:.2} %"));
}

fn kept(report: &mut Report) {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("metrics.redb");
    let store = MetricStore::open(&path).expect("a file");
    let mut random = fastrand::Rng::with_seed(3);
    let mut sample = || -> Sample { std::array::from_fn(|_| random.f32() * 1e9) };
    let before = spent(Process::myself());
    for tick in 0..DAY / STEP {
        let mut measured: BTreeMap<Resource, Sample> =
            (0..VMS).map(|vm| (Resource::Vm(VmId::from_bytes([vm; 16])), sample())).collect();
        measured.insert(Resource::Node(NodeId::from_bytes([1; 16])), sample());
        store.record(BEGIN + tick * STEP, &measured);
    }
    let share = (spent(Process::myself()) - before) / f64::from(DAY) * 100.0;
    report.at_most("past", "CPU of keeping the use of 100 VMs", share, 2.0, "%");
    let bytes = std::fs::metadata(&path).expect("the file").len();
    #[allow(clippy::cast_precision_loss, reason = "a size in megabytes")]
    report.tell("past", "the file after a day of it", &format!("{:.1} MB", bytes as f64 / 1e6));
    for (resolution, what) in [(Resolution::Fine, "an hour"), (Resolution::Minute, "a day")] {
        let start = BEGIN + DAY - resolution.kept();
        let range = Range { resolution, start, count: resolution.kept() / resolution.step() };
        let begun = std::time::Instant::now();
        let read = store.read(Resource::Vm(VmId::from_bytes([50; 16])), range);
        let took = begun.elapsed();
        assert!(read.iter().filter(|sample| !sample[0].is_nan()).count() + 2 > read.len(), "the past is not there");
        report.tell("past", &format!("reading {what} of one VM"), &format!("{:.2} ms", millis(took)));
    }
}
