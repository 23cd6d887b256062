//! The same request sent twice is done once. Within 24 hours and across restarts, the same key (of
//! the same caller and method) with the same body gets the first answer; with another body it is
//! refused; while the first is in flight, a retry waits for it.
//!
//! Only answers after the intent was committed are kept: a request that was refused at the door
//! may be sent again and judged anew. What needs no operation begins its key in its one commit
//! ([`begun`]); a success that had nothing to commit is kept with its answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::model::id::OperationId;
use crate::model::operation::OperationState;
use crate::store::{Kept, StoreError, Transaction};

use super::core::{Core, blocking};
use super::error::{ErrorKind, ServiceError};
use super::requests::IdempotencyKey;

/// What a request with a key is told.
pub enum Told<A> {
    /// It was done now.
    Fresh(A),
    /// The bytes of the first answer.
    Again(Vec<u8>),
    /// It was done, and the answer was lost with the process: read the resource again.
    Done {
        /// Id of the resource that the first request was about, where it was an operation.
        resource_id: Option<String>,
    },
    /// The first answer was an error: its code and its sentence.
    Refused { code: String, message: String },
}

/// Note, in the one commit of a change that needs no operation, that the request with this key has
/// been done.
///
/// # Errors
/// The store's.
pub fn begun(tx: &mut Transaction<'_>, key: Option<IdempotencyKey>) -> Result<(), StoreError> {
    match key {
        Some(key) => tx.idempotency_begin(&key.key, &key.body, OperationId(uuid::Uuid::nil())),
        None => Ok(()),
    }
}

/// The place of a request in the table; a panic leaves it too, or its retries would wait forever.
struct Place<'a> {
    keys: &'a Mutex<HashMap<[u8; 32], watch::Receiver<()>>>,
    key: [u8; 32],
    /// Dropped behind the row: who waits finds the place free.
    _done: watch::Sender<()>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Requests with keys that are in flight.
#[derive(Default)]
pub struct InFlight {
    keys: Mutex<HashMap<[u8; 32], watch::Receiver<()>>>,
}

impl InFlight {
    /// Do `work` once for this key.
    ///
    /// # Errors
    /// `work`'s own, and `Invalid` where the key was used for another request.
    pub async fn once<A>(
        &self,
        core: &Arc<Core>,
        key: Option<IdempotencyKey>,
        work: impl Future<Output = Result<A, ServiceError>>,
        bytes: impl FnOnce(&A) -> Vec<u8>,
    ) -> Result<Told<A>, ServiceError> {
        let Some(key) = key else {
            return work.await.map(Told::Fresh);
        };
        let place = loop {
            let first = {
                let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
                match keys.get(&key.key) {
                    Some(first) => Err(first.clone()),
                    None => {
                        let (done, first) = watch::channel(());
                        keys.insert(key.key, first);
                        Ok(done)
                    }
                }
            };
            match first {
                Ok(done) => break Place { keys: &self.keys, key: key.key, _done: done },
                // Closed when the first has ended, however it did.
                Err(mut first) => while first.changed().await.is_ok() {},
            }
        };
        let answer = self.first(core, key, work, bytes).await;
        drop(place);
        answer
    }

    async fn first<A>(
        &self,
        core: &Arc<Core>,
        key: IdempotencyKey,
        work: impl Future<Output = Result<A, ServiceError>>,
        bytes: impl FnOnce(&A) -> Vec<u8>,
    ) -> Result<Told<A>, ServiceError> {
        if let Some(kept) = core.store.idempotency_get(&key.key)? {
            if kept.body != key.body {
                return Err(ServiceError::invalid(
                    "Idempotency-Key",
                    "was used for another request within the last 24 hours; send a new key with a new request",
                ));
            }
            if let Some(told) = told(core, kept)? {
                return Ok(told);
            }
        }
        let answer = work.await;
        // Libvirt went away meanwhile: the retry is to hear what became of it, not this.
        if matches!(answer, Err(ServiceError::Unavailable(_))) {
            return answer.map(Told::Fresh);
        }
        let (code, kept) = match &answer {
            Ok(answer) => (String::new(), bytes(answer)),
            Err(error) => (error.kind().word().to_owned(), error.to_string().into_bytes()),
        };
        let keeper = Arc::clone(core);
        let succeeded = answer.is_ok();
        blocking(move || {
            let is_begun = keeper.store.idempotency_get(&key.key)?.is_some();
            // A refusal at the door leaves no row, and is not kept.
            if !is_begun && !succeeded {
                return Ok(());
            }
            keeper.store.commit(|tx| {
                if !is_begun {
                    begun(tx, Some(key))?;
                }
                tx.idempotency_answer(&key.key, &code, kept).map_err(ServiceError::from)
            })
        })
        .await?;
        answer.map(Told::Fresh)
    }
}

/// What the first request was told, or would have been; `None` where a restart interrupted it,
/// nobody was answered, and nothing of it was left: it is done now, or every retry would hear for a
/// day that it should be tried again.
fn told<A>(core: &Arc<Core>, kept: Kept) -> Result<Option<Told<A>>, ServiceError> {
    if let Some((code, bytes)) = kept.answer {
        return Ok(Some(if code.is_empty() {
            Told::Again(bytes)
        } else {
            Told::Refused { code, message: String::from_utf8_lossy(&bytes).into_owned() }
        }));
    }
    if kept.operation.0.is_nil() {
        return Ok(Some(Told::Done { resource_id: None }));
    }
    let Some(operation) = core.store.operation_get(kept.operation)? else {
        return Ok(Some(Told::Done { resource_id: None }));
    };
    match operation.state {
        OperationState::Succeeded => Ok(Some(Told::Done { resource_id: Some(operation.resource_id) })),
        OperationState::Failed if operation.error_code == ErrorKind::Unavailable.word() => Ok(None),
        OperationState::Failed | OperationState::Cancelled => {
            Ok(Some(Told::Refused { code: operation.error_code, message: operation.error_message }))
        }
        OperationState::Running => Err(ServiceError::Unavailable(format!(
            "operation {} of the first request was interrupted by a restart and is being finished; try again",
            operation.id
        ))),
    }
}
