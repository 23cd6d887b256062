//! What a crash interrupted. Every unfinished operation of an earlier run is finished or undone as
//! soon as libvirt answers, and stays visible with what became of it.

use std::sync::Arc;

use crate::model::event::Severity;
use crate::model::id::VmId;
use crate::model::lifecycle::{Plan, Progress, Seen, observe};
use crate::model::operation::{CreateIntent, DeleteIntent, Intent, Operation, Verb};
use crate::model::spec::VmSpec;
use crate::model::vm::{Lifetime, VmRecord};

use super::core::{Core, blocking};
use super::error::ServiceError;
use super::operations::{OperationService, Running};
use super::vm::Tray;
use super::vm::recovery::{change_medium, ended, forget_created, forget_deleted, remove_from_host, undo_create};

/// Finish or undo one interrupted operation.
///
/// # Errors
/// Where libvirt or the store failed: it stays unfinished, holds its VM, and is tried again soon.
pub async fn recover(
    core: &Arc<Core>,
    operations: &Arc<OperationService>,
    running: &Arc<Running>,
) -> Result<(), ServiceError> {
    let operation = running.operation();
    tracing::info!(operation = %operation.id, verb = operation.verb.word(), resource = %operation.resource_id, "recovering");
    match operation.intent.clone() {
        Intent::Create(intent) => create(core, operations, running, *intent).await,
        Intent::Delete(intent) => delete(core, operations, running, intent).await,
        Intent::Redefine => {
            let id = vm_id(&operation)?;
            let Some(vm) = core.inventory.get(id) else {
                return close(core, operations, running, None, Err(gone(&operation))).await;
            };
            let definition = vm.record.definition.clone();
            let done = core.ask(move |h| h.define(id, &definition)).await;
            close(core, operations, running, None, done.map_err(ServiceError::from)).await
        }
        Intent::Update { vm } => update(core, operations, running, *vm).await,
        Intent::Media { cdrom, path } => media(core, operations, running, &cdrom, &path).await,
        Intent::Plain if operation.verb == Verb::Drain => {
            close(core, operations, running, None, Err(interrupted(&operation, "the node"))).await
        }
        Intent::Plain => plain(core, operations, running).await,
    }
}

fn vm_id(operation: &Operation) -> Result<VmId, ServiceError> {
    operation.resource_id.parse().map_err(|_| ServiceError::Internal(format!("operation {} is of no VM", operation.id)))
}

fn interrupted(operation: &Operation, what: &str) -> ServiceError {
    ServiceError::Unavailable(format!(
        "{} of {what} was interrupted by a restart of the service; look at its state and ask again",
        operation.verb.word()
    ))
}

fn gone(operation: &Operation) -> ServiceError {
    ServiceError::NotFound { what: "VM", id: operation.resource_id.clone() }
}

async fn create(
    core: &Arc<Core>,
    operations: &Arc<OperationService>,
    running: &Arc<Running>,
    intent: CreateIntent,
) -> Result<(), ServiceError> {
    let keeper = Arc::clone(core);
    let undone = intent.clone();
    blocking(move || undo_create(keeper.hypervisor.as_ref(), undone.vm.id, &undone.volumes)).await?;
    let error = ServiceError::Unavailable(
        "the creation was interrupted by a restart of the service and undone; create the VM again".to_owned(),
    );
    forget_created(core, operations, running, &intent, &error).await
}

async fn delete(
    core: &Arc<Core>,
    operations: &Arc<OperationService>,
    running: &Arc<Running>,
    intent: DeleteIntent,
) -> Result<(), ServiceError> {
    let Some(vm) = core.inventory.get(intent.vm) else {
        return close(core, operations, running, None, Ok(())).await;
    };
    let keeper = Arc::clone(core);
    let work = intent.clone();
    let left =
        blocking(move || remove_from_host(keeper.hypervisor.as_ref(), Plan::PowerOffThenUndefine, &work)).await?;
    forget_deleted(core, operations, running, &vm, &intent, left).await
}

async fn update(
    core: &Arc<Core>,
    operations: &Arc<OperationService>,
    running: &Arc<Running>,
    next: VmRecord,
) -> Result<(), ServiceError> {
    let id = next.id;
    let definition = next.definition.clone();
    let done = core
        .ask(move |h| match h.look(id)? {
            Some(listed) if listed.lifetime == Lifetime::Persistent => h.define(id, &definition),
            Some(_) | None => Err(crate::hypervisor::HypervisorError::NoSuchVm(id)),
        })
        .await;
    match done {
        Ok(()) => close(core, operations, running, Some(next), Ok(())).await,
        Err(error @ crate::hypervisor::HypervisorError::Unreachable(_)) => Err(error.into()),
        Err(error) => close(core, operations, running, None, Err(error.into())).await,
    }
}

