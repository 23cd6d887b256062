//! Operations: unfinished ones are the intents that the next start finishes or undoes; ended ones
//! stay listable, up to a bound.

use redb::{ReadableTable, ReadableTableMetadata};

use super::codec::encode;
use super::error::StoreError;
use super::stored::{OperationV2, operation_of};
use super::tables::{OPERATIONS, OPERATIONS_BY_RESOURCE, OPERATIONS_UNFINISHED};
use super::{Store, Transaction, key};
use crate::model::id::OperationId;
use crate::model::operation::{Operation, OperationState};

/// Operations that are kept, the oldest ended ones going first.
pub(super) const KEPT: u64 = 2000;

/// Which operations are meant; empty fields mean all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperationFilter {
    pub resource_id: Option<String>,
    pub states: Vec<OperationState>,
}

fn row(bytes: &[u8]) -> Result<Operation, StoreError> {
    operation_of(bytes, "of an operation")
}

/// The operation's row in the index of resources.
pub(super) fn resource_key(operation: &Operation) -> Vec<u8> {
    key(&[operation.resource_id.as_bytes(), &[0], operation.id.as_bytes()])
}

impl Store {
    /// One operation.
    ///
    /// # Errors
    /// The store's.
    pub fn operation_get(&self, id: OperationId) -> Result<Option<Operation>, StoreError> {
        let table = self.read()?.open_table(OPERATIONS)?;
        table.get(id.as_bytes().as_slice())?.map(|value| row(value.value())).transpose()
    }

    /// A page of the operations that match, newest first after `cursor`, and how many match in all.
    ///
    /// # Errors
    /// The store's.
    pub fn operation_list(
        &self,
        filter: &OperationFilter,
        limit: usize,
        cursor: Option<OperationId>,
    ) -> Result<(Vec<Operation>, usize), StoreError> {
        let table = self.read()?.open_table(OPERATIONS)?;
        let mut total = 0;
        let mut page = Vec::new();
        for entry in table.iter()?.rev() {
            let operation = row(entry?.1.value())?;
            let matches = filter.resource_id.as_ref().is_none_or(|id| operation.resource_id == *id)
                && (filter.states.is_empty() || filter.states.contains(&operation.state));
            if matches {
                total += 1;
                if page.len() < limit && cursor.is_none_or(|cursor| operation.id < cursor) {
                    page.push(operation);
                }
            }
        }
        Ok((page, total))
    }

    /// The one that sorts last; `None`: there is none.
    ///
    /// # Errors
    /// The store's.
    pub fn operation_newest(&self) -> Result<Option<OperationId>, StoreError> {
        let table = self.read()?.open_table(OPERATIONS)?;
        table.last()?.map(|(_, value)| Ok(row(value.value())?.id)).transpose()
    }

    /// What an earlier run began and did not end, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn operations_unfinished(&self) -> Result<Vec<Operation>, StoreError> {
        let tx = self.read()?;
        let index = tx.open_table(OPERATIONS_UNFINISHED)?;
        let operations = tx.open_table(OPERATIONS)?;
        let mut found = Vec::new();
        for entry in index.iter()? {
            if let Some(value) = operations.get(entry?.0.value())? {
                found.push(row(value.value())?);
            }
        }
        Ok(found)
    }
}

impl Transaction<'_> {
    /// Put an operation, new or known.
    ///
    /// # Errors
    /// The store's.
    pub fn operation_put(&mut self, operation: &Operation) -> Result<(), StoreError> {
        let id = operation.id.as_bytes().as_slice();
        let mut unfinished = self.tx.open_table(OPERATIONS_UNFINISHED)?;
        if operation.state == OperationState::Running {
            unfinished.insert(id, [].as_slice())?;
        } else {
            unfinished.remove(id)?;
        }
        let mut by_resource = self.tx.open_table(OPERATIONS_BY_RESOURCE)?;
        let mut table = self.tx.open_table(OPERATIONS)?;
        let before = table.insert(id, encode(&OperationV2::from(operation))?.as_slice())?;
        if let Some(before) = before.map(|value| row(value.value())).transpose()? {
            by_resource.remove(resource_key(&before).as_slice())?;
        }
        by_resource.insert(resource_key(operation).as_slice(), [].as_slice())?;
        if table.len()? <= KEPT {
            return Ok(());
        }
        let mut oldest = None;
        for entry in table.iter()? {
            let old = row(entry?.1.value())?;
            if old.state != OperationState::Running {
                oldest = Some(old);
                break;
            }
        }
        if let Some(old) = oldest {
            table.remove(old.id.as_bytes().as_slice())?;
            by_resource.remove(resource_key(&old).as_slice())?;
        }
        Ok(())
    }
}
