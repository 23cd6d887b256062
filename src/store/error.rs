//! Why the store did not do what it was asked, and why a state file was not opened.

use std::path::PathBuf;

use crate::model::units::human_bytes;

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
    /// The disk is full. Nothing was changed.
    #[error(
        "there is no room to write the state file {}: at least {} is needed, and {} is free; make room on that file \
         system, then try again", path.display(), human_bytes(*need_bytes), human_bytes(*free_bytes)
    )]
    Full { path: PathBuf, need_bytes: u64, free_bytes: u64 },
    /// The disk failed otherwise. Nothing was changed.
    #[error("the state file {} could not be written: {why}; look at the disk, then try again", path.display())]
    NotWritten { path: PathBuf, why: String },
    /// The file failed and could not be opened anew: nothing is written, so that memory and file
    /// cannot part.
    #[error("the state file failed and nothing is written any more ({0}); restart the service")]
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
#[error("{}; {}", self.fault(), self.remedy())]
pub enum OpenError {
    Locked {
        path: PathBuf,
        pid: String,
    },
    Damaged {
        path: PathBuf,
        why: String,
    },
    Foreign {
        path: PathBuf,
        why: String,
    },
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
    },
    Exposed {
        path: PathBuf,
        mode: u32,
        wanted: u32,
    },
    /// One was to be made, and is there.
    Exists {
        path: PathBuf,
    },
    /// A copy of it could not be made where one must be.
    NotSaved {
        path: PathBuf,
        why: String,
    },
    Io {
        path: PathBuf,
        why: String,
    },
}

impl OpenError {
    /// What is wrong, naming the file.
    #[must_use]
    pub fn fault(&self) -> String {
        match self {
            Self::Locked { path, pid } => format!("{} is in use by process {pid}", path.display()),
            Self::Damaged { path, why } => format!("{} is damaged ({why}) and was left untouched", path.display()),
            Self::Foreign { path, why } => {
                format!("{} is no state file of quantixkvm ({why}) and was left untouched", path.display())
            }
            Self::Newer { path, found, known } => format!(
                "{} was written by a newer quantixkvm (format {found}, this one knows {known}) and was left untouched",
                path.display()
            ),
            Self::Exposed { path, mode, .. } => {
                format!("{} can be read by other users (mode {mode:04o})", path.display())
            }
            Self::Exists { path } => format!("{} is there and was left untouched", path.display()),
            Self::NotSaved { path, why } => {
                format!("no backup of the state file could be put at {}: {why}", path.display())
            }
            Self::Io { path, why } => format!("{} could not be opened: {why}", path.display()),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Locked { .. } => {
                "only one quantixkvm may run on a data directory: stop the other, or give this one --data-dir"
                    .to_owned()
            }
            Self::Damaged { .. } => "restore a backup of it, or move it away and run \"quantixkvm recover\", which \
                                     rebuilds it from libvirt"
                .to_owned(),
            Self::Foreign { .. } => "move it away, or give --data-dir".to_owned(),
            Self::Newer { .. } => "install that version or a later one".to_owned(),
            Self::Exposed { path, wanted, .. } => format!("run: chmod {wanted:04o} {}", path.display()),
            Self::Exists { path } => {
                let path = path.display();
                format!(
                    "only a lost state file is rebuilt: to rebuild this one, move it away first: mv {path} {path}.old"
                )
            }
            Self::NotSaved { .. } => "make room there, and see that the directory belongs to the user that quantixkvm \
                                      runs as"
                .to_owned(),
            Self::Io { .. } => {
                "check the disk, and that the file and its directory belong to the user that quantixkvm \
                                runs as"
                    .to_owned()
            }
        }
    }

    /// What the process exits with: 78, which the unit does not restart.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        78
    }
}

/// A backup that was not made. Nothing is left of the attempt.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("the state is kept in memory alone, as a demo's is: there is nothing to back up")]
    InMemory,
    #[error(
        "there is no room for a backup in {}: it needs {}, and {} is free", path.display(), human_bytes(*need_bytes),
        human_bytes(*free_bytes)
    )]
    NoSpace { path: PathBuf, need_bytes: u64, free_bytes: u64 },
    #[error(transparent)]
    File(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
