//! The audit log: a line at once in the journal, and within a second in the store, where it is
//! asked for. A line a commit would make every change pay twice.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::user::AuditEntry;
use crate::service::core::blocking;
use crate::service::error::ServiceError;
use crate::store::{AuditFilter, NumberedEntry, Store};

/// Lines that wait for the store at most: beyond it the journal alone has them.
const WAITING: usize = 10_000;

/// Where lines are left.
#[derive(Clone)]
pub struct Recorder {
    store: Store,
    waiting: Arc<Mutex<Vec<AuditEntry>>>,
}

impl Recorder {
    pub(super) fn new(store: Store) -> Self {
        Self { store, waiting: Arc::default() }
    }

    /// Leave a line.
    pub fn record(&self, entry: AuditEntry) {
        tracing::info!(
            target: "audit",
            user = %entry.user.escape_default(),
            via = %entry.via,
            address = %entry.address,
            method = %entry.method.escape_default(),
            resource = %entry.resource.escape_default(),
            code = %entry.code,
            error = %entry.message.escape_default(),
            request_id = %entry.request_id,
            "audit"
        );
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING {
            waiting.push(entry);
        } else {
            tracing::error!("the audit log's lines cannot be kept as fast as they come; the journal has them");
        }
    }

    /// Keep what waits.
    pub async fn keep(&self) {
        let entries = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if entries.is_empty() {
            return;
        }
        let store = self.store.clone();
        let kept = blocking(move || store.commit(|tx| tx.audit_append(&entries))).await;
        if let Err(error) = kept {
            tracing::error!(%error, "lines of the audit log are in the journal alone");
        }
    }

    /// At most `limit` lines that match and are older than `before`, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn before(
        &self,
        filter: AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<NumberedEntry>, ServiceError> {
        self.keep().await;
        let store = self.store.clone();
        Ok(blocking(move || store.audit_before(&filter, before, limit)).await?)
    }

    /// At most `limit` lines that match and are newer than `after`, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn after(
        &self,
        filter: AuditFilter,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NumberedEntry>, ServiceError> {
        self.keep().await;
        let store = self.store.clone();
        Ok(blocking(move || store.audit_after(&filter, after, limit)).await?)
    }
}
