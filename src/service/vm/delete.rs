//! Deletion: what goes is decided before the first effect and committed, so that an interrupted
//! deletion is finished and never half of one.

use std::sync::Arc;

use crate::hypervisor::{Hypervisor, Undefine};
use crate::model::access::{Privilege, Rights};
use crate::model::event::Severity;
use crate::model::id::VmId;
use crate::model::lifecycle::{Denial, Pending, Plan};
use crate::model::operation::{DeleteIntent, Intent, Verb};
use crate::model::vm::{Lifetime, Origin, PowerState};

use super::super::core::{Core, blocking};
use super::super::error::ServiceError;
use super::super::inventory::Vm;
use super::super::operations::{Hold, OperationService, Running, new_operation};
use super::super::requests::{Caller, DeleteVm};
use super::VmService;
use super::begin::ended;
use super::delete_plan::which_disks;

impl VmService {
    /// Delete a VM. With `delete_volumes` go the volumes that were made for it, are writable and
    /// used by no other VM; what stays is named in the event.
    ///
    /// # Errors
    /// `Precondition` where it is on and `force` was not sent, or where it is protected; to who may
    /// not clear that, `Denied`.
    pub async fn delete(&self, caller: &Caller, id: VmId, how: DeleteVm) -> Result<(), ServiceError> {
        if how.remove_from_inventory_only {
            return self.remove_from_inventory(caller, id).await;
        }
        let verb = if how.force { Verb::ForceDelete } else { Verb::Delete };
        let core = Arc::clone(&self.core);
        let disks = self.core.host(move || which_disks(&core, id, how)).await??;
        let (hold, plan, vm) = self
            .begin(caller, id, verb, move |_, _, operation| {
                operation.intent = Intent::Delete(DeleteIntent {
                    vm: id,
                    volumes: disks.going.iter().map(|(at, _)| at.clone()).collect(),
                    kept: disks.staying.iter().map(|item| (item.name.clone(), item.reason.clone())).collect(),
                    inventory_only: false,
                });
                Ok(())
            })
            .await?;
        let intent = match &hold.operation().intent {
            Intent::Delete(intent) => intent.clone(),
            Intent::Plain | Intent::Create(_) | Intent::Redefine | Intent::Update { .. } | Intent::Media { .. } => {
                return Err(ServiceError::Internal("a deletion lost its intent".to_owned()));
            }
        };
        self.operations.progress(&hold, gone_step(plan), 10);
        let core = Arc::clone(&self.core);
        let work = intent.clone();
        let done = self
            .core
            .host(move || remove(core.hypervisor.as_ref(), plan, &work))
            .await
            .map_err(ServiceError::from)
            .flatten();
        match done {
            Ok(left) => forget_deleted(&self.core, &self.operations, &hold, &vm, &intent, left).await,
            Err(error) => {
                // Nothing of ours is forgotten: the VM is shown as it now is.
                Self::finish(&self.core, &self.operations, &hold, id, Err(error), |_| {}).await?;
                Ok(())
            }
        }
    }

    /// May our record alone go. What is still defined is given to the host by that, the reverse of an
    /// adoption: it counts in nobody's quota any more, and nobody's protection holds it.
    pub(super) fn permit_forgetting(&self, rights: Rights, id: VmId) -> Result<Arc<Vm>, ServiceError> {
        let vm = self.get(id)?;
        Self::ensure_unprotected(&vm, rights)?;
        if !rights.has(Privilege::VmAdopt) && vm.record.state != PowerState::Lost {
            return Err(ServiceError::Denied(format!(
                "remove_from_inventory_only gives VM \"{}\" to the host; that needs the role admin",
                vm.record.name
            )));
        }
        self.permit(id, Verb::Update).or_else(|error| match self.get(id) {
            // Of a transient VM only our own facts go; that it allows.
            Ok(vm) if vm.lifetime == Lifetime::Transient && vm.operation.is_none() => Ok(vm),
            Ok(_) | Err(_) => Err(error),
        })
    }

    /// Our record goes, libvirt's VM stays and shows up as one of the host's.
    async fn remove_from_inventory(&self, caller: &Caller, id: VmId) -> Result<(), ServiceError> {
        self.ready()?;
        let vm = self.permit_forgetting(caller.rights, id)?;
        let intent = DeleteIntent { vm: id, volumes: Vec::new(), kept: Vec::new(), inventory_only: true };
        // Held, or the reconciler would write the metadata again that is taken away here.
        let operation = new_operation(caller, Verb::Delete, id.to_string(), Intent::Delete(intent.clone()));
        let running = self.operations.take(operation).map_err(|holder| {
            let holder = holder.operation();
            let pending = Pending { verb: holder.verb, operation_id: holder.id, since: holder.created_at };
            Self::denied(&vm, Verb::Delete, &Denial::Busy(pending), caller.rights)
        })?;
        self.commit_begin(caller, &running).await?;
        let hold = Hold::new(running, Arc::clone(&self.operations));
        let core = Arc::clone(&self.core);
        let work = intent.clone();
        let done = self.core.host(move || remove(core.hypervisor.as_ref(), Plan::Forget, &work)).await;
        match done.map_err(ServiceError::from).flatten() {
            Ok(left) => {
                forget_deleted(&self.core, &self.operations, &hold, &vm, &intent, left).await?;
                self.afterwards(id);
                Ok(())
            }
            Err(error) => Self::finish(&self.core, &self.operations, &hold, id, Err(error), |_| {}).await.map(drop),
        }
    }
}

