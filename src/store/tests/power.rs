//! R4, R23: the power goes at any moment, in the middle of commits and of migrations. A disk then
//! holds all that was synced, and of what was written since any part, torn where it likes. Each
//! such file is opened as a start opens it.

use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::ReadableTable as _;

use super::platter::{Op, Platter, apply};
use super::*;
use crate::store::migrate::{STEPS, Step, migrate};

/// What a disk holds after its power went.
struct Cut {
    what: String,
    bytes: Vec<u8>,
    /// How often someone had been told before.
    acknowledged: usize,
    torn: bool,
}

/// Every state that was synced, and `torn` others in each stretch between two syncs.
fn cuts(base: &[u8], log: &[Op], torn: usize, random: &mut fastrand::Rng) -> Vec<Cut> {
    let mut found = Vec::new();
    let mut synced = base.to_vec();
    let mut from = 0;
    let told = |to: usize| log[..to].iter().filter(|op| matches!(op, Op::Acknowledged)).count();
    for (at, _) in log.iter().enumerate().filter(|(_, op)| matches!(op, Op::Sync)) {
        let stretch: Vec<(usize, &Op)> =
            (from..at).zip(&log[from..at]).filter(|(_, op)| !matches!(op, Op::Acknowledged)).collect();
        for _ in 0..torn {
            // It goes after one of these; what of it and those before it had reached the disk is chance.
            let end = random.usize(0..=stretch.len());
            let mut bytes = synced.clone();
            let some = random.u8(0..=100);
            for (_, op) in &stretch[..end] {
                if random.u8(0..100) < some {
                    apply(&mut bytes, op);
                }
            }
            if let Some((_, Op::Write(offset, data))) = stretch[..end].last()
                && random.bool()
            {
                // The last one in half: its beginning, or its end.
                let middle = random.usize(0..data.len());
                let half = if random.bool() {
                    Op::Write(*offset, data[..middle].to_vec())
                } else {
                    Op::Write(*offset + middle as u64, data[middle..].to_vec())
                };
                apply(&mut bytes, &half);
            }
            let acknowledged = told(stretch[..end].last().map_or(from, |(index, _)| index + 1));
            found.push(Cut { what: format!("torn before sync {at}, {end} written"), bytes, acknowledged, torn: true });
        }
        log[from..=at].iter().for_each(|op| apply(&mut synced, op));
        from = at + 1;
        found.push(Cut { what: format!("at sync {at}"), bytes: synced.clone(), acknowledged: told(from), torn: false });
    }
    found
}

