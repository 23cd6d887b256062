//! The beginning and the end of every operation on a VM, the same for each verb: decide under the
//! lock, commit the intent, do the work in a task of its own, look again, commit what came of it.

use std::sync::Arc;
use std::time::Duration;

use crate::model::access::{Privilege, Rights};
use crate::model::event::Severity;
use crate::model::id::VmId;
use crate::model::lifecycle::{Decision, Denial, Pending, Plan, Situation, decide};
use crate::model::operation::{Intent, Operation, OperationState, Verb};
use crate::model::vm::{Moment, PowerState};

use super::super::core::{Core, blocking};
use super::super::error::ServiceError;
use super::super::inventory::Vm;
use super::super::operations::{EndReason, Hold, OperationService, Running, new_operation};
use super::super::reconcile::{apply_listing, fold_in};
use super::super::requests::Caller;
use super::VmService;

/// How long a pre-empted operation's call into libvirt may still take before it is left behind.
const LEAVE_BEHIND: Duration = Duration::from_secs(5);

/// What came of an operation, for its event.
pub(super) struct Outcome {
    /// Dotted word of the event, such as `vm.started`.
    pub kind: &'static str,
    pub message: String,
    pub severity: Severity,
}

impl Outcome {
    pub fn info(kind: &'static str, message: String) -> Self {
        Self { kind, message, severity: Severity::Info }
    }
}

/// A VM, what a verb would do to it, and what holds it.
type Decided = (Arc<Vm>, Decision, Option<Arc<Running>>);

impl VmService {
    /// The refusal of a verb, with the VM's name and the reason, to who has these rights.
    pub(super) fn denied(vm: &Vm, verb: Verb, denial: &Denial, rights: Rights) -> ServiceError {
        let message = denial.sentence(&vm.record.name, vm.record.state, verb);
        match denial {
            // Told to clear it, who may not would be sent in a circle.
            Denial::Protected if !rights.has(Privilege::VmProtect) => ServiceError::Denied(format!(
                "VM \"{}\" is protected against deletion, and only the role admin may clear that",
                vm.record.name
            )),
            Denial::Busy(pending) => ServiceError::Busy { operation: pending.operation_id, message },
            Denial::AlreadySo
            | Denial::WrongState(_)
            | Denial::Protected
            | Denial::NeedsForce
            | Denial::WaitsForDisk(_)
            | Denial::Transient
            | Denial::AlreadyManaged
            | Denial::StillDefined => {
                ServiceError::Precondition { reason: denial.reason(), subject: vm.record.id.to_string(), message }
            }
        }
    }

    /// What `verb` would do to the VM now, and what holds it. The running table is asked, not the
    /// picture: it is the lock.
    fn decision(&self, id: VmId, verb: Verb) -> Result<Decided, ServiceError> {
        let vm = self.get(id)?;
        let holder = self.operations.holder(&id.to_string());
        let mut situation = vm.situation();
        situation.pending = holder.as_ref().map(|holder| {
            let operation = holder.operation();
            Pending { verb: operation.verb, operation_id: operation.id, since: operation.created_at }
        });
        let decision = decide(&situation, verb);
        Ok((vm, decision, holder))
    }

    /// Whether a start of the VM would boot it now; a start that is denied does not.
    pub(super) fn boots(&self, id: VmId) -> Result<bool, ServiceError> {
        let (_, decision, _) = self.decision(id, Verb::Start)?;
        Ok(matches!(decision, Decision::Begin(Plan::Boot | Plan::ClearThenBoot)))
    }

    /// May a verb that needs no operation be done now.
    pub(in crate::service) fn permit(&self, id: VmId, verb: Verb) -> Result<Arc<Vm>, ServiceError> {
        self.permit_to(Rights::WHOLE, id, verb)
    }

    /// As [`permit`](Self::permit), where the refusal depends on who asks.
    pub(super) fn permit_to(&self, rights: Rights, id: VmId, verb: Verb) -> Result<Arc<Vm>, ServiceError> {
        let (vm, decision, _) = self.decision(id, verb)?;
        match decision {
            Decision::Now | Decision::Begin(_) => Ok(vm),
            Decision::Denied(denial) => Err(Self::denied(&vm, verb, &denial, rights)),
        }
    }

