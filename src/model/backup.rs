//! Backups of the state file: how they are named and which of them are kept. Pure: a name says all
//! that is known of a backup, so that what is there needs no list of its own that could be lost.

use std::collections::BTreeSet;
use std::time::UNIX_EPOCH;

use super::vm::Moment;

/// Backups that are kept by the hour: the newest of each of so many hours.
const HOURS: usize = 24;
/// And by the day: the newest of each of so many days, beyond those of the hours.
const DAYS: usize = 7;
/// Made because someone asked.
const ON_DEMAND: usize = 10;
/// Made before a migration.
const BEFORE_UPGRADE: usize = 3;
/// Bearing a time that is yet to come: the clock went back, and they may be the newest of all.
const AHEAD: usize = 3;
/// How far ahead of our clock a time may be and still be of now.
const SLACK_US: i64 = 60 * 1_000_000;
const HOUR_US: i64 = 3600 * 1_000_000;

/// How often one is made.
pub const EVERY_US: i64 = HOUR_US;

/// Why a backup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BackupKind {
    Scheduled,
    OnDemand,
    /// Before the file was brought to a new format.
    BeforeUpgrade,
}

impl BackupKind {
    const ALL: [Self; 3] = [Self::Scheduled, Self::OnDemand, Self::BeforeUpgrade];

    /// As it stands in a file's name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Scheduled => "hourly",
            Self::OnDemand => "manual",
            Self::BeforeUpgrade => "upgrade",
        }
    }
}

/// What a backup's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackupName {
    /// To the millisecond.
    pub at: Moment,
    pub kind: BackupKind,
}

impl BackupName {
    /// At this moment, in the precision that names have.
    #[must_use]
    pub fn new(at: Moment, kind: BackupKind) -> Self {
        Self { at: Moment(at.0.div_euclid(1000) * 1000), kind }
    }

    /// `state-2026-07-01T00-00-00.000Z-hourly.redb`: sorts by time, and needs no quoting in a shell.
    #[must_use]
    pub fn file(self) -> String {
        format!("state-{}-{}.redb", self.at.to_string().replace(':', "-"), self.kind.word())
    }

    /// What this name says; `None`: it is no name of ours.
    #[must_use]
    pub fn parse(file: &str) -> Option<Self> {
        let (time, word) = file.strip_prefix("state-")?.strip_suffix(".redb")?.rsplit_once('-')?;
        let kind = BackupKind::ALL.into_iter().find(|kind| kind.word() == word)?;
        let (date, clock) = time.split_once('T')?;
        let at = humantime::parse_rfc3339(&format!("{date}T{}", clock.replace('-', ":"))).ok()?;
        let micros = i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_micros()).ok()?;
        let name = Self { at: Moment(micros), kind };
        // One spelling alone: what is deleted by its name is what was read.
        (name.file() == file).then_some(name)
    }
}

/// Which of these may go. Whatever the clock did, so many are left of each kind, and the number of
/// files is bounded.
#[must_use]
pub fn superfluous(now: Moment, there: &[BackupName]) -> BTreeSet<BackupName> {
    let (ahead, past): (BTreeSet<BackupName>, BTreeSet<BackupName>) =
        there.iter().partition(|name| is_ahead(now, name.at));
    let mut kept: BTreeSet<BackupName> = ahead.iter().rev().take(AHEAD).copied().collect();
    for kind in BackupKind::ALL {
        let newest_first = || past.iter().rev().filter(move |name| name.kind == kind).copied();
        match kind {
            BackupKind::Scheduled => {
                let hourly = newest_of_each(newest_first(), HOUR_US, HOURS);
                let hour = |name: &BackupName| name.at.0.div_euclid(HOUR_US);
                let shown: BTreeSet<i64> = hourly.iter().map(hour).collect();
                let others = newest_first().filter(|name| !shown.contains(&hour(name)));
                let daily = newest_of_each(others, 24 * HOUR_US, DAYS);
                kept.extend(hourly);
                kept.extend(daily);
            }
            BackupKind::OnDemand => kept.extend(newest_first().take(ON_DEMAND)),
            BackupKind::BeforeUpgrade => kept.extend(newest_first().take(BEFORE_UPGRADE)),
        }
    }
    ahead.union(&past).copied().filter(|name| !kept.contains(name)).collect()
}

/// The newest of each of the last `count` periods that have one.
fn newest_of_each(
    newest_first: impl Iterator<Item = BackupName>,
    period_us: i64,
    count: usize,
) -> BTreeSet<BackupName> {
    let mut periods = BTreeSet::new();
    let mut kept = BTreeSet::new();
    for name in newest_first {
        if periods.insert(name.at.0.div_euclid(period_us)) {
            if periods.len() > count {
                break;
            }
            kept.insert(name);
        }
    }
    kept
}

fn is_ahead(now: Moment, at: Moment) -> bool {
    at.0 > now.0.saturating_add(SLACK_US)
}

