use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::id::{NodeId, VmId};
use crate::model::vm::Moment;

/// A Monday, at a whole day.
const DAY: u32 = 1_800_000_000 / 86_400 * 86_400;

fn vm(n: u8) -> Resource {
    Resource::Vm(VmId::from_bytes([n; 16]))
}

fn all(value: f32) -> Sample {
    [value; 6]
}

fn of(measured: &[(Resource, f32)]) -> BTreeMap<Resource, Sample> {
    measured.iter().map(|(resource, value)| (*resource, all(*value))).collect()
}

fn range(resolution: Resolution, start: u32, count: u32) -> Range {
    Range { resolution, start, count }
}

/// The first measure; -1 where nothing was measured.
fn first(samples: &[Sample]) -> Vec<f32> {
    samples.iter().map(|sample| if sample[0].is_nan() { -1.0 } else { sample[0] }).collect()
}

fn memory() -> MetricStore {
    MetricStore::in_memory().expect("memory does not fail")
}

#[test]
fn what_was_measured_is_read_as_it_was_with_gaps_where_nothing_was() {
    let store = memory();
    let node = Resource::Node(NodeId::from_bytes([7; 16]));
    assert_eq!(first(&store.read(vm(1), range(Resolution::Fine, DAY, 2))), [-1.0, -1.0], "nothing is known yet");
    store.record(DAY, &of(&[(vm(1), 1.0), (vm(2), 2.0), (node, 9.0)]));
    store.record(DAY + 20, &of(&[(vm(2), 4.0), (node, 8.0)]));
    assert_eq!(first(&store.read(vm(1), range(Resolution::Fine, DAY, 3))), [1.0, -1.0, -1.0]);
    assert_eq!(first(&store.read(vm(2), range(Resolution::Fine, DAY, 3))), [2.0, -1.0, 4.0]);
    assert_eq!(first(&store.read(node, range(Resolution::Fine, DAY - 10, 4))), [-1.0, 9.0, -1.0, 8.0]);
    assert_eq!(first(&store.read(vm(3), range(Resolution::Fine, DAY, 1))), [-1.0]);
    // A VM and a node of one id are two things.
    assert_eq!(first(&store.read(vm(7), range(Resolution::Fine, DAY, 1))), [-1.0]);
}

#[test]
fn a_minute_is_the_average_of_its_ticks_and_a_quarter_of_its_minutes() {
    let store = memory();
    for tick in 0..=180 {
        store.record(DAY + tick * 10, &of(&[(vm(1), (tick / 6) as f32)]));
    }
    let minutes: Vec<f32> = (0..30_u8).map(f32::from).collect();
    assert_eq!(first(&store.read(vm(1), range(Resolution::Minute, DAY, 30))), minutes);
    // What is still going on is not there yet.
    assert_eq!(first(&store.read(vm(1), range(Resolution::Minute, DAY + 1740, 2))), [29.0, -1.0]);
    assert_eq!(first(&store.read(vm(1), range(Resolution::Quarter, DAY, 3))), [7.0, 22.0, -1.0]);
}

#[test]
fn a_pause_is_a_gap_and_what_went_before_it_is_averaged_after_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("metrics.redb");
    {
        let store = MetricStore::open(&path).expect("it opens");
        store.record(DAY, &of(&[(vm(1), 1.0)]));
        store.record(DAY + 10, &of(&[(vm(1), 3.0)]));
    }
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&path.metadata().expect("a file")) & 0o777, 0o600);
    let store = MetricStore::open(&path).expect("it opens again");
    store.record(DAY + 1800, &of(&[(vm(1), 5.0)]));
    assert_eq!(first(&store.read(vm(1), range(Resolution::Minute, DAY, 3))), [2.0, -1.0, -1.0]);
    assert_eq!(first(&store.read(vm(1), range(Resolution::Quarter, DAY, 2))), [2.0, -1.0]);
}

