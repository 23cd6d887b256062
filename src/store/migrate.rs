//! Formats of the state file, numbered. Opening runs the steps between the file's number and ours,
//! each in a transaction of its own that also writes the new number, so that a crash between two
//! lines repeats at most one step.

use redb::{Database, Durability, ReadableDatabase, WriteTransaction};

use super::error::StoreError;
use super::tables::{self, META};

/// The format that this program writes.
pub(super) const SCHEMA: u32 = 3;
const KEY: &str = "schema_version";

/// From the format of its number to the next.
pub(super) type Step = fn(&WriteTransaction) -> Result<(), StoreError>;

/// Step `n` leads from format `n` to `n + 1`. Format 0 is a file without tables.
pub(super) const STEPS: [Step; SCHEMA as usize] =
    [tables::create_format_1, tables::create_format_2, newer_records_alone];

/// Format 3 has newer records of VMs and operations and no other tables: each row says its own
/// version, and the older ones stay as they are until they are next written. Only the number tells
/// an older program that it would not understand them.
fn newer_records_alone(_: &WriteTransaction) -> Result<(), StoreError> {
    Ok(())
}

/// The format of this file; 0: it has none yet, or is not ours.
pub(super) fn found(db: &Database) -> Result<u32, StoreError> {
    let tx = db.begin_read()?;
    let table = match tx.open_table(META) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_) | redb::TableError::TableTypeMismatch { .. }) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let Some(value) = table.get(KEY)? else {
        return Ok(0);
    };
    let bytes: [u8; 4] = value.value().try_into().map_err(|_| StoreError::BadRow {
        table: "meta",
        row: KEY.to_owned(),
        why: "it is not four bytes".to_owned(),
    })?;
    Ok(u32::from_be_bytes(bytes))
}

/// Bring the file to the format of `steps`.
pub(super) fn migrate(db: &Database, steps: &[Step]) -> Result<(), StoreError> {
    let mut at = found(db)?;
    while let Some(step) = usize::try_from(at).ok().and_then(|index| steps.get(index)) {
        let mut tx = db.begin_write()?;
        tx.set_durability(Durability::Immediate)?;
        tx.set_two_phase_commit(true);
        step(&tx)?;
        at += 1;
        tx.open_table(META)?.insert(KEY, at.to_be_bytes().as_slice())?;
        tx.commit()?;
        tracing::info!(format = at, "the state file was brought to a new format");
    }
    Ok(())
}