    /// Protection stands in the way of whatever takes a VM away from here.
    pub(super) fn ensure_unprotected(vm: &Vm, rights: Rights) -> Result<(), ServiceError> {
        let situation = Situation { pending: None, ..vm.situation() };
        match decide(&situation, Verb::ForceDelete) {
            Decision::Denied(denial @ Denial::Protected) => Err(Self::denied(vm, Verb::ForceDelete, &denial, rights)),
            Decision::Denied(_) | Decision::Now | Decision::Begin(_) => Ok(()),
        }
    }

    /// Begin an operation: decided, taken, committed, visible. `prepare` may look at the VM and the
    /// plan, refuse, and fill in intent, deadline and whether it can be cancelled.
    pub(super) async fn begin(
        &self,
        caller: &Caller,
        id: VmId,
        verb: Verb,
        prepare: impl Fn(&Vm, Plan, &mut Operation) -> Result<(), ServiceError>,
    ) -> Result<(Hold, Plan, Arc<Vm>), ServiceError> {
        self.ready()?;
        loop {
            let (vm, decision, holder) = self.decision(id, verb)?;
            let plan = match decision {
                Decision::Begin(plan) => plan,
                // An update of the definition is decided as `Now` and begun as an operation.
                Decision::Now => Plan::Redefine,
                Decision::Denied(denial) => return Err(Self::denied(&vm, verb, &denial, caller.rights)),
            };
            if let Some(holder) = holder {
                holder.end(EndReason::Preempted);
                holder.released().await;
                continue;
            }
            let mut operation = new_operation(caller, verb, id.to_string(), Intent::Plain);
            let taken = {
                let _promising = self.nodes.promising();
                prepare(&vm, plan, &mut operation)?;
                self.operations.take(operation)
            };
            let Ok(running) = taken else {
                continue;
            };
            // Between the decision and the taking the state may have moved.
            if self.get(id).map(|now| now.record.state) != Ok(vm.record.state) {
                self.operations.release(&running);
                continue;
            }
            self.commit_begin(caller, &running).await?;
            return Ok((Hold::new(running, Arc::clone(&self.operations)), plan, vm));
        }
    }

    /// Commit the operation and show it; let go of the VM where that fails.
    pub(super) async fn commit_begin(&self, caller: &Caller, running: &Arc<Running>) -> Result<(), ServiceError> {
        let core = Arc::clone(&self.core);
        let operation = running.operation();
        let (key, rights) = (caller.idempotency, caller.rights);
        let committed = blocking(move || {
            core.transact(|tx, picture, _| {
                // Decided before, and once more in the order of commits: a protection that was
                // acknowledged since then holds.
                if matches!(operation.intent, Intent::Delete(_))
                    && let Some(vm) = operation.resource_id.parse().ok().and_then(|id: VmId| picture.vms.get(&id))
                {
                    Self::ensure_unprotected(vm, rights)?;
                }
                tx.operation_put(&operation)?;
                if let Some(key) = key {
                    tx.idempotency_begin(&key.key, &key.body, operation.id)?;
                }
                Ok(())
            })
        })
        .await;
        match committed {
            Ok(()) => {
                self.operations.show(&running.operation());
                Ok(())
            }
            Err(error) => {
                self.operations.release(running);
                Err(error)
            }
        }
    }

