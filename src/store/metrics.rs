//! The past of measured use, in a file of its own: `metrics.redb`. It is worth little and written
//! often, so nothing here is as with the state file: most commits reach the disk a minute later, a
//! file that is damaged is replaced with a warning, and no backup holds it.
//!
//! ```text
//! TICKS   moment / 10 s                       → all that was measured then, one packed row
//! BLOCKS  resolution, block, resource         → the values of an hour of minutes or of a day of
//!                                               quarters of an hour, NaN where there are none
//! ```
//!
//! One row is written each ten seconds, whatever runs; each minute the blocks of what was measured
//! get one value more. A minute is averaged from its ticks and a quarter from its minutes as they
//! are in the file, so a restart loses nothing of them. One resource's past is read by key: 24
//! blocks for a day, 8 for a week.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, Table, TableDefinition,
};

use super::error::StoreError;
use crate::model::metric::{GRACE, MEASURES, NOTHING, Range, Resolution, Resource, Sample, average};

const TICKS: TableDefinition<'static, u32, &'static [u8]> = TableDefinition::new("ticks");
const BLOCKS: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("blocks");
/// Resolution → the last step of it that was averaged.
const DONE: TableDefinition<'static, u8, u32> = TableDefinition::new("done");

/// Memory that redb may use for pages.
const CACHE_BYTES: usize = 4 << 20;
/// Bytes of a resource, of a sample, and of both.
const RESOURCE: usize = 17;
const SAMPLE: usize = MEASURES.len() * 4;
const ENTRY: usize = RESOURCE + SAMPLE;
/// A clock that says less is not set, and what it says is not kept.
const CLOCK_IS_SET: u32 = 1_577_836_800;

type Key = [u8; RESOURCE];

/// The past of measured use. It never fails: what cannot be read is not there.
pub struct MetricStore {
    /// `None`: in memory.
    path: Option<PathBuf>,
    db: RwLock<Arc<Database>>,
}

impl MetricStore {
    /// Open the file, or make it where there is none or it is damaged; in memory where even that
    /// is not to be had.
    ///
    /// # Errors
    /// redb's of memory, which memory does not give.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let opened = catch_unwind(|| {
            Builder::new().set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).open(path)
        });
        let db = match opened {
            Ok(Ok(db)) => db,
            Ok(Err(DatabaseError::Storage(redb::StorageError::Io(error))))
                if error.kind() == std::io::ErrorKind::NotFound =>
            {
                made_or_in_memory(path)?
            }
            Ok(Err(error)) => replaced(path, &error.to_string())?,
            Err(_) => replaced(path, "reading it panicked")?,
        };
        Ok(Self { path: Some(path.to_owned()), db: RwLock::new(Arc::new(db)) })
    }

    /// One that ends with the process.
    ///
    /// # Errors
    /// redb's, which memory does not give.
    pub fn in_memory() -> Result<Self, StoreError> {
        Ok(Self { path: None, db: RwLock::new(Arc::new(memory()?)) })
    }

    /// Keep what was measured in the ten seconds that begin at `at`, in seconds since 1970.
    pub fn record(&self, at: u32, measured: &BTreeMap<Resource, Sample>) {
        if at < CLOCK_IS_SET {
            return;
        }
        self.with((), |db| record(db, at / Resolution::Fine.step(), measured));
    }

    /// The past of one resource, a sample a step.
    pub fn read(&self, resource: Resource, range: Range) -> Vec<Sample> {
        let nothing = vec![NOTHING; range.count as usize];
        self.with(nothing, |db| match range.resolution {
            Resolution::Fine => ticks(db, &key_of(resource), range),
            Resolution::Minute | Resolution::Quarter => blocks(db, &key_of(resource), range),
        })
    }

    /// Do it, and where the file turns out to be damaged begin a new one.
    fn with<T>(&self, otherwise: T, work: impl Fn(&Database) -> Result<T, StoreError>) -> T {
        let db = Arc::clone(&self.db.read().unwrap_or_else(PoisonError::into_inner));
        let why = match catch_unwind(AssertUnwindSafe(|| work(&db))) {
            Ok(Ok(answer)) => return answer,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "reading it panicked".to_owned(),
        };
        let mut now = self.db.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have replaced it meanwhile.
        if Arc::ptr_eq(&now, &db) {
            let fresh = match &self.path {
                Some(path) => replaced(path, &why),
                None => memory(),
            };
            match fresh {
                Ok(fresh) => *now = Arc::new(fresh),
                Err(error) => tracing::error!(%error, "the past of measured use is not kept"),
            }
        }
        otherwise
    }
}

