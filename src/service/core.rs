//! What every use case stands on: the store, the hypervisor, the live picture, and the one way in
//! which records change.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};

use crate::hypervisor::{self, Hypervisor};
use crate::model::event::{Event, Severity, Subject};
use crate::model::id::{NodeId, VmId};
use crate::model::lifecycle::Seen;
use crate::model::vm::Moment;
use crate::store::{Store, StoreError, Transaction};

use super::error::{ErrorKind, ServiceError};
use super::inventory::{Edits, Inventory, Picture};

/// How long outside changes may wait before they are kept: many then share one commit.
const KEEP_AFTER: Duration = Duration::from_millis(200);
/// Events that wait at most while they cannot be kept, the oldest going first.
const WAITING_MAX: usize = 10_000;
/// How often what could not be kept is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// How often answers that are past their day are forgotten.
const SWEEP: Duration = Duration::from_secs(600);

/// Shared by every service.
pub struct Core {
    pub store: Store,
    pub hypervisor: Arc<dyn Hypervisor>,
    pub inventory: Inventory,
    pub node_id: NodeId,
    /// Whether libvirt answers; the sentence says why not.
    pub link: watch::Sender<LinkState>,
    /// Every look at a VM, for those who wait for a state.
    seen: broadcast::Sender<(VmId, Seen)>,
    later: Mutex<Later>,
    wake_keeper: Notify,
}

/// How things stand with libvirt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    Up,
    /// The sentence says why.
    Down(String),
}

/// What is published and not yet kept.
#[derive(Default)]
struct Later {
    records: HashSet<VmId>,
    events: Vec<Event>,
}

impl Core {
    /// Over an open store and a hypervisor that need not be connected yet.
    #[must_use]
    pub fn new(store: Store, hypervisor: Arc<dyn Hypervisor>, inventory: Inventory, node_id: NodeId) -> Self {
        Self {
            store,
            hypervisor,
            inventory,
            node_id,
            link: watch::channel(LinkState::Down("not connected yet".to_owned())).0,
            seen: broadcast::channel(1024).0,
            later: Mutex::default(),
            wake_keeper: Notify::new(),
        }
    }

    /// Change records, events and operations in one durable transaction, then the picture. The
    /// picture's writer is held throughout, so memory and file can never disagree in order.
    /// Blocks: call it through [`blocking`].
    ///
    /// # Errors
    /// Whatever `change` returns; nothing is changed then.
    pub fn transact<T>(
        &self,
        change: impl FnOnce(&mut Transaction<'_>, &Picture, &mut Edits) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        self.inventory.try_write(|picture, edits| self.store.commit(|tx| change(tx, picture, edits)))
    }

    /// Run a hypervisor call on a thread of its own. Where libvirt stops answering meanwhile, the
    /// caller is told at once and the call is left to its thread, which ends with its connection.
    ///
    /// # Errors
    /// The call's own; `Unreachable`.
    pub async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl FnOnce(&dyn Hypervisor) -> hypervisor::Result<T> + Send + 'static,
    ) -> hypervisor::Result<T> {
        let hypervisor = Arc::clone(&self.hypervisor);
        self.host(move || call(hypervisor.as_ref())).await?
    }