/// When the newest was made, of those that our clock has reached.
#[must_use]
pub fn newest(now: Moment, there: &[BackupName]) -> Option<Moment> {
    there.iter().map(|name| name.at).filter(|at| !is_ahead(now, *at)).max()
}

/// Whether it is time for the next one.
#[must_use]
pub fn is_due(now: Moment, there: &[BackupName]) -> bool {
    newest(now, there).is_none_or(|at| now.0.saturating_sub(at.0) >= EVERY_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: i64 = 24 * HOUR_US;
    const NOW: Moment = Moment(1_782_864_000_000_000 + 30 * 60 * 1_000_000);

    fn hourly(hours_ago: i64) -> BackupName {
        BackupName::new(Moment(NOW.0 - hours_ago * HOUR_US), BackupKind::Scheduled)
    }

    fn left(now: Moment, there: &[BackupName]) -> Vec<BackupName> {
        let gone = superfluous(now, there);
        let mut left: Vec<BackupName> = there.iter().filter(|name| !gone.contains(name)).copied().collect();
        left.sort();
        left.reverse();
        left
    }

    #[test]
    fn a_name_is_read_as_it_was_written_and_nothing_else_is() {
        for kind in BackupKind::ALL {
            let name = BackupName::new(Moment(1_782_864_000_123_456), kind);
            assert_eq!(BackupName::parse(&name.file()), Some(name));
        }
        assert_eq!(hourly(0).file(), "state-2026-07-01T00-30-00.000Z-hourly.redb");
        for other in [
            "state.redb",
            "state-2026-07-01T00-30-00.000Z-hourly.redb.part",
            "state-2026-07-01T00:30:00.000Z-hourly.redb",
            "state-2026-07-01T00-30-00Z-hourly.redb",
            "state-2026-07-01T00-30-00.000Z-weekly.redb",
            "state-2026-13-01T00-30-00.000Z-hourly.redb",
            "state--hourly.redb",
            "state-1969-07-01T00-30-00.000Z-hourly.redb",
            "../state-2026-07-01T00-30-00.000Z-hourly.redb",
        ] {
            assert_eq!(BackupName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_year_of_hours_leaves_24_hours_and_7_days() {
        // As it is lived: one an hour, and each time what is superfluous goes.
        let mut there = Vec::new();
        for hour in (0..24 * 365).rev() {
            there.push(hourly(hour));
            there = left(Moment(NOW.0 - hour * HOUR_US), &there);
            assert!(there.len() <= HOURS + DAYS, "{} files", there.len());
        }
        assert_eq!(there.len(), HOURS + DAYS);
        assert_eq!(there[..HOURS], (0..24).map(hourly).collect::<Vec<_>>());
        let days: Vec<i64> = there[HOURS..].iter().map(|name| (NOW.0 - name.at.0) / DAY_US).collect();
        assert_eq!(days, [1, 1, 2, 3, 4, 5, 6], "the newest of each day that the hours do not show");
    }

    #[test]
    fn several_in_an_hour_leave_the_newest_and_gaps_take_no_places() {
        let minute = |n: i64| BackupName::new(Moment(NOW.0 + n * 60 * 1_000_000), BackupKind::Scheduled);
        assert_eq!(left(NOW, &[minute(-20), minute(-10), minute(0)]), [minute(0)]);
        // A machine that is on for an hour a week.
        let weekly: Vec<BackupName> = (0..24).map(|week| hourly(week * 7 * 24)).collect();
        assert_eq!(left(NOW, &weekly), weekly);
    }

    #[test]
    fn each_kind_has_places_of_its_own() {
        let of = |kind, n: i64| BackupName::new(Moment(NOW.0 - n * 1_000_000), kind);
        let there: Vec<BackupName> =
            BackupKind::ALL.into_iter().flat_map(|kind| (0..50).map(move |n| of(kind, n))).collect();
        let left = left(NOW, &there);
        let count = |kind| left.iter().filter(|name| name.kind == kind).count();
        assert_eq!(BackupKind::ALL.map(count), [1, ON_DEMAND, BEFORE_UPGRADE]);
        assert!(BackupKind::ALL.iter().all(|kind| left.contains(&of(*kind, 0))), "the newest stays");
    }

    #[test]
    fn a_clock_that_went_back_takes_no_places_and_loses_nothing() {
        let ahead: Vec<BackupName> = (1..40).map(|n| hourly(-n * 24)).collect();
        let past: Vec<BackupName> = (0..24).map(hourly).collect();
        let there: Vec<BackupName> = ahead.iter().chain(&past).copied().collect();
        let left = left(NOW, &there);
        assert_eq!(left.len(), AHEAD + past.len());
        assert!(past.iter().all(|name| left.contains(name)));
        assert_eq!(newest(NOW, &there), Some(past[0].at));
        assert!(is_due(NOW, &ahead), "what is of a time to come is no backup of the last hour");
        assert!(!is_due(NOW, &[hourly(0)]) && is_due(NOW, &[hourly(1)]) && is_due(NOW, &[]));
    }
}
