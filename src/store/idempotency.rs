//! What was answered to requests with an idempotency key, for 24 hours.

use redb::ReadableTable;

use super::codec::{decode, encode};
use super::error::StoreError;
use super::stored::IdempotencyV1;
use super::tables::IDEMPOTENCY;
use super::{Store, Transaction};
use crate::model::id::OperationId;
use crate::model::vm::Moment;

/// How long an answer is kept.
const KEPT_US: i64 = 24 * 3600 * 1_000_000;

/// A kept answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Hash of the request.
    pub body: [u8; 32],
    /// Nil: the change was one commit, done with this row.
    pub operation: OperationId,
    /// Code (empty: success) and bytes; `None`: not answered yet.
    pub answer: Option<(String, Vec<u8>)>,
}

impl Store {
    /// What is kept under this key.
    ///
    /// # Errors
    /// The store's.
    pub fn idempotency_get(&self, key: &[u8; 32]) -> Result<Option<Kept>, StoreError> {
        let table = self.read()?.open_table(IDEMPOTENCY)?;
        let Some(value) = table.get(key.as_slice())? else {
            return Ok(None);
        };
        let row = decode::<IdempotencyV1>(value.value(), "of a key")?;
        if Moment::now().0 - row.created_at_us > KEPT_US {
            return Ok(None);
        }
        Ok(Some(Kept { body: row.body, operation: OperationId::from_bytes(row.operation), answer: row.answer }))
    }
}

impl Transaction<'_> {
    /// A request with this key has begun.
    ///
    /// # Errors
    /// The store's.
    pub fn idempotency_begin(
        &mut self,
        key: &[u8; 32],
        body: &[u8; 32],
        operation: OperationId,
    ) -> Result<(), StoreError> {
        let row = IdempotencyV1 {
            body: *body,
            created_at_us: Moment::now().0,
            operation: *operation.as_bytes(),
            answer: None,
        };
        self.tx.open_table(IDEMPOTENCY)?.insert(key.as_slice(), encode(&row)?.as_slice())?;
        Ok(())
    }

    /// Keep its answer, where it has begun.
    ///
    /// # Errors
    /// The store's.
    pub fn idempotency_answer(&mut self, key: &[u8; 32], code: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let mut table = self.tx.open_table(IDEMPOTENCY)?;
        let kept = table.get(key.as_slice())?.map(|value| value.value().to_vec());
        if let Some(kept) = kept {
            let mut row = decode::<IdempotencyV1>(&kept, "of a key")?;
            row.answer = Some((code.to_owned(), bytes));
            table.insert(key.as_slice(), encode(&row)?.as_slice())?;
        }
        Ok(())
    }

    /// As if this key had begun earlier: what a test of the sweep waits for.
    #[cfg(test)]
    pub(crate) fn idempotency_begun_at(&mut self, key: &[u8; 32], at: Moment) -> Result<(), StoreError> {
        let row = IdempotencyV1 { body: [1; 32], created_at_us: at.0, operation: [0; 16], answer: None };
        self.tx.open_table(IDEMPOTENCY)?.insert(key.as_slice(), encode(&row)?.as_slice())?;
        Ok(())
    }

    /// How many keys are kept, past their day or not.
    #[cfg(test)]
    pub(crate) fn idempotency_count(&self) -> Result<u64, StoreError> {
        use redb::ReadableTableMetadata as _;
        Ok(self.tx.open_table(IDEMPOTENCY)?.len()?)
    }

    /// Forget what is older than 24 hours.
    ///
    /// # Errors
    /// The store's.
    pub fn idempotency_sweep(&mut self) -> Result<(), StoreError> {
        let before = Moment::now().0 - KEPT_US;
        self.tx.open_table(IDEMPOTENCY)?.retain(|_, value| {
            decode::<IdempotencyV1>(value, "of a key").is_ok_and(|row| row.created_at_us >= before)
        })?;
        Ok(())
    }
}