fn gone_step(plan: Plan) -> &'static str {
    match plan {
        Plan::PowerOffThenUndefine => "powering off and removing",
        Plan::Forget => "forgetting",
        Plan::Undefine
        | Plan::Boot
        | Plan::Restore
        | Plan::ClearThenBoot
        | Plan::Resume
        | Plan::Wake
        | Plan::ShutDown
        | Plan::ResumeThenShutDown
        | Plan::PowerOff
        | Plan::DropSaved
        | Plan::ClearCrash
        | Plan::Reboot
        | Plan::Reset
        | Plan::Pause
        | Plan::Save
        | Plan::Redefine
        | Plan::ChangeMedia => "removing",
    }
}

/// Power a VM off and undefine it, and leave nothing of it that runs. A start may come in between: by
/// another's hand, or late, by a call into libvirt whose process was killed. The VM is then undefined
/// while it runs, and would run on without a definition.
pub(super) fn off_and_undefined(hypervisor: &dyn Hypervisor, id: VmId) -> crate::hypervisor::Result<()> {
    let absent_is_done = |result| match result {
        Err(crate::hypervisor::HypervisorError::NoSuchVm(_)) => Ok(()),
        other => other,
    };
    absent_is_done(hypervisor.power_off(id))?;
    hypervisor.undefine(id, Undefine::WithState)?;
    if hypervisor.look(id)?.is_some() { absent_is_done(hypervisor.power_off(id)) } else { Ok(()) }
}

/// Remove the VM from the host; volumes that could not be deleted come back with the reason. Safe
/// to run twice, and after a crash at any point of it.
pub(crate) fn remove(
    hypervisor: &dyn Hypervisor,
    plan: Plan,
    intent: &DeleteIntent,
) -> Result<Vec<(String, String)>, ServiceError> {
    if intent.inventory_only {
        // Our part of the definition goes; the rest of it is none of ours any more.
        if let Some(found) = hypervisor.describe(intent.vm)?
            && found.identity.is_some()
            && let Some(listed) = hypervisor.look(intent.vm)?
        {
            hypervisor.tag(intent.vm, None, listed.lifetime)?;
        }
        return Ok(Vec::new());
    }
    if plan == Plan::PowerOffThenUndefine {
        off_and_undefined(hypervisor, intent.vm)?;
    } else if plan != Plan::Forget {
        hypervisor.undefine(intent.vm, Undefine::WithState)?;
    }
    let mut left = Vec::new();
    for at in &intent.volumes {
        if let Err(error) = hypervisor.volume_delete(at) {
            if matches!(error, crate::hypervisor::HypervisorError::Unreachable(_)) {
                return Err(error.into());
            }
            left.push((format!("{}/{}", at.pool, at.volume), error.to_string()));
        }
    }
    Ok(left)
}

/// The record goes, the event says what stayed, the operation ends: one transaction.
pub(crate) async fn forget_deleted(
    core: &Arc<Core>,
    operations: &Arc<OperationService>,
    running: &Arc<Running>,
    vm: &Vm,
    intent: &DeleteIntent,
    left: Vec<(String, String)>,
) -> Result<(), ServiceError> {
    let id = intent.vm;
    let operation = running.operation();
    let last = Arc::new(ended(&operation, &Ok(())));
    let severity = if left.is_empty() { Severity::Info } else { Severity::Warning };
    let name = &vm.record.name;
    let (kind, mut message) = if intent.inventory_only {
        let message = format!("VM \"{name}\" was removed from the inventory; libvirt's VM was left alone");
        ("vm.removed_from_inventory", message)
    } else {
        ("vm.deleted", format!("VM \"{name}\" was deleted"))
    };
    if vm.record.origin == Origin::HostDiscovered && !intent.inventory_only {
        message.push_str("; it had been defined outside");
    }
    let mut event = core.vm_event(id, kind, message, severity, &operation.user);
    for at in &intent.volumes {
        let name = format!("{}/{}", at.pool, at.volume);
        if !left.iter().any(|(stayed, _)| *stayed == name) {
            event.metadata.insert(format!("deleted:{name}"), "volume".to_owned());
        }
    }
    for (name, why) in intent.kept.iter().chain(&left) {
        event.metadata.insert(format!("kept:{name}"), why.clone());
    }
    let keeper = Arc::clone(core);
    let kept = Arc::clone(&last);
    let committed = blocking(move || {
        keeper.transact(|tx, _, edits| {
            tx.operation_put(&kept)?;
            tx.event_append(&event)?;
            tx.vm_delete(id)?;
            edits.remove(id);
            Ok(())
        })
    })
    .await;
    operations.settle(running, crate::model::operation::Operation::clone(&last));
    operations.announce(&last);
    operations.release(running);
    committed
}