fn memory() -> Result<Database, StoreError> {
    let made = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(InMemoryBackend::new());
    made.map_err(|error| StoreError::Database(error.to_string()))
}

/// A new file in the place of one that cannot be used.
fn replaced(path: &Path, why: &str) -> Result<Database, StoreError> {
    tracing::warn!(path = %path.display(), why, "the past of measured use cannot be read and is begun anew");
    // Where it cannot be removed it cannot be made either, which is said there.
    let _ = std::fs::remove_file(path);
    made_or_in_memory(path)
}

fn made_or_in_memory(path: &Path) -> Result<Database, StoreError> {
    let made = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
    let made = made.map_err(|error| error.to_string()).and_then(|file| {
        let backend = FileBackend::new(file).map_err(|error| error.to_string())?;
        let made = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(backend);
        made.map_err(|error| error.to_string())
    });
    made.or_else(|why| {
        tracing::warn!(path = %path.display(), why, "the past of measured use is kept in memory only");
        memory()
    })
}

fn key_of(resource: Resource) -> Key {
    let (kind, id) = match &resource {
        Resource::Vm(id) => (0, id.as_bytes()),
        Resource::Node(id) => (1, id.as_bytes()),
    };
    let mut key = [kind; RESOURCE];
    key[1..].copy_from_slice(id);
    key
}

fn code(resolution: Resolution) -> u8 {
    match resolution {
        Resolution::Fine => 0,
        Resolution::Minute => 1,
        Resolution::Quarter => 2,
    }
}

/// Steps in one block: an hour of minutes, a day of quarters.
fn steps_a_block(resolution: Resolution) -> u32 {
    match resolution {
        Resolution::Fine => 1,
        Resolution::Minute => 60,
        Resolution::Quarter => 96,
    }
}

fn block_key(resolution: Resolution, block: u32, resource: &[u8]) -> Vec<u8> {
    super::key(&[&[code(resolution)], &block.to_be_bytes(), resource])
}

fn put(out: &mut Vec<u8>, sample: Sample) {
    out.extend(sample.iter().flat_map(|value| value.to_le_bytes()));
}

/// The samples that are packed in a value.
fn samples(bytes: &[u8]) -> impl Iterator<Item = Sample> {
    bytes.as_chunks::<SAMPLE>().0.iter().map(|packed| {
        let mut sample = NOTHING;
        for (value, bytes) in sample.iter_mut().zip(packed.as_chunks::<4>().0) {
            *value = f32::from_le_bytes(*bytes);
        }
        sample
    })
}

fn bad(table: &'static str, row: impl ToString) -> StoreError {
    StoreError::BadRow { table, row: row.to_string(), why: "its length is wrong".to_owned() }
}

/// The resources of a tick with their samples, in order.
fn entries(tick: u32, row: &[u8]) -> Result<&[[u8; ENTRY]], StoreError> {
    match row.as_chunks::<ENTRY>() {
        (entries, []) => Ok(entries),
        _ => Err(bad("ticks", tick)),
    }
}