#[test]
fn what_is_kept_is_bounded_whatever_the_clock_does() {
    let store = memory();
    let counts = || {
        let db = Arc::clone(&store.db.read().expect("no panic"));
        let tx = db.begin_read().expect("a read");
        let ticks = redb::ReadableTableMetadata::len(&tx.open_table(TICKS).expect("ticks")).expect("a count");
        let blocks = redb::ReadableTableMetadata::len(&tx.open_table(BLOCKS).expect("blocks")).expect("a count");
        (ticks, blocks)
    };
    // Ten days, a value a minute.
    for minute in 0..10 * 24 * 60 {
        store.record(DAY + minute * 60, &of(&[(vm(1), 1.0)]));
    }
    let (ticks, blocks) = counts();
    assert!(ticks <= 63, "{ticks} ticks");
    assert!(blocks <= 26 + 9, "{blocks} blocks");
    let end = DAY + 10 * 86_400;
    assert_eq!(first(&store.read(vm(1), range(Resolution::Quarter, end - 7 * 86_400, 671))), vec![1.0; 671]);
    assert_eq!(first(&store.read(vm(1), range(Resolution::Minute, end - 86_400, 1439))), vec![1.0; 1439]);
    // Back by a month, on by a year, and one that was never set.
    for at in [DAY - 30 * 86_400, DAY + 365 * 86_400, 0, 50_000] {
        (0..12).for_each(|tick| store.record(at + tick * 10, &of(&[(vm(1), 2.0)])));
        let (ticks, blocks) = counts();
        assert!(ticks <= 63 + 12 && blocks <= 26 + 9 + 4, "{ticks} ticks, {blocks} blocks at {at}");
    }
}

#[test]
fn a_damaged_file_is_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("metrics.redb");
    let written = |store: &MetricStore| {
        store.record(DAY, &of(&[(vm(1), 1.0)]));
        store.record(DAY + 60, &of(&[(vm(1), 1.0)]));
        first(&store.read(vm(1), range(Resolution::Fine, DAY, 1)))
    };
    assert_eq!(written(&MetricStore::open(&path).expect("it opens")), [1.0]);
    let whole = std::fs::read(&path).expect("a file");
    let mut damaged = vec![Vec::new(), b"not a database".to_vec(), whole[..whole.len() / 2].to_vec(), vec![0; 8192]];
    for seed in 0..8 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = whole.clone();
        for _ in 0..200 {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        damaged.push(bytes);
    }
    for bytes in damaged {
        std::fs::write(&path, bytes).expect("it is written");
        let store = MetricStore::open(&path).expect("it is replaced");
        assert_eq!(written(&store), [1.0], "it goes on after damage");
    }
    // Rows that are not ours, in a file that is whole.
    let store = MetricStore::open(&path).expect("it opens");
    store.with((), |db| {
        let tx = db.begin_write()?;
        tx.open_table(TICKS)?.insert(DAY / 10, [1, 2, 3].as_slice())?;
        Ok(tx.commit()?)
    });
    assert_eq!(first(&store.read(vm(1), range(Resolution::Fine, DAY, 1))), [-1.0]);
    assert_eq!(written(&store), [1.0]);
    // A place where no file can be.
    let nowhere = MetricStore::open(&directory.path().join("no/such/place.redb")).expect("it is kept in memory");
    assert_eq!(written(&nowhere), [1.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever was measured and whatever was missed, each minute and each quarter is the average
    /// of what was measured in it.
    #[test]
    fn downsampling_is_the_average_of_what_there_was(values in prop::collection::vec(prop::option::of(0.0_f32..1e9), 90..400)) {
        let store = memory();
        for (tick, value) in (0_u32..).zip(&values) {
            if let Some(value) = value {
                store.record(DAY + tick * 10, &of(&[(vm(1), *value), (vm(2), 1.0)]));
            }
        }
        let end = u32::try_from(values.len()).expect("a short run");
        // One more, a quarter later: all before it is over.
        store.record(DAY + end * 10 + 900, &of(&[(vm(2), 1.0)]));
        let mean = |values: &[Option<f32>]| average(values.iter().flatten().map(|value| all(*value)))[0];
        let minutes: Vec<f32> = values.chunks(6).map(mean).collect();
        let read = store.read(vm(1), range(Resolution::Minute, DAY, end.div_ceil(6)));
        for (minute, (sample, wanted)) in read.iter().zip(&minutes).enumerate() {
            prop_assert!(sample[0].to_bits() == wanted.to_bits() || (sample[0].is_nan() && wanted.is_nan()), "minute {minute}: {} {wanted}", sample[0]);
        }
        let quarters = minutes.chunks(15).map(|minutes| average(minutes.iter().map(|value| all(*value)))[0]);
        let read = store.read(vm(1), range(Resolution::Quarter, DAY, end.div_ceil(90)));
        for (sample, wanted) in read.iter().zip(quarters) {
            prop_assert!(sample[0].to_bits() == wanted.to_bits() || (sample[0].is_nan() && wanted.is_nan()), "{} {wanted}", sample[0]);
        }
    }
}

#[test]
fn a_range_of_now_is_read() {
    let store = memory();
    let now = DAY + 3600;
    for tick in 0..360 {
        store.record(DAY + tick * 10, &of(&[(vm(1), 1.0)]));
    }
    let at = |seconds: u32| Moment(i64::from(seconds) * 1_000_000);
    let range = Range::of(at(DAY), at(now), at(now));
    assert_eq!(first(&store.read(vm(1), range)), vec![1.0; 360]);
}
