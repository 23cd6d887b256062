//! The audit log: appended to and never changed, up to a bound.

use redb::{ReadableTable, ReadableTableMetadata};

use super::codec::{decode, encode};
use super::error::StoreError;
use super::event::sequence_of;
use super::stored_access::AuditV1;
use super::tables::AUDIT;
use super::{Store, Transaction};
use crate::model::user::AuditEntry;
use crate::model::vm::Moment;

/// Lines that are kept, the oldest going first.
pub(super) const KEPT: u64 = 100_000;

/// Which lines are meant; empty fields mean all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    pub user: Option<String>,
    /// A part of the method's name.
    pub method: Option<String>,
    pub resource: Option<String>,
    /// At or after.
    pub since: Option<Moment>,
}

impl AuditFilter {
    fn matches(&self, entry: &AuditEntry) -> bool {
        self.user.as_ref().is_none_or(|user| entry.user == *user)
            && self.method.as_ref().is_none_or(|part| entry.method.contains(part))
            && self.resource.as_ref().is_none_or(|resource| entry.resource == *resource)
            && self.since.is_none_or(|since| entry.at >= since)
    }
}

/// A line and its number.
pub type NumberedEntry = (u64, AuditEntry);

fn row(at: &[u8], bytes: &[u8]) -> Result<NumberedEntry, StoreError> {
    let sequence = sequence_of(at)?;
    Ok((sequence, decode::<AuditV1>(bytes, sequence)?.into()))
}

impl Store {
    /// At most `limit` lines that match and are older than `before`, newest first.
    ///
    /// # Errors
    /// The store's.
    pub fn audit_before(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<NumberedEntry>, StoreError> {
        let table = self.read()?.open_table(AUDIT)?;
        let end = before.unwrap_or(u64::MAX).to_be_bytes();
        let mut found = Vec::new();
        for entry in table.range(..end.as_slice())?.rev() {
            if found.len() == limit {
                break;
            }
            let (at, value) = entry?;
            found.extend(Some(row(at.value(), value.value())?).filter(|(_, entry)| filter.matches(entry)));
        }
        Ok(found)
    }

    /// At most `limit` lines that match and are newer than `after`, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn audit_after(
        &self,
        filter: &AuditFilter,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NumberedEntry>, StoreError> {
        let table = self.read()?.open_table(AUDIT)?;
        let begin = after.saturating_add(1).to_be_bytes();
        let mut found = Vec::new();
        for entry in table.range(begin.as_slice()..)? {
            if found.len() == limit {
                break;
            }
            let (at, value) = entry?;
            found.extend(Some(row(at.value(), value.value())?).filter(|(_, entry)| filter.matches(entry)));
        }
        Ok(found)
    }
}

impl Transaction<'_> {
    /// Append lines, in this order.
    ///
    /// # Errors
    /// The store's.
    pub fn audit_append(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        let mut table = self.tx.open_table(AUDIT)?;
        let mut last = table.last()?.map(|(at, _)| sequence_of(at.value())).transpose()?.unwrap_or(0);
        for entry in entries {
            last += 1;
            table.insert(last.to_be_bytes().as_slice(), encode(&AuditV1::from(entry))?.as_slice())?;
        }
        while table.len()? > KEPT && table.pop_first()?.is_some() {}
        Ok(())
    }
}