fn record(db: &Database, tick: u32, measured: &BTreeMap<Resource, Sample>) -> Result<(), StoreError> {
    let mut tx = db.begin_write()?;
    let mut row = Vec::with_capacity(measured.len() * ENTRY);
    for (resource, sample) in measured {
        row.extend_from_slice(&key_of(*resource));
        put(&mut row, *sample);
    }
    let rolled = {
        let mut ticks = tx.open_table(TICKS)?;
        ticks.insert(tick, row.as_slice())?;
        let kept = (Resolution::Fine.kept() + GRACE) / Resolution::Fine.step();
        ticks.retain_in(..tick.saturating_sub(kept), |_, _| false)?;
        // A clock that went back: what lies further ahead than anything is kept is no past.
        let ahead = Resolution::Quarter.kept() / Resolution::Fine.step();
        ticks.retain_in(tick.saturating_add(ahead).., |_, _| false)?;
        let mut blocks = tx.open_table(BLOCKS)?;
        let mut done = tx.open_table(DONE)?;
        minutes(&ticks, &mut blocks, &mut done, tick)?
            && quarters(&mut blocks, &mut done, tick).map(|()| true)?
    };
    // What a crash loses is a minute of the past.
    tx.set_durability(if rolled { Durability::Immediate } else { Durability::None })?;
    tx.commit()?;
    Ok(())
}

/// The steps of a resolution that are over and not averaged yet, as a half-open range; after a
/// pause, or a clock that jumped, no more of them than are kept.
fn due(done: &Table<'_, u8, u32>, resolution: Resolution, tick: u32) -> Result<(u32, u32), StoreError> {
    let now = tick / (resolution.step() / Resolution::Fine.step());
    let kept = resolution.kept() / resolution.step();
    let last = done.get(code(resolution))?.map(|last| last.value()).filter(|last| *last < now);
    let from = last.map_or(0, |last| last + 1).max(now.saturating_sub(kept));
    Ok((from, now))
}

/// Average the minutes that are over. Answers whether there were any.
fn minutes(
    ticks: &Table<'_, u32, &'static [u8]>,
    blocks: &mut Table<'_, &'static [u8], &'static [u8]>,
    done: &mut Table<'_, u8, u32>,
    tick: u32,
) -> Result<bool, StoreError> {
    let a_minute = Resolution::Minute.step() / Resolution::Fine.step();
    let (from, now) = due(done, Resolution::Minute, tick)?;
    if from >= now {
        return Ok(false);
    }
    let mut found: BTreeMap<u32, BTreeMap<Key, Vec<Sample>>> = BTreeMap::new();
    for row in ticks.range(from * a_minute..now * a_minute)? {
        let (at, row) = row?;
        let minute = found.entry(at.value() / a_minute).or_default();
        for entry in entries(at.value(), row.value())? {
            let (key, packed) = entry.split_at(RESOURCE);
            let key: Key = key.try_into().map_err(|_| bad("ticks", at.value()))?;
            minute.entry(key).or_default().extend(samples(packed));
        }
    }
    for (minute, resources) in found {
        for (key, samples) in resources {
            set(blocks, Resolution::Minute, minute, &key, average(samples))?;
        }
    }
    done.insert(code(Resolution::Minute), now - 1)?;
    forget(blocks, Resolution::Minute, now)?;
    Ok(true)
}

/// Average the quarters of an hour that are over.
fn quarters(
    blocks: &mut Table<'_, &'static [u8], &'static [u8]>,
    done: &mut Table<'_, u8, u32>,
    tick: u32,
) -> Result<(), StoreError> {
    let a_quarter = Resolution::Quarter.step() / Resolution::Minute.step();
    let (from, now) = due(done, Resolution::Quarter, tick)?;
    for quarter in from..now {
        let first = quarter * a_quarter;
        let block = first / steps_a_block(Resolution::Minute);
        let within = (first % steps_a_block(Resolution::Minute)) as usize;
        let begin = block_key(Resolution::Minute, block, &[]);
        let end = block_key(Resolution::Minute, block + 1, &[]);
        let mut found = Vec::new();
        for entry in blocks.range(begin.as_slice()..end.as_slice())? {
            let (at, value) = entry?;
            let key: Key = at.value().get(5..).and_then(|key| key.try_into().ok()).ok_or_else(|| bad("blocks", block))?;
            let mean = average(samples(value.value()).skip(within).take(a_quarter as usize));
            if mean.iter().any(|value| !value.is_nan()) {
                found.push((key, mean));
            }
        }
        for (key, mean) in found {
            set(blocks, Resolution::Quarter, quarter, &key, mean)?;
        }
    }
    if from < now {
        done.insert(code(Resolution::Quarter), now - 1)?;
        forget(blocks, Resolution::Quarter, now)?;
    }
    Ok(())
}

