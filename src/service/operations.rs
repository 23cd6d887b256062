//! Operations: the recorded intent of a verb, its progress, and the lock on its VM.
//!
//! A verb *begins* by committing its operation; that record, and its place in `running`, are the
//! lock. A second verb on the same VM is told which operation holds it. Verbs on different VMs
//! never wait for one another. What a crash interrupted stays in the store as unfinished and holds
//! its VM again from the next start on, until `recover` has finished or undone it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::model::id::{OperationId, VmId};
use crate::model::operation::{Cancel, Operation, OperationState};
use crate::model::vm::Moment;
use crate::store::OperationFilter;

use super::core::Core;
use super::error::ServiceError;
use super::paging;
use super::requests::{Caller, ListOperations, Page};

/// How many changes a watcher of operations may lag behind.
const WATCH_BUFFER: usize = 1024;

/// Why a running operation is asked to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// A client cancelled it.
    Cancelled { by: String },
    /// A forced stop takes the VM.
    Preempted,
}

/// An operation in flight.
pub struct Running {
    operation: RwLock<Arc<Operation>>,
    end: CancellationToken,
    end_reason: Mutex<Option<EndReason>>,
    done: watch::Sender<bool>,
    /// Its task has left it to recovery.
    left: AtomicBool,
}

impl Running {
    fn new(operation: Operation) -> Self {
        Self {
            operation: RwLock::new(Arc::new(operation)),
            end: CancellationToken::new(),
            end_reason: Mutex::new(None),
            done: watch::channel(false).0,
            left: AtomicBool::new(false),
        }
    }