    /// The end of an operation: look at the VM once more, commit record, event and result in one
    /// step, show it, let go.
    pub(super) async fn finish(
        core: &Arc<Core>,
        operations: &Arc<OperationService>,
        running: &Arc<Running>,
        id: VmId,
        result: Result<Outcome, ServiceError>,
        change: impl FnOnce(&mut Vm) + Send + 'static,
    ) -> Result<Arc<Vm>, ServiceError> {
        let operation = running.operation();
        let look = core.ask(move |hypervisor| hypervisor.look(id)).await;
        let finished = Arc::new(ended(&operation, &result));
        let keeper = Arc::clone(core);
        let last = Arc::clone(&finished);
        let event = match &result {
            Ok(outcome) => core.vm_event(id, outcome.kind, outcome.message.clone(), outcome.severity, &operation.user),
            Err(error) => core.vm_event(
                id,
                "vm.operation_failed",
                format!("{}: {error}", operation.verb.word()),
                Severity::Error,
                &operation.user,
            ),
        };
        let succeeded = result.is_ok();
        let committed = blocking(move || {
            keeper.transact(|tx, picture, edits| {
                tx.operation_put(&last)?;
                tx.event_append(&event)?;
                if let Some(vm) = picture.vms.get(&id) {
                    let mut vm = vm.edit();
                    vm.operation = None;
                    if let Ok(Some(listed)) = &look {
                        apply_listing(&mut vm, listed, picture);
                    }
                    if succeeded {
                        change(&mut vm);
                    }
                    tx.vm_put(&vm.record)?;
                    edits.put(vm);
                }
                Ok(())
            })
        })
        .await;
        // A commit that fails leaves the intent in the store, as a crash does, and it is taken up in
        // the same way once the store takes writes again.
        if let Err(error) = committed {
            tracing::error!(operation = %operation.id, %error, "the end of an operation could not be kept");
            operations.leave(running, "its end could not be kept");
            return Err(error);
        }
        operations.settle(running, Operation::clone(&finished));
        operations.announce(&finished);
        operations.release(running);
        result?;
        core.inventory.get(id).ok_or_else(|| ServiceError::no_vm(id))
    }

    /// After the operation has let go: what was noticed while it held the VM is looked at again.
    pub(super) fn afterwards(&self, id: VmId) {
        fold_in(&self.core, id);
    }

    /// Run a call into libvirt that may hang, and give it up when the operation is asked to end.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        running: &Arc<Running>,
        call: impl FnOnce(&dyn crate::hypervisor::Hypervisor) -> crate::hypervisor::Result<T> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let core = Arc::clone(&self.core);
        let mut asked = tokio::spawn(async move { core.ask(call).await });
        tokio::select! {
            answer = &mut asked => joined(answer),
            reason = running.ended() => {
                // A start that is stopped at once must not come up after the power-off.
                let _ = tokio::time::timeout(LEAVE_BEHIND, asked).await;
                Err(ended_by(&reason))
            }
        }
    }
}

fn joined<T>(answer: Result<crate::hypervisor::Result<T>, tokio::task::JoinError>) -> Result<T, ServiceError> {
    match answer {
        Ok(answer) => Ok(answer?),
        Err(error) => Err(ServiceError::Internal(format!("a call into libvirt panicked: {error}"))),
    }
}

/// The error of an operation that was asked to end.
pub(super) fn ended_by(reason: &EndReason) -> ServiceError {
    ServiceError::Cancelled(match reason {
        EndReason::Cancelled { by } => format!("cancelled by {by}"),
        EndReason::Preempted => "pre-empted by a forced stop".to_owned(),
    })
}

/// The final form of an operation.
pub(crate) fn ended<T>(operation: &Operation, result: &Result<T, ServiceError>) -> Operation {
    let mut last = operation.clone();
    last.finished_at = Some(Moment::now());
    last.deadline = None;
    last.cancel = crate::model::operation::Cancel::Impossible;
    match result {
        Ok(_) => {
            last.state = OperationState::Succeeded;
            last.progress_percent = 100;
            last.step.clear();
        }
        Err(error) => {
            last.state = match error {
                ServiceError::Cancelled(_) => OperationState::Cancelled,
                ServiceError::Invalid(_)
                | ServiceError::Several(_)
                | ServiceError::NotFound { .. }
                | ServiceError::AlreadyExists(_)
                | ServiceError::Precondition { .. }
                | ServiceError::Busy { .. }
                | ServiceError::Stale(_)
                | ServiceError::Exhausted(_)
                | ServiceError::Unauthenticated(_)
                | ServiceError::Denied(_)
                | ServiceError::Unavailable(_)
                | ServiceError::Unimplemented { .. }
                | ServiceError::DeadlineExceeded(_)
                | ServiceError::Internal(_) => OperationState::Failed,
            };
            error.kind().word().clone_into(&mut last.error_code);
            last.error_message = error.to_string();
        }
    }
    last
}

/// Whether the state still lets the guest answer.
pub(super) fn is_on(state: PowerState) -> bool {
    matches!(state, PowerState::Running | PowerState::Paused(_))
}