/// Put one value into its block.
fn set(
    blocks: &mut Table<'_, &'static [u8], &'static [u8]>,
    resolution: Resolution,
    step: u32,
    resource: &Key,
    sample: Sample,
) -> Result<(), StoreError> {
    let steps = steps_a_block(resolution);
    let key = block_key(resolution, step / steps, resource);
    let length = steps as usize * SAMPLE;
    let mut value = match blocks.get(key.as_slice())? {
        Some(kept) if kept.value().len() == length => kept.value().to_vec(),
        Some(_) => return Err(bad("blocks", step / steps)),
        None => {
            let mut empty = Vec::with_capacity(length);
            (0..steps).for_each(|_| put(&mut empty, NOTHING));
            empty
        }
    };
    let mut packed = Vec::with_capacity(SAMPLE);
    put(&mut packed, sample);
    let at = (step % steps) as usize * SAMPLE;
    value[at..at + SAMPLE].copy_from_slice(&packed);
    blocks.insert(key.as_slice(), value.as_slice())?;
    Ok(())
}

/// Remove the blocks that are older than is kept, and those that lie ahead of a clock that went
/// back further than anything is kept.
fn forget(
    blocks: &mut Table<'_, &'static [u8], &'static [u8]>,
    resolution: Resolution,
    now: u32,
) -> Result<(), StoreError> {
    let (steps, kept) = (steps_a_block(resolution), (resolution.kept() + GRACE) / resolution.step());
    let ahead = Resolution::Quarter.kept() / resolution.step();
    let at = |block: u32| block_key(resolution, block, &[]);
    let end = vec![code(resolution) + 1];
    blocks.retain_in(at(0).as_slice()..at(now.saturating_sub(kept) / steps).as_slice(), |_, _| false)?;
    blocks.retain_in(at(now.saturating_add(ahead) / steps + 1).as_slice()..end.as_slice(), |_, _| false)?;
    Ok(())
}

/// A resource's samples out of the ticks.
fn ticks(db: &Database, key: &Key, range: Range) -> Result<Vec<Sample>, StoreError> {
    let mut found = vec![NOTHING; range.count as usize];
    let tx = db.begin_read()?;
    let Some(ticks) = there(tx.open_table(TICKS))? else { return Ok(found) };
    let first = range.start / Resolution::Fine.step();
    for row in ticks.range(first..first + range.count)? {
        let (at, row) = row?;
        let entries = entries(at.value(), row.value())?;
        if let Ok(index) = entries.binary_search_by(|entry| entry[..RESOURCE].cmp(key))
            && let Some(sample) = samples(&entries[index][RESOURCE..]).next()
        {
            found[(at.value() - first) as usize] = sample;
        }
    }
    Ok(found)
}

/// A resource's samples out of its blocks.
fn blocks(db: &Database, key: &Key, range: Range) -> Result<Vec<Sample>, StoreError> {
    let mut found = vec![NOTHING; range.count as usize];
    let tx = db.begin_read()?;
    let Some(blocks) = there(tx.open_table(BLOCKS))? else { return Ok(found) };
    let steps = steps_a_block(range.resolution);
    let first = range.start / range.resolution.step();
    for block in first / steps..(first + range.count).div_ceil(steps) {
        let Some(value) = blocks.get(block_key(range.resolution, block, key).as_slice())? else { continue };
        if value.value().len() != steps as usize * SAMPLE {
            return Err(bad("blocks", block));
        }
        for (step, sample) in (block * steps..).zip(samples(value.value())) {
            if let Some(slot) = step.checked_sub(first).and_then(|at| found.get_mut(at as usize)) {
                *slot = sample;
            }
        }
    }
    Ok(found)
}

/// A table that nothing was written to yet is not there.
fn there<T>(opened: Result<T, redb::TableError>) -> Result<Option<T>, StoreError> {
    match opened {
        Ok(table) => Ok(Some(table)),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
