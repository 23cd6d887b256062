//! The repositories of the seed over redb: one file, typed tables, every commit durable and in two
//! phases. The only room that names redb or bincode.
//!
//! A [`Transaction`] spans tables: a VM, its operation and its event are one commit. Reads outside
//! of one see the last commit. Tests and the demo use redb's own in-memory backend: the same code.

mod access;
mod audit;
mod codec;
mod error;
mod event;
mod idempotency;
mod metrics;
mod migrate;
mod node;
mod open;
mod operation;
mod overlay;
mod stored;
mod stored_access;
mod stored_node;
mod tables;
mod verify;
mod vm;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use redb::{Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};
use tokio::sync::broadcast;

use crate::model::event::SequencedEvent;

pub use audit::{AuditFilter, NumberedEntry};
pub use error::{OpenError, StoreError};
pub use event::EventFilter;
pub use idempotency::Kept;
pub use metrics::MetricStore;
pub use node::NodeFilter;
pub use open::Inspected;
pub use operation::OperationFilter;
pub use vm::VmFilter;

use tables::META;

/// The state of this host. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    db: Database,
    /// Held from the beginning of a commit until its events are told, so that they are told in the
    /// order of their numbers.
    writer: Mutex<()>,
    events: broadcast::Sender<Arc<SequencedEvent>>,
    /// Why writes are refused, once a commit has failed.
    broken: Mutex<Option<String>>,
    path: Option<PathBuf>,
    /// Held for as long as the store lives.
    _lock: Option<File>,
}

/// One durable transaction over all tables.
pub struct Transaction<'db> {
    tx: &'db WriteTransaction,
    /// Told once they are kept.
    events: Vec<SequencedEvent>,
}

/// Events that one who listens may lag behind.
const EVENTS_BUFFER: usize = 1024;

impl Inner {
    fn new(db: Database, path: Option<PathBuf>, lock: Option<File>) -> Self {
        Self {
            db,
            writer: Mutex::new(()),
            events: broadcast::channel(EVENTS_BUFFER).0,
            broken: Mutex::new(None),
            path,
            _lock: lock,
        }
    }
}

impl Store {
    /// Do several things in one durable commit. Where `work` fails nothing is changed.
    ///
    /// # Errors
    /// `work`'s own; the store's where the commit fails, and from then on always.
    pub fn commit<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let _writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &*self.inner.broken.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(StoreError::Broken(why.clone()).into());
        }
        let mut tx = self.inner.db.begin_write().map_err(StoreError::from)?;
        tx.set_durability(Durability::Immediate).map_err(StoreError::from)?;
        tx.set_two_phase_commit(true);
        let (answer, events) = {
            let mut transaction = Transaction { tx: &tx, events: Vec::new() };
            (work(&mut transaction)?, transaction.events)
        };
        tx.commit().map_err(|error| {
            *self.inner.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            StoreError::from(error)
        })?;
        for event in events {
            // Nobody listening is no error.
            let _ = self.inner.events.send(Arc::new(event));
        }
        Ok(answer)
    }

    /// Hear every event from now on, once it is kept, in order.
    #[must_use]
    pub fn event_watch(&self) -> broadcast::Receiver<Arc<SequencedEvent>> {
        self.inner.events.subscribe()
    }

    fn read(&self) -> Result<ReadTransaction, StoreError> {
        Ok(self.inner.db.begin_read()?)
    }

    /// Bytes of the state file; 0 in memory.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.inner.path.as_ref().and_then(|path| std::fs::metadata(path).ok()).map_or(0, |meta| meta.len())
    }

    /// A word that the file keeps about itself or this host.
    ///
    /// # Errors
    /// The store's.
    pub fn setting(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let table = self.read()?.open_table(META)?;
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }

    /// Whether writes are accepted.
    ///
    /// # Errors
    /// `Broken`, with the commit that failed.
    pub fn healthy(&self) -> Result<(), StoreError> {
        match &*self.inner.broken.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(why) => Err(StoreError::Broken(why.clone())),
            None => Ok(()),
        }
    }
}

impl Transaction<'_> {
    /// Keep a word about the file or this host.
    ///
    /// # Errors
    /// The store's.
    pub fn setting_put(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.tx.open_table(META)?.insert(key, value)?;
        Ok(())
    }
}

/// A key of several parts.
fn key(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// The first key that does not begin with `prefix`; `None`: there is none.
fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            return Some(end);
        }
        end.pop();
    }
    None
}

#[cfg(test)]
mod tests;