fn seed() -> u64 {
    std::env::var("QKVM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..))
}

fn long() -> bool {
    std::env::var_os("QKVM_LONG").is_some()
}

fn put(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
}

/// One commit of a mixed load.
fn change(store: &Store, n: u32, random: &mut fastrand::Rng) {
    let there = store.vm_all().expect("rows");
    let some = |random: &mut fastrand::Rng| there.get(random.usize(0..there.len().max(1))).cloned();
    done(store, |tx| {
        match (random.u8(0..10), some(random)) {
            (0..3, Some(old)) => tx.vm_update(&VmRecord { description: "d".repeat(random.usize(0..9000)), ..old })?,
            (3..5, Some(old)) => tx.vm_delete(old.id)?,
            (5, _) => tx.operation_put(&operation(n % 7))?,
            (6, _) => (0..40).try_for_each(|k| tx.event_append(&event(n + k)).map(drop))?,
            (_, _) => tx.vm_create(&vm(1000 + n))?,
        }
        tx.event_append(&event(n)).map(drop)
    });
}

/// R4.
#[test]
fn no_acknowledged_commit_is_lost_to_the_power() {
    let (commits, torn) = if long() { (400, 8) } else { (60, 4) };
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let platter = Platter::new();
    let store = platter.store();
    (0..3).for_each(|n| change(&store, n, &mut random));
    platter.take_log();
    let base = platter.bytes();
    let mut states = vec![dump(&store)];
    for n in 0..commits {
        change(&store, 100 + n, &mut random);
        platter.acknowledged();
        states.push(dump(&store));
    }
    let log = platter.take_log();
    drop(store);

    let (_directory, path) = place();
    let all = cuts(&base, &log, torn, &mut random);
    let (mut wrong, mut later) = (Vec::new(), 0);
    for cut in &all {
        put(&path, &cut.bytes);
        match catch_unwind(AssertUnwindSafe(|| Store::open(&path).map(|store| (dump(&store), store.verify())))) {
            Err(_) => wrong.push(format!("{}: it panicked", cut.what)),
            Ok(Err(error)) => wrong.push(format!("{}: {error}", cut.what)),
            Ok(Ok((_, Err(error)))) => wrong.push(format!("{}: {error}", cut.what)),
            Ok(Ok((rows, Ok(())))) if rows == states[cut.acknowledged] => {}
            // Kept, and not yet acknowledged.
            Ok(Ok((rows, Ok(())))) if states.get(cut.acknowledged + 1) == Some(&rows) => later += 1,
            Ok(Ok(_)) => wrong.push(format!("{}: neither commit {} nor the next", cut.what, cut.acknowledged)),
        }
    }
    let at_syncs = all.iter().filter(|cut| !cut.torn).count();
    println!(
        "R4: seed {seed}: {commits} commits, {} cuts ({at_syncs} at syncs, {} torn): 0 acknowledged commits lost, 0 \
         panics ({later} held one more commit)",
        all.len(),
        all.len() - at_syncs
    );
    assert!(wrong.is_empty(), "seed {seed}: {} of {}: {wrong:#?}", wrong.len(), all.len());
    assert!(all.len() >= 500, "{} cuts", all.len());
}

const PRETEND: tables::Rows = redb::TableDefinition::new("pretend");

/// A row for each VM: run twice, or half, it would show.
fn widen(tx: &WriteTransaction) -> Result<(), StoreError> {
    let mut to = tx.open_table(PRETEND)?;
    for row in tx.open_table(tables::VMS)?.iter()? {
        let (at, value) = row?;
        let mut next = to.get(at.value())?.map(|row| row.value().to_vec()).unwrap_or_default();
        next.extend_from_slice(&value.value()[..8]);
        to.insert(at.value(), next.as_slice())?;
    }
    Ok(())
}

fn pretended(store: &Store) -> Vec<(Vec<u8>, usize)> {
    let tx = store.read().expect("a reader");
    let table = tx.open_table(PRETEND).expect("the steps were run");
    let rows = table.iter().expect("rows").map(|row| row.expect("a row"));
    rows.map(|(at, value)| (at.value().to_vec(), value.value().len())).collect()
}

/// R23: whatever the steps of a version are, the file is of one format or the next, and a backup of
/// the one that it was of is there.
#[test]
fn a_migration_that_is_killed_goes_on_at_the_next_start() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let steps: Vec<Step> = STEPS.into_iter().chain([widen as Step, widen as Step]).collect();
    let now = crate::store::migrate::SCHEMA;
    let next = now + 2;
    let platter = Platter::new();
    let store = platter.store();
    done(&store, |tx| (0..200).try_for_each(|n| tx.vm_create(&vm(n))));
    let vms = store.vm_all().expect("rows");
    drop(store);
    platter.take_log();
    let base = platter.bytes();
    let db = platter.database(&Faults::default()).expect("nothing is wrong");
    assert_eq!(migrate(&db, &steps), Ok(()));
    let log = platter.take_log();
    drop(db);

    let all = cuts(&base, &log, if long() { 60 } else { 8 }, &mut random);
    let mut formats = BTreeMap::new();
    for cut in &all {
        let (directory, path) = place();
        put(&path, &cut.bytes);
        // The program of before: its own format is its own, a newer one is refused and untouched.
        let before = std::fs::read(&path).expect("the file");
        let format = match Store::inspect(&path) {
            Ok(_) => now,
            Err(OpenError::Newer { found, known, .. }) => {
                assert_eq!(known, now);
                found
            }
            Err(error) => panic!("seed {seed}: {}: {error}", cut.what),
        };
        assert_eq!(std::fs::read(&path).expect("the file"), before);
        *formats.entry(format).or_insert(0) += 1;
        let store = Store::open_as(&path, &steps).unwrap_or_else(|error| panic!("seed {seed}: {}: {error}", cut.what));
        assert_eq!(store.vm_all().as_ref(), Ok(&vms), "seed {seed}: {}", cut.what);
        let rows = pretended(&store);
        assert!(rows.len() == vms.len() && rows.iter().all(|(_, len)| *len == 16), "seed {seed}: {}", cut.what);
        let saved = store.backups().expect("a folder");
        drop(store);
        assert_eq!(saved.len(), usize::from(format < next), "seed {seed}: {}: {saved:?}", cut.what);
        for backup in saved {
            // It can be gone back to with the program of before, where that had written it.
            match Store::inspect_backup(&backup.path) {
                Ok(()) => assert_eq!(format, now),
                Err(OpenError::Newer { found, .. }) => assert_eq!(found, format),
                Err(error) => panic!("seed {seed}: {}: the backup: {error}", cut.what),
            }
            let at = directory.path().join("back.redb");
            if format == now {
                Store::restore(&backup.path, &at).expect("a backup");
                assert_eq!(Store::open(&at).expect("it was restored").vm_all().as_ref(), Ok(&vms));
            }
        }
    }
    assert_eq!(formats.keys().copied().collect::<Vec<u32>>(), (now..=next).collect::<Vec<u32>>());
    println!(
        "R23: seed {seed}: a migration of two steps cut {} times: formats found {formats:?}, all went on",
        all.len()
    );
}
