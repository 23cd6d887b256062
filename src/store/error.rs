//! Why the store did not do what it was asked, and why a state file was not opened.

use std::path::PathBuf;

/// A failed read or write of an open store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A unique value is taken.
    #[error("{what} is taken by {by}")]
    AlreadyExists { what: String, by: String },
    #[error("{what} is not in the state file")]
    NotFound { what: String },
    /// A row cannot be read: damaged, or of a newer version.
    #[error("row {row} of table {table} cannot be read: {why}")]
    BadRow { table: &'static str, row: String, why: String },
    /// redb failed.
    #[error("the state file failed: {0}")]
    Database(String),
    /// An earlier commit failed: nothing more is written, so that memory and file cannot part.
    #[error("writes are refused since an earlier commit failed ({0}); restart the service")]
    Broken(String),
}

/// For conversions that cannot fail.
impl From<std::convert::Infallible> for StoreError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::Database(error.to_string())
            }
        }
    )*};
}
from_redb!(redb::TransactionError, redb::TableError, redb::StorageError, redb::CommitError, redb::SetDurabilityError);

/// A state file that was not opened. The file is untouched in every case.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{path} is in use by process {pid}; only one quantixkvm may run on a data directory: stop the other, or give this one --data-dir"
    )]
    Locked { path: PathBuf, pid: String },
    #[error(
        "{path} is damaged ({why}) and was left untouched; restore a backup of it, or move it away and run \"quantixkvm recover\", which rebuilds it from libvirt"
    )]
    Damaged { path: PathBuf, why: String },
    #[error("{path} is no state file of quantixkvm ({why}) and was left untouched; move it away, or give --data-dir")]
    Foreign { path: PathBuf, why: String },
    #[error(
        "{path} was written by a newer quantixkvm (format {found}, this one knows {known}) and was left untouched; install that version or a later one"
    )]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("{path} can be read by other users (mode {mode:04o}); run: chmod {wanted:04o} {path}")]
    Exposed { path: PathBuf, mode: u32, wanted: u32 },
    #[error(
        "{path} could not be opened: {why}; check the disk, and that the file and its directory belong to the user that quantixkvm runs as"
    )]
    Io { path: PathBuf, why: String },
}

impl OpenError {
    /// What the process exits with: 78, which the unit does not restart.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        78
    }
}