    /// As it is now.
    #[must_use]
    pub fn operation(&self) -> Arc<Operation> {
        Arc::clone(&self.operation.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when someone wants it to end.
    pub async fn ended(&self) -> EndReason {
        self.end.cancelled().await;
        self.end_reason.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or(EndReason::Preempted)
    }

    /// Ask it to end.
    pub fn end(&self, reason: EndReason) {
        self.end_reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.end.cancel();
    }

    /// Resolves when it has let go of its VM.
    pub async fn released(&self) {
        let mut done = self.done.subscribe();
        // The sender lives as long as `self`.
        let _ = done.wait_for(|done| *done).await;
    }
}

/// Holds a VM for as long as it lives. A task that panics drops it: the operation then ends as
/// failed and the VM is free, instead of being held until the next start.
pub struct Hold {
    running: Arc<Running>,
    operations: Arc<OperationService>,
}

impl Hold {
    /// Over an operation that was taken.
    #[must_use]
    pub fn new(running: Arc<Running>, operations: Arc<OperationService>) -> Self {
        Self { running, operations }
    }
}

impl std::ops::Deref for Hold {
    type Target = Arc<Running>;
    fn deref(&self) -> &Arc<Running> {
        &self.running
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !*self.running.done.borrow() && !self.running.left.load(Ordering::Acquire) {
            self.operations.abandon(&self.running);
        }
    }
}

/// The operations of this host.
pub struct OperationService {
    core: Arc<Core>,
    /// What holds which resource (a VM's or node's id).
    running: Mutex<HashMap<String, Arc<Running>>>,
    /// Unfinished, and waiting for libvirt to be finished or undone.
    interrupted: Mutex<Vec<Arc<Running>>>,
    changes: broadcast::Sender<Arc<Operation>>,
}

impl OperationService {
    /// Over the store; nothing runs yet.
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            running: Mutex::default(),
            interrupted: Mutex::default(),
            changes: broadcast::channel(WATCH_BUFFER).0,
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What holds this resource now.
    #[must_use]
    pub fn holder(&self, resource_id: &str) -> Option<Arc<Running>> {
        self.running().get(resource_id).cloned()
    }

    /// Operations in flight, by verb, for metrics.
    #[must_use]
    pub fn in_flight(&self) -> Vec<Arc<Operation>> {
        self.running().values().map(|running| running.operation()).collect()
    }

    /// Take the resource for `operation`, in memory only: the caller commits it next and calls
    /// [`release`](Self::release) where that fails.
    ///
    /// # Errors
    /// The holder, where there is one.
    pub fn take(&self, operation: Operation) -> Result<Arc<Running>, Arc<Running>> {
        let mut running = self.running();
        if let Some(holder) = running.get(&operation.resource_id) {
            return Err(Arc::clone(holder));
        }
        let resource_id = operation.resource_id.clone();
        let taken = Arc::new(Running::new(operation));
        running.insert(resource_id, Arc::clone(&taken));
        Ok(taken)
    }

    /// Let go of the resource.
    pub fn release(&self, running: &Arc<Running>) {
        let resource_id = running.operation().resource_id.clone();
        let mut held = self.running();
        if held.get(&resource_id).is_some_and(|holder| Arc::ptr_eq(holder, running)) {
            held.remove(&resource_id);
        }
        drop(held);
        running.done.send_replace(true);
    }

    /// An operation whose task is gone without having ended it.
    fn abandon(&self, running: &Arc<Running>) {
        let mut last = Operation::clone(&running.operation());
        last.state = OperationState::Failed;
        last.finished_at = Some(Moment::now());
        last.cancel = Cancel::Impossible;
        "internal".clone_into(&mut last.error_code);
        format!("internal error; request id {}", last.request_id).clone_into(&mut last.error_message);
        tracing::error!(operation = %last.id, verb = last.verb.word(), "an operation ended in a panic");
        // In the store it stays unfinished: the next start looks at what of it was done.
        let last = Arc::new(last);
        self.settle(running, Operation::clone(&last));
        self.show(&last);
        self.release(running);
    }

    /// Say what is being done and how far it is. Kept in memory and shown at once; a crash loses
    /// no more than this sentence.
    pub fn progress(&self, running: &Arc<Running>, step: &str, percent: u8) {
        let now = {
            let mut current = running.operation.write().unwrap_or_else(PoisonError::into_inner);
            let mut operation = Operation::clone(&current);
            step.clone_into(&mut operation.step);
            operation.progress_percent = percent.min(100);
            *current = Arc::new(operation);
            Arc::clone(&current)
        };
        self.show(&now);
    }

    /// Put the final form in place of the running one.
    pub fn settle(&self, running: &Arc<Running>, operation: Operation) {
        *running.operation.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(operation);
    }

    /// Tell watchers, and put it beside its VM's state.
    pub fn show(&self, operation: &Arc<Operation>) {
        if let Ok(id) = operation.resource_id.parse::<VmId>() {
            let shown = (operation.state == OperationState::Running).then(|| Arc::clone(operation));
            self.core.inventory.edit(id, |vm| vm.operation = shown);
        }
        self.announce(operation);
    }

    /// Tell watchers of operations alone.
    pub fn announce(&self, operation: &Arc<Operation>) {
        // Nobody watching is no error.
        let _ = self.changes.send(Arc::clone(operation));
    }

    /// One operation, running or ended.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, id: OperationId) -> Result<Arc<Operation>, ServiceError> {
        if let Some(running) = self.running().values().find(|running| running.operation().id == id) {
            return Ok(running.operation());
        }
        self.core
            .store
            .operation_get(id)?
            .map(Arc::new)
            .ok_or_else(|| ServiceError::NotFound { what: "Operation", id: id.to_string() })
    }

    /// Newest first.
    ///
    /// # Errors
    /// `Invalid` for a page size or token that is not one of ours.
    pub fn list(&self, wanted: &ListOperations) -> Result<Page<Arc<Operation>>, ServiceError> {
        let size = paging::size(wanted.page_size)?;
        let fingerprint = paging::fingerprint(&(&wanted.resource_id, format!("{:?}", wanted.states)));
        let after = paging::read_token(&wanted.page_token, &fingerprint)?
            .map(|key| key.parse::<OperationId>().map_err(|_| paging::bad_token()))
            .transpose()?;
        let filter = OperationFilter { resource_id: wanted.resource_id.clone(), states: wanted.states.clone() };
        let (kept, total) = self.core.store.operation_list(&filter, size + 1, after)?;
        let live: HashMap<OperationId, Arc<Operation>> =
            self.in_flight().into_iter().map(|operation| (operation.id, operation)).collect();
        let mut items: Vec<Arc<Operation>> = kept
            .into_iter()
            .map(|operation| live.get(&operation.id).cloned().unwrap_or_else(|| Arc::new(operation)))
            .collect();
        let next_page_token = if items.len() > size {
            items.truncate(size);
            items.last().map(|last| paging::write_token(&last.id.to_string(), &fingerprint)).unwrap_or_default()
        } else {
            String::new()
        };
        Ok(Page { items, next_page_token, total_count: total })
    }

    /// What runs now, and every change after it.
    #[must_use]
    pub fn watch(&self) -> (Vec<Arc<Operation>>, broadcast::Receiver<Arc<Operation>>) {
        let receiver = self.changes.subscribe();
        (self.in_flight(), receiver)
    }

    /// Ask a running operation to end, and wait until it has.
    ///
    /// # Errors
    /// `NotFound`; `Precondition` where it has ended or cannot be cancelled.
    pub async fn cancel(&self, caller: &Caller, id: OperationId) -> Result<Arc<Operation>, ServiceError> {
        let found = self.running().values().find(|running| running.operation().id == id).cloned();
        let Some(running) = found else {
            let ended = self.get(id)?;
            return Err(ServiceError::Precondition {
                reason: "OPERATION_ENDED",
                subject: ended.resource_id.clone(),
                message: format!("operation {id} ({}) has ended already", ended.verb.word()),
            });
        };
        let operation = running.operation();
        if operation.cancel == Cancel::Impossible {
            return Err(ServiceError::Precondition {
                reason: "NOT_CANCELLABLE",
                subject: operation.resource_id.clone(),
                message: format!(
                    "operation {id} ({}) cannot be cancelled while it is {}",
                    operation.verb.word(),
                    if operation.step.is_empty() { "running" } else { &operation.step }
                ),
            });
        }
        running.end(EndReason::Cancelled { by: caller.user.clone() });
        running.released().await;
        Ok(running.operation())
    }

    /// Unfinished operations of an earlier run take their VMs again, until recovered. Blocks.
    ///
    /// # Errors
    /// The store's.
    pub fn reclaim(&self) -> Result<(), ServiceError> {
        if let Some(newest) = self.core.store.operation_newest()? {
            OperationId::begin_after(newest);
        }
        for operation in self.core.store.operations_unfinished()? {
            let newer = operation.clone();
            match self.take(operation) {
                Ok(running) => self.leave(&running, "interrupted by a restart"),
                // A forced stop and what it pre-empted. The older holds the VM and is recovered by
                // the VM's state as it is found; of the newer that state says all there is to say.
                Err(holder) => {
                    let mut newer = newer;
                    newer.state = OperationState::Failed;
                    newer.finished_at = Some(Moment::now());
                    newer.cancel = Cancel::Impossible;
                    "unavailable".clone_into(&mut newer.error_code);
                    newer.error_message = format!(
                        "interrupted by a restart, beside operation {}; the VM's state says what was done",
                        holder.operation().id
                    );
                    self.core.store.commit(|tx| tx.operation_put(&newer).map_err(ServiceError::from))?;
                }
            }
        }
        Ok(())
    }

    /// Leave an operation to recovery: it goes on holding its VM until libvirt answers and what of
    /// it was done is finished or undone.
    pub fn leave(&self, running: &Arc<Running>, why: &str) {
        running.left.store(true, Ordering::Release);
        {
            let mut current = running.operation.write().unwrap_or_else(PoisonError::into_inner);
            let mut operation = Operation::clone(&current);
            operation.step = format!("{why}; waiting for libvirt to finish or undo it");
            operation.cancel = Cancel::Impossible;
            *current = Arc::new(operation);
        }
        self.show(&running.operation());
        self.interrupted.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(running));
    }

    /// Take what waits for recovery.
    #[must_use]
    pub fn interrupted(&self) -> Vec<Arc<Running>> {
        std::mem::take(&mut *self.interrupted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A fresh operation.
#[must_use]
pub fn new_operation(
    caller: &Caller,
    verb: crate::model::operation::Verb,
    resource_id: String,
    intent: crate::model::operation::Intent,
) -> Operation {
    Operation {
        id: OperationId::now(),
        verb,
        resource_id,
        state: OperationState::Running,
        progress_percent: 0,
        step: String::new(),
        created_at: Moment::now(),
        deadline: None,
        finished_at: None,
        error_code: String::new(),
        error_message: String::new(),
        cancel: Cancel::Impossible,
        user: caller.user.clone(),
        request_id: caller.request_id.clone(),
        intent,
    }
}
