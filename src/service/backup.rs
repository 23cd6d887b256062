//! Backups of the state file: made by the clock, and when someone asks. The store makes them; here
//! is when.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::backup::{BackupKind, is_due};
use crate::model::vm::Moment;
pub use crate::store::Backup as Made;
use crate::store::{BackupError, BackupStatus, Store};

use super::core::blocking;
use super::error::ServiceError;

/// How often the clock is looked at: the wall's may jump, and what is due follows from it.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long after a failure the next attempt is made.
const RETRY_AFTER: Duration = Duration::from_secs(300);

/// All backups and how the last attempt went.
pub struct Backups {
    /// Newest first.
    pub all: Vec<Made>,
    /// Why the last attempt failed.
    pub failure: Option<String>,
}

/// Make a backup now.
///
/// # Errors
/// `Precondition` where nothing is kept, `Exhausted` where there is no room, `Internal`.
pub async fn back_up(store: Store, user: &str) -> Result<Made, ServiceError> {
    let made = blocking(move || store.back_up(BackupKind::OnDemand)).await?;
    tracing::info!(backup = %made.path.display(), user, "a backup of the state was made");
    Ok(made)
}

/// The backups that there are.
///
/// # Errors
/// `Internal`.
pub async fn list(store: Store) -> Result<Backups, ServiceError> {
    blocking(move || {
        let all = store.backups()?;
        let failure = match store.backup_status() {
            BackupStatus::NotKept => None,
            BackupStatus::Kept { failure, .. } => failure,
        };
        Ok(Backups { all, failure })
    })
    .await
}

/// Make one whenever the newest is an hour old, until `stop`.
pub async fn run(store: Store, stop: CancellationToken) {
    if store.backup_status() == BackupStatus::NotKept {
        return;
    }
    loop {
        let here = store.clone();
        let next = match blocking(move || scheduled(&here)).await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::error!(%error, "the state could not be backed up");
                RETRY_AFTER
            }
        };
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn scheduled(store: &Store) -> Result<(), BackupError> {
    let names: Vec<_> = store.backups()?.iter().map(|backup| backup.name).collect();
    if is_due(Moment::now(), &names) {
        let made = store.back_up(BackupKind::Scheduled)?;
        tracing::info!(backup = %made.path.display(), bytes = made.size_bytes, "the state is backed up");
    }
    Ok(())
}

impl From<BackupError> for ServiceError {
    fn from(error: BackupError) -> Self {
        let message = error.to_string();
        match error {
            BackupError::InMemory => Self::Precondition { reason: "NOTHING_KEPT", subject: String::new(), message },
            BackupError::NoSpace { .. } => Self::Exhausted(message),
            // What stands in the way is the administrator's to mend: it is told.
            BackupError::File(_) => Self::Precondition { reason: "BACKUP_FAILED", subject: String::new(), message },
            BackupError::Store(error) => error.into(),
        }
    }
}
