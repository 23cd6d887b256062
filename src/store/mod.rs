//! The repositories of the seed over redb: one file, typed tables, every commit durable and in two
//! phases. The only room that names redb or bincode.
//!
//! A [`Transaction`] spans tables: a VM, its operation and its event are one commit. Reads outside
//! of one see the last commit. Tests and the demo use redb's own in-memory backend: the same code.

mod access;
mod audit;
mod backup;
mod codec;
mod disk;
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
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use redb::{Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};
use tokio::sync::{broadcast, watch};

use crate::model::event::SequencedEvent;

pub use audit::{AuditFilter, NumberedEntry};
pub use backup::{Backup, BackupStatus, Ended, Restored};
pub use error::{BackupError, OpenError, StoreError};
pub use event::EventFilter;
pub use idempotency::Kept;
pub use metrics::MetricStore;
pub use node::NodeFilter;
pub use open::Inspected;
pub use operation::OperationFilter;
pub use vm::VmFilter;

use disk::{Fault, Faults};
use tables::META;

/// The state of this host. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` while it is opened anew, and once it is lost.
    db: RwLock<Option<Database>>,
    /// What of the disk failed and was not seen to.
    faults: Faults,
    /// How a file that has failed is opened anew; `None`: it lives in memory.
    reopen: Option<Reopen>,
    /// Held from the beginning of a commit until its events are told, so that they are told in the
    /// order of their numbers.
    writer: Mutex<()>,
    events: broadcast::Sender<Arc<SequencedEvent>>,
    /// Why nothing is read or written any more.
    lost: watch::Sender<Option<String>>,
    path: Option<PathBuf>,
    /// One backup at a time.
    backing_up: Mutex<()>,
    /// What is known of the backups.
    backups: Mutex<backup::Remembered>,
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

/// In [`META`]: how many commits there were, by which a commit whose answer was lost is known.
const COMMITS: &str = "commits";

/// Opens the file again, as a start does.
type Reopen = Box<dyn Fn(&Faults) -> Result<Database, OpenError> + Send + Sync>;

impl Inner {
    fn new(db: Database, path: Option<PathBuf>, lock: Option<File>) -> Self {
        Self::over(db, Faults::default(), None, path, lock)
    }

    /// Over a storage that notes what fails, and can be opened anew.
    fn over(db: Database, faults: Faults, reopen: Option<Reopen>, path: Option<PathBuf>, lock: Option<File>) -> Self {
        Self {
            db: RwLock::new(Some(db)),
            faults,
            reopen,
            writer: Mutex::new(()),
            events: broadcast::channel(EVENTS_BUFFER).0,
            lost: watch::channel(None).0,
            path,
            backing_up: Mutex::new(()),
            backups: Mutex::default(),
            _lock: lock,
        }
    }
}

