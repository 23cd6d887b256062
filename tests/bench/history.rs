//! What the past of measured use costs: a day of samples of a hundred running VMs.

use std::collections::BTreeMap;

use quantixkvm::model::id::{NodeId, VmId};
use quantixkvm::model::metric::{Range, Resolution, Resource, Sample};
use quantixkvm::store::MetricStore;

use crate::report::{Report, millis};

const VMS: u8 = 100;
const DAY: u32 = 86_400;
const STEP: u32 = 10;
/// At a whole day.
const BEGIN: u32 = 20_000 * DAY;

/// CPU time of this process, in seconds.
fn spent() -> f64 {
    let stat = procfs::process::Process::myself().and_then(|me| me.stat()).expect("the kernel tells it");
    #[allow(clippy::cast_precision_loss, reason = "a time in seconds")]
    let ticks = (stat.utime + stat.stime) as f64;
    #[allow(clippy::cast_precision_loss, reason = "a hundred or so")]
    let a_second = procfs::ticks_per_second() as f64;
    ticks / a_second
}

pub fn measure(report: &mut Report) {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("metrics.redb");
    let store = MetricStore::open(&path).expect("a file");
    let mut random = fastrand::Rng::with_seed(3);
    let mut sample = || -> Sample { std::array::from_fn(|_| random.f32() * 1e9) };
    let before = spent();
    for tick in 0..DAY / STEP {
        let mut measured: BTreeMap<Resource, Sample> =
            (0..VMS).map(|vm| (Resource::Vm(VmId::from_bytes([vm; 16])), sample())).collect();
        measured.insert(Resource::Node(NodeId::from_bytes([1; 16])), sample());
        store.record(BEGIN + tick * STEP, &measured);
    }
    let share = (spent() - before) / f64::from(DAY) * 100.0;
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
