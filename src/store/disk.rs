//! The state file's storage, which remembers what failed. redb says that an operation failed and
//! from then on refuses every other, reads among them; which write it was and how big, so that a
//! person can be told what is missing, is known here alone.

use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use redb::{BackendError, StorageBackend};

use super::backup::free_bytes;
use super::error::StoreError;

/// An operation of the disk's that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    kind: std::io::ErrorKind,
    /// What the operation would have added to the file or changed in it.
    bytes: u64,
    why: String,
}

impl Fault {
    /// As it is told.
    pub(super) fn error(&self, path: Option<&Path>) -> StoreError {
        let path = path.map(Path::to_owned).unwrap_or_default();
        if matches!(self.kind, std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) {
            let free_bytes = path.parent().and_then(free_bytes).unwrap_or(0);
            StoreError::Full { path, need_bytes: self.bytes, free_bytes }
        } else {
            StoreError::NotWritten { path, why: self.why.clone() }
        }
    }
}

/// The first fault that nobody has seen to yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Arc<Mutex<Option<Fault>>>);

impl Faults {
    fn note(&self, error: &std::io::Error, bytes: u64) {
        let fault = Fault { kind: error.kind(), bytes, why: error.to_string() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
    }

    /// Whether there is one.
    pub(super) fn pending(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// See to it.
    pub(super) fn take(&self) -> Option<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A storage whose failures are noted.
#[derive(Debug)]
pub(super) struct Disk<B> {
    inner: B,
    faults: Faults,
}

impl<B> Disk<B> {
    pub(super) fn new(inner: B, faults: Faults) -> Self {
        Self { inner, faults }
    }

    fn noted<T>(&self, bytes: u64, done: std::io::Result<T>) -> std::io::Result<T> {
        done.inspect_err(|error| self.faults.note(error, bytes))
    }
}

impl<B: StorageBackend> StorageBackend for Disk<B> {
    fn len(&self) -> std::io::Result<u64> {
        self.noted(0, self.inner.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.noted(0, self.inner.read(offset, out))
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        let grows = len.saturating_sub(self.inner.len().unwrap_or(len));
        self.noted(grows, self.inner.set_len(len))
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.noted(0, self.inner.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.noted(data.len() as u64, self.inner.write(offset, data))
    }

    fn close(&self) -> std::io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
