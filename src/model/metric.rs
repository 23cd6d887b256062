//! Measured use in the past: what is kept of it, how finely and for how long.

use super::id::{NodeId, VmId};
use super::vm::Moment;

/// What is kept of a VM and of a node, in the order in which a [`Sample`] holds it.
pub const MEASURES: [&str; 6] = [
    "cpu_percent",
    "memory_used_bytes",
    "disk_read_bytes_sec",
    "disk_write_bytes_sec",
    "network_rx_bytes_sec",
    "network_tx_bytes_sec",
];

/// One value a measure; NaN where nothing was measured.
pub type Sample = [f32; MEASURES.len()];

/// A sample of nothing.
pub const NOTHING: Sample = [f32::NAN; MEASURES.len()];

/// Whose past it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    Vm(VmId),
    Node(NodeId),
}

/// How finely the past is kept; the finer, the shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// Each 10 seconds, for an hour.
    Fine,
    /// Each minute, for a day.
    Minute,
    /// Each 15 minutes, for a week.
    Quarter,
}

/// Seconds beyond its time that a resolution is kept: a range of its whole time is still all of it
/// when it is read a moment later.
pub const GRACE: u32 = 120;

impl Resolution {
    /// The finest first.
    pub const ALL: [Self; 3] = [Self::Fine, Self::Minute, Self::Quarter];

    /// Seconds from one value to the next.
    #[must_use]
    pub fn step(self) -> u32 {
        match self {
            Self::Fine => 10,
            Self::Minute => 60,
            Self::Quarter => 900,
        }
    }

    /// Seconds for which it is kept.
    #[must_use]
    pub fn kept(self) -> u32 {
        match self {
            Self::Fine => 3600,
            Self::Minute => 24 * 3600,
            Self::Quarter => 7 * 24 * 3600,
        }
    }
}

/// A range of the past that can be read: whole steps, none of them still going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub resolution: Resolution,
    /// Seconds since 1970, a multiple of the step.
    pub start: u32,
    pub count: u32,
}

impl Range {
    /// What is kept between two moments, in the finest resolution that is kept for all of it. What
    /// is older than all that is kept, or not yet past, is left out.
    #[must_use]
    pub fn of(start: Moment, end: Moment, now: Moment) -> Self {
        let seconds = |at: Moment| u32::try_from(at.0.div_euclid(1_000_000).max(0)).unwrap_or(u32::MAX);
        let now = seconds(now);
        let end = seconds(end).min(now);
        let start = seconds(start).max(now.saturating_sub(Resolution::Quarter.kept())).min(end);
        let fits = |resolution: &Resolution| now - start <= resolution.kept() + GRACE / 2;
        let resolution = Resolution::ALL.into_iter().find(fits).unwrap_or(Resolution::Quarter);
        let (first, last) = (start / resolution.step(), end / resolution.step());
        Self { resolution, start: first * resolution.step(), count: last - first }
    }
}

/// The average of what was measured.
#[must_use]
pub fn average(samples: impl IntoIterator<Item = Sample>) -> Sample {
    let mut sums = [(0.0_f64, 0.0_f64); MEASURES.len()];
    for sample in samples {
        for ((sum, count), value) in sums.iter_mut().zip(sample) {
            if !value.is_nan() {
                *sum += f64::from(value);
                *count += 1.0;
            }
        }
    }
    // 0 / 0 is NaN: nothing was measured.
    #[allow(clippy::cast_possible_truncation, reason = "an average of single precision needs no more")]
    sums.map(|(sum, count)| (sum / count) as f32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_007;

    fn of(start: i64, end: i64) -> Range {
        let at = |seconds: i64| Moment(seconds.saturating_mul(1_000_000));
        Range::of(at(start), at(end), at(NOW))
    }

    #[test]
    fn the_finest_that_is_kept_for_all_of_a_range_is_read() {
        for (ago, until, resolution) in [
            (3600, 0, Resolution::Fine),
            (60, 10, Resolution::Fine),
            (3600 + 90, 3600, Resolution::Minute),
            (24 * 3600, 0, Resolution::Minute),
            (25 * 3600, 24 * 3600, Resolution::Quarter),
            (7 * 24 * 3600, 0, Resolution::Quarter),
        ] {
            let range = of(NOW - ago, NOW - until);
            assert_eq!(range.resolution, resolution, "{ago} {until}");
            assert_eq!(range.start % resolution.step(), 0);
            assert!(i64::from(range.count) <= (ago - until) / i64::from(resolution.step()) + 1);
        }
    }

    #[test]
    fn what_is_not_kept_is_left_out() {
        let all = of(0, i64::MAX);
        assert_eq!((all.resolution, all.count), (Resolution::Quarter, 672));
        assert_eq!(of(NOW + 10, NOW + 20).count, 0);
        assert_eq!(of(i64::MIN, 5).count, 0);
    }

    proptest! {
        #[test]
        fn a_range_is_bounded_and_lies_within_what_was_asked(start in any::<i64>(), length in 0..=i64::MAX) {
            let start = start / 1_000_000;
            let range = of(start, start.saturating_add(length / 1_000_000));
            prop_assert!(range.count <= 1500);
            prop_assert!(i64::from(range.start + range.count * range.resolution.step()) <= NOW);
        }

        #[test]
        fn an_average_lies_between_the_least_and_the_most(values in prop::collection::vec(0.0_f32..1e12, 1..400), gaps in 0_usize..10) {
            let all = values.iter().map(|value| [*value; 6]).chain(std::iter::repeat_n(NOTHING, gaps));
            let mean = average(all)[0];
            let (least, most) = values.iter().fold((f32::MAX, f32::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
            prop_assert!(least <= mean && mean <= most, "{least} {mean} {most}");
            prop_assert!(average(std::iter::repeat_n(NOTHING, gaps)).iter().all(|value| value.is_nan()));
        }
    }
}