/// A change of a medium: what the drive holds now says whether it was done. Half done, with the guest's
/// drive changed and the definition not, it is finished.
async fn media(
    core: &Arc<Core>,
    operations: &Arc<OperationService>,
    running: &Arc<Running>,
    cdrom: &str,
    path: &str,
) -> Result<(), ServiceError> {
    let operation = running.operation();
    let id = vm_id(&operation)?;
    let Some(now) = core.ask(move |h| h.describe(id)).await? else {
        return close(core, operations, running, None, Err(gone(&operation))).await;
    };
    let holds = |spec: &VmSpec| spec.cdroms.iter().any(|drive| drive.id == cdrom && drive.medium() == path);
    let (in_definition, in_guest) = (holds(&now.spec), now.running_spec.as_ref().map(holds));
    let done = if in_definition && in_guest != Some(false) {
        true
    } else if in_definition || in_guest == Some(true) {
        let (drive, medium) = (cdrom.to_owned(), path.to_owned());
        core.ask(move |h| change_medium(h, id, &drive, &medium, Tray::Ask)).await?;
        true
    } else {
        false
    };
    let name = core.inventory.get(id).map_or_else(|| id.to_string(), |vm| format!("VM \"{}\"", vm.record.name));
    let result = if done { Ok(()) } else { Err(interrupted(&operation, &name)) };
    close(core, operations, running, None, result).await
}

/// A verb of power: what libvirt shows now says whether it was done.
async fn plain(
    core: &Arc<Core>,
    operations: &Arc<OperationService>,
    running: &Arc<Running>,
) -> Result<(), ServiceError> {
    let operation = running.operation();
    let id = vm_id(&operation)?;
    let plan = match operation.verb {
        Verb::Start | Verb::Resume => Plan::Boot,
        Verb::Stop | Verb::ForceStop => Plan::PowerOff,
        Verb::Pause => Plan::Pause,
        Verb::Suspend => Plan::Save,
        Verb::Reboot
        | Verb::Reset
        | Verb::Create
        | Verb::Update
        | Verb::Delete
        | Verb::ForceDelete
        | Verb::Adopt
        | Verb::Redefine
        | Verb::Drain
        | Verb::MountIso
        | Verb::EjectIso
        | Verb::Console
        | Verb::Screenshot
        | Verb::SendKeys => Plan::Reboot,
    };
    let seen = match core.ask(move |h| h.look(id)).await? {
        Some(listed) => Seen::State(listed.state),
        None => Seen::Gone,
    };
    let name =
        core.inventory.get(id).map_or_else(|| operation.resource_id.clone(), |vm| format!("VM \"{}\"", vm.record.name));
    let result = match observe(plan, seen) {
        Progress::Settled => Ok(()),
        Progress::Waiting | Progress::Missed => Err(interrupted(&operation, &name)),
    };
    close(core, operations, running, None, result).await
}

/// End an operation that was recovered.
async fn close(
    core: &Arc<Core>,
    operations: &Arc<OperationService>,
    running: &Arc<Running>,
    record: Option<VmRecord>,
    result: Result<(), ServiceError>,
) -> Result<(), ServiceError> {
    let operation = running.operation();
    let last = Arc::new(ended(&operation, &result));
    let id = operation.resource_id.parse::<VmId>().ok();
    let (word, severity) = match &result {
        Ok(()) => ("finished".to_owned(), Severity::Info),
        Err(error) => (format!("ended: {error}"), Severity::Warning),
    };
    let message = format!("{}, interrupted by a restart, was {word}", operation.verb.word());
    let event = id.map(|id| core.vm_event(id, "vm.recovered", message, severity, "system"));
    let keeper = Arc::clone(core);
    let kept = Arc::clone(&last);
    blocking(move || {
        keeper.transact(|tx, picture, edits| {
            tx.operation_put(&kept)?;
            if let Some(event) = &event {
                tx.event_append(event)?;
            }
            if let Some(vm) = id.and_then(|id| picture.vms.get(&id)) {
                let mut vm = vm.edit();
                vm.operation = None;
                if let Some(record) = record {
                    let definition = record.definition.clone();
                    vm.record = VmRecord { state: vm.record.state, definition: vm.record.definition.clone(), ..record };
                    vm.set_definition(definition);
                }
                tx.vm_put(&vm.record)?;
                edits.put(vm);
            }
            Ok(())
        })
    })
    .await?;
    operations.settle(running, Operation::clone(&last));
    operations.announce(&last);
    operations.release(running);
    Ok(())
}