    /// As [`ask`](Self::ask), for work that is more than one call.
    ///
    /// # Errors
    /// `Unreachable`.
    pub async fn host<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> hypervisor::Result<T> {
        let mut link = self.link.subscribe();
        let down = |state: &LinkState| match state {
            LinkState::Down(why) => Some(hypervisor::HypervisorError::Unreachable(why.clone())),
            LinkState::Up => None,
        };
        if let Some(error) = down(&link.borrow_and_update()) {
            return Err(error);
        }
        let mut done = std::pin::pin!(blocking(work));
        loop {
            tokio::select! {
                answer = &mut done => return Ok(answer),
                changed = link.changed() => {
                    if changed.is_err() {
                        return Ok(done.await);
                    }
                    if let Some(error) = down(&link.borrow_and_update()) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Hear every look at every VM from now on.
    #[must_use]
    pub fn sightings(&self) -> broadcast::Receiver<(VmId, Seen)> {
        self.seen.subscribe()
    }

    /// Tell those who wait what was seen.
    pub fn sighted(&self, id: VmId, seen: Seen) {
        // Nobody waiting is no error.
        let _ = self.seen.send((id, seen));
    }

    /// Keep this VM's record as it then is, and this event, within [`KEEP_AFTER`]: for outside
    /// changes, which libvirt remembers and nobody was promised.
    pub fn keep_later(&self, id: Option<VmId>, event: Option<Event>) {
        let mut later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        later.records.extend(id);
        later.events.extend(event);
        drop(later);
        self.wake_keeper.notify_one();
    }

    /// Keep what waits, now. Blocks.
    ///
    /// # Errors
    /// The store's.
    pub fn keep_now(&self) -> Result<(), ServiceError> {
        let later = std::mem::take(&mut *self.later.lock().unwrap_or_else(PoisonError::into_inner));
        if later.records.is_empty() && later.events.is_empty() {
            return Ok(());
        }
        let kept = self.transact(|tx, picture, _| {
            for id in &later.records {
                // Gone meanwhile: whoever removed it has removed its record.
                if let Some(vm) = picture.vms.get(id) {
                    match tx.vm_put(&vm.record) {
                        // One VM's trouble must not lose what was seen of the others.
                        Err(error @ StoreError::AlreadyExists { .. }) => {
                            tracing::error!(vm = %id, %error, "what was seen of a VM could not be kept");
                        }
                        put => put?,
                    }
                }
            }
            for event in &later.events {
                tx.event_append(event)?;
            }
            Ok(())
        });
        // A disk that is full may have room later; what is wrong with the rows themselves stays wrong.
        let waits =
            |error: &ServiceError| matches!(error.kind(), ErrorKind::ResourceExhausted | ErrorKind::Unavailable);
        if kept.as_ref().is_err_and(waits) {
            let mut waiting = self.later.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.records.extend(later.records);
            let newer = std::mem::replace(&mut waiting.events, later.events);
            waiting.events.extend(newer);
            let over = waiting.events.len().saturating_sub(WAITING_MAX);
            waiting.events.drain(..over);
        }
        kept
    }

    /// [`keep_now`](Self::keep_now) for one who reads next: what cannot be kept goes on waiting, and
    /// what is kept can be read all the same. Blocks.
    pub fn keep_if_possible(&self) {
        if let Err(error) = self.keep_now() {
            tracing::warn!(%error, "outside changes could not be kept yet");
        }
    }

    /// Keep what waits, whenever something does, and forget what is past its day, until `stop`.
    pub async fn keeper(self: Arc<Self>, stop: tokio_util::sync::CancellationToken) {
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut again = tokio::time::interval(TRY_AGAIN);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.wake_keeper.notified() => {
                    tokio::time::sleep(KEEP_AFTER).await;
                    self.keep_and_tell().await;
                }
                _ = again.tick() => self.keep_and_tell().await,
                // The first tick is at once: at start, too.
                _ = sweep.tick() => self.sweep().await,
                () = stop.cancelled() => break,
            }
        }
        self.keep_and_tell().await;
    }

    async fn keep_and_tell(self: &Arc<Self>) {
        let core = Arc::clone(self);
        if let Err(error) = blocking(move || core.keep_now()).await {
            tracing::error!(%error, "outside changes could not be kept");
        }
    }

    async fn sweep(self: &Arc<Self>) {
        let core = Arc::clone(self);
        if let Err(error) = blocking(move || core.store.commit(|tx| tx.idempotency_sweep())).await {
            tracing::error!(%error, "old answers could not be forgotten");
        }
    }

    /// An event of a VM.
    #[must_use]
    pub fn vm_event(&self, id: VmId, kind: &str, message: String, severity: Severity, user: &str) -> Event {
        Event {
            subject: Subject::Vm,
            resource_id: id.to_string(),
            kind: kind.to_owned(),
            message,
            user: user.to_owned(),
            severity,
            at: Moment::now(),
            metadata: BTreeMap::new(),
        }
    }
}

/// Run blocking work on a thread of its own.
///
/// # Panics
/// Where the work panics: the panic goes on in the caller's task.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(answer) => answer,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that is going away cancels; nobody is left to answer.
            Err(_) => std::panic::panic_any("the runtime is shutting down"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::AcceleratorChoice;
    use crate::hypervisor::libvirt::Libvirt;

    #[tokio::test]
    async fn the_keeper_forgets_answers_past_their_day_at_start() {
        let store = Store::in_memory().expect("memory does not fail");
        let now = Moment::now();
        let kept: Result<(), StoreError> = store.commit(|tx| {
            tx.idempotency_begun_at(&[1; 32], Moment(now.0 - 25 * 3600 * 1_000_000))?;
            tx.idempotency_begun_at(&[2; 32], now)
        });
        kept.expect("two keys");
        // Never connected: the keeper does not ask it.
        let hypervisor = Arc::new(Libvirt::new("test:///default".to_owned(), AcceleratorChoice::Tcg));
        let inventory = Inventory::new(Arc::new(|_| crate::model::spec::VmSpec::default()));
        let core = Arc::new(Core::new(store.clone(), hypervisor, inventory, NodeId::random()));
        let stop = tokio_util::sync::CancellationToken::new();
        let keeper = tokio::spawn(core.keeper(stop.clone()));
        let swept = async {
            while store.commit(|tx| tx.idempotency_count()).expect("a count") > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), swept).await.expect("it is swept at start");
        assert!(store.idempotency_get(&[2; 32]).expect("a row").is_some(), "what is of today stays");
        stop.cancel();
        keeper.await.expect("it ends");
    }
}