impl Store {
    /// Do several things in one durable commit. Where `work` fails nothing is changed. Where the
    /// disk fails the file is opened anew, once, which also tells whether the commit had reached it:
    /// what is answered is what lies in the file. Where it cannot be opened nothing is written any
    /// more, and [`lost`](Self::lost) says so.
    ///
    /// # Errors
    /// `work`'s own; the store's where the commit fails, and where it is lost always.
    pub fn commit<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let inner = &self.inner;
        let _writer = inner.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.healthy()?;
        // A reader has met it: nothing can be written before it is seen to.
        if let Some(fault) = inner.faults.take() {
            self.reopen(&fault)?;
        }
        let number = self.commits()? + 1;
        let mut worked = None;
        let mut ending = false;
        let done = (|| {
            let mut tx = self.begin_write()?;
            tx.set_durability(Durability::Immediate).map_err(StoreError::from)?;
            tx.set_two_phase_commit(true);
            {
                let mut transaction = Transaction { tx: &tx, events: Vec::new() };
                let answer = work(&mut transaction)?;
                transaction.setting_put(COMMITS, &number.to_be_bytes())?;
                worked = Some((answer, transaction.events));
            }
            ending = true;
            tx.commit().map_err(|error| E::from(StoreError::from(error)))
        })();
        let done = match (done, inner.faults.take()) {
            (Ok(()), _) => Ok(()),
            (Err(error), None) if ending => {
                // No failure of the disk: redb has met what it takes for impossible.
                self.lose("a commit failed".to_owned());
                Err(error)
            }
            (Err(error), None) => Err(error),
            (Err(_), Some(fault)) => {
                self.reopen(&fault)?;
                if self.commits()? == number { Ok(()) } else { Err(fault.error(inner.path.as_deref()).into()) }
            }
        };
        match (done, worked) {
            (Ok(()), Some((answer, events))) => {
                for event in events {
                    // Nobody listening is no error.
                    let _ = inner.events.send(Arc::new(event));
                }
                Ok(answer)
            }
            (Err(error), _) => Err(error),
            (Ok(()), None) => Err(StoreError::Database("a commit without work".to_owned()).into()),
        }
    }

    /// How many commits lie in the file.
    fn commits(&self) -> Result<u64, StoreError> {
        let table = self.begin_read()?.open_table(META)?;
        let kept = table.get(COMMITS)?.and_then(|value| value.value().try_into().ok());
        Ok(kept.map_or(0, u64::from_be_bytes))
    }

    fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let db = self.inner.db.read().unwrap_or_else(PoisonError::into_inner);
        Ok(db.as_ref().ok_or_else(|| self.broken())?.begin_write()?)
    }

    fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        let db = self.inner.db.read().unwrap_or_else(PoisonError::into_inner);
        Ok(db.as_ref().ok_or_else(|| self.broken())?.begin_read()?)
    }

    /// Close the file, whose pages in memory may be others than those on the disk, and open it as a
    /// start does. The writer's lock is held.
    fn reopen(&self, fault: &Fault) -> Result<(), StoreError> {
        let error = fault.error(self.inner.path.as_deref());
        let mut db = self.inner.db.write().unwrap_or_else(PoisonError::into_inner);
        *db = None;
        let opened = self.inner.reopen.as_ref().map(|reopen| reopen(&self.inner.faults));
        // What opening met is in its answer.
        self.inner.faults.take();
        match opened {
            Some(Ok(fresh)) => {
                tracing::warn!(%error, "the state file failed and was opened anew");
                *db = Some(fresh);
                Ok(())
            }
            Some(Err(why)) => {
                drop(db);
                self.lose(format!("{error}; then {why}"));
                Err(self.broken())
            }
            None => {
                drop(db);
                self.lose(error.to_string());
                Err(self.broken())
            }
        }
    }

    fn lose(&self, why: String) {
        tracing::error!(why, "the state file is lost to this process");
        self.inner.lost.send_replace(Some(why));
    }

    fn broken(&self) -> StoreError {
        StoreError::Broken(self.inner.lost.borrow().clone().unwrap_or_else(|| "it is closed".to_owned()))
    }

    /// Resolves when the file can be neither written nor opened anew, with why: a supervisor's new
    /// process may find it better.
    pub async fn lost(&self) -> String {
        let mut lost = self.inner.lost.subscribe();
        let why = lost.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        match why {
            Some(why) => why,
            // The sender lives in the store, which is borrowed here.
            None => std::future::pending().await,
        }
    }

    /// Hear every event from now on, once it is kept, in order.
    #[must_use]
    pub fn event_watch(&self) -> broadcast::Receiver<Arc<SequencedEvent>> {
        self.inner.events.subscribe()
    }

    fn read(&self) -> Result<ReadTransaction, StoreError> {
        // redb refuses everything after a failure. Whoever is writing sees to it; else the first
        // who reads does.
        if self.inner.faults.pending()
            && let Ok(_writer) = self.inner.writer.try_lock()
            && let Some(fault) = self.inner.faults.take()
        {
            self.reopen(&fault)?;
        }
        self.begin_read()
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
        match &*self.inner.lost.borrow() {
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
