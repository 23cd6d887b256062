//! Creation: everything is decided and looked up first, the intent committed with the record, and
//! only then volumes made and the definition written. A failure at any step, or a crash, removes
//! what of it exists.

use std::sync::Arc;

use crate::hypervisor::Hypervisor;
use crate::model::definition::{NewVolume, VmIdentity};
use crate::model::event::Severity;
use crate::model::id::{NodeId, VmId};
use crate::model::lifecycle::Plan;
use crate::model::operation::{Cancel, CreateIntent, Intent, Verb};
use crate::model::vm::{Autostart, DescribedVm, PowerState, VmRecord};

use super::super::core::{Core, blocking};
use super::super::error::ServiceError;
use super::super::inventory::Vm;
use super::super::operations::{EndReason, Hold, Running, new_operation};
use super::super::requests::{Caller, CreateVm};
use super::VmService;
use super::begin::{Outcome, ended_by};
use super::delete::off_and_undefined;
use super::preflight::Check;
use super::quota::Use;

/// A VM that could be made.
#[derive(Debug)]
pub struct CreatePlan {
    pub vm: Vm,
    pub checks: Vec<Check>,
}

/// Whether the hypervisor's name that was chosen was still free when the intent was committed.
enum Name {
    Ours,
    TakenMeanwhile,
}

impl VmService {
    /// Make a VM: volumes, definition, and, where asked, its first start.
    ///
    /// # Errors
    /// `Invalid` with every broken rule, `AlreadyExists` for a name taken in the project,
    /// `Precondition`, `Exhausted`, `Unimplemented` for what this host does not offer. Nothing is
    /// left behind by a creation that failed.
    pub async fn create(&self, caller: &Caller, wanted: CreateVm) -> Result<Arc<Vm>, ServiceError> {
        let start_after = wanted.start_on_create;
        let (running, intent) = loop {
            let intent = self.intend(&wanted, caller).await?;
            let mut operation =
                new_operation(caller, Verb::Create, intent.vm.id.to_string(), Intent::Create(Box::new(intent.clone())));
            operation.cancel = Cancel::Possible;
            let running = {
                let _promising = self.nodes.promising();
                self.ensure_quota(caller, None, Use::default(), Use::of_new(&wanted.spec))?;
                if start_after {
                    self.nodes.admit(&wanted.spec)?;
                }
                self.operations
                    .take(operation)
                    .map_err(|_| ServiceError::Internal("a fresh id is held already".to_owned()))?
            };
            match self.commit_create(caller, &running, intent.vm.clone()).await? {
                Name::Ours => break (running, intent),
                // Of another project: the next look finds it and takes another.
                Name::TakenMeanwhile => {}
            }
        };
        let vm = intent.vm.clone();
        let id = vm.id;
        let hold = Hold::new(running, Arc::clone(&self.operations));

        let described = match self.make(&hold, &intent).await {
            Ok(described) => described,
            Err(error) => {
                self.operations.progress(&hold, "removing what was made", 0);
                return self.unmake(&hold, &intent, error).await;
            }
        };
        // What was asked to be made is made: a start that fails takes nothing of it away.
        let started = if start_after {
            self.operations.progress(&hold, "starting", 90);
            let known = self.get(id)?;
            Some(self.perform(&hold, Plan::Boot, &known, self.core.sightings()).await)
        } else {
            None
        };
        let outcome = match &started {
            None => Outcome::info("vm.created", format!("VM \"{}\" was created", vm.name)),
            Some(Ok(())) => Outcome::info("vm.created", format!("VM \"{}\" was created and started", vm.name)),
            Some(Err(error)) => Outcome {
                kind: "vm.created",
                message: format!("VM \"{}\" was created, and did not start: {error}", vm.name),
                severity: Severity::Error,
            },
        };
        let answer = Self::finish(&self.core, &self.operations, &hold, id, Ok(outcome), move |vm| {
            created(vm, described);
            if let Some(Err(error)) = started {
                vm.record.error_message = error.to_string();
            }
        })
        .await;
        self.afterwards(id);
        answer
    }

    /// What a creation would make, without making anything: what was looked at, and the VM as it
    /// would be. Its id, and what follows from it, is another one each time.
    ///
    /// # Errors
    /// What the creation itself would be refused for.
    pub async fn create_plan(&self, wanted: &CreateVm, caller: &Caller) -> Result<CreatePlan, ServiceError> {
        let look = self.preflight(wanted, caller).await?;
        let mut vm = Vm::of_record(look.record);
        vm.autostart = Autostart::from_flag(wanted.autostart);
        Ok(CreatePlan { vm, checks: look.checks })
    }

    /// Everything decided and looked up; of all effects only that pools are started.
    async fn intend(&self, wanted: &CreateVm, caller: &Caller) -> Result<CreateIntent, ServiceError> {
        let mut look = self.preflight(wanted, caller).await?;
        if !look.waiting.is_empty() {
            let (core, pools) = (Arc::clone(&self.core), look.waiting);
            self.core.host(move || ready_pools(core.hypervisor.as_ref(), &pools)).await??;
            look = self.preflight(wanted, caller).await?;
        }
        if !look.volumes.is_empty() {
            let (core, volumes) = (Arc::clone(&self.core), look.volumes.clone());
            self.core.host(move || ensure_new(core.hypervisor.as_ref(), &volumes)).await??;
        }
        Ok(CreateIntent {
            vm: look.record,
            volumes: look.volumes,
            autostart: wanted.autostart,
            start_after: wanted.start_on_create,
        })
    }

    /// The node that was asked for must be this host: no other runs VMs from here.
    pub(super) fn placed(&self, asked: Option<NodeId>) -> Result<NodeId, ServiceError> {
        let here = self.core.node_id;
        match asked {
            None => Ok(here),
            Some(node) if node == here => Ok(here),
            Some(node) => {
                self.nodes.get(node)?;
                Err(ServiceError::Unimplemented {
                    field: "node_id".to_owned(),
                    message: format!("VMs are created on this host alone ({here}); leave it out"),
                })
            }
        }
    }

    /// Intent, record and name in one transaction: two creations of one name cannot both begin.
    async fn commit_create(&self, caller: &Caller, running: &Arc<Running>, vm: VmRecord) -> Result<Name, ServiceError> {
        let core = Arc::clone(&self.core);
        let operation = running.operation();
        let shown = Arc::clone(&operation);
        let key = caller.idempotency;
        let committed = blocking(move || {
            core.transact(|tx, picture, edits| {
                if picture.vms.values().any(|other| other.record.hypervisor_name == vm.hypervisor_name) {
                    return Ok(Name::TakenMeanwhile);
                }
                tx.operation_put(&operation)?;
                tx.vm_create(&vm)?;
                if let Some(key) = key {
                    tx.idempotency_begin(&key.key, &key.body, operation.id)?;
                }
                let mut shown_vm = Vm::of_record(vm);
                shown_vm.operation = Some(shown);
                edits.put(shown_vm);
                Ok(Name::Ours)
            })
        })
        .await;
        match committed {
            Ok(Name::Ours) => {
                self.operations.announce(&running.operation());
                Ok(Name::Ours)
            }
            other @ (Ok(Name::TakenMeanwhile) | Err(_)) => {
                self.operations.release(running);
                other
            }
        }
    }

    /// Volumes, definition, autostart; what libvirt made of it comes back.
    async fn make(&self, running: &Arc<Running>, intent: &CreateIntent) -> Result<DescribedVm, ServiceError> {
        let steps = intent.volumes.len() + 1;
        for (done, volume) in intent.volumes.iter().enumerate() {
            self.stop_here(running)?;
            let percent = u8::try_from(done * 80 / steps).unwrap_or(0);
            self.operations.progress(running, &format!("creating volume {}", volume.at.volume), percent);
            let volume = volume.clone();
            self.call(running, move |h| h.volume_create(&volume)).await?;
        }
        self.stop_here(running)?;
        self.operations.progress(running, "defining", 80);
        let id = intent.vm.id;
        let definition = intent.vm.definition.clone();
        let autostart = Autostart::from_flag(intent.autostart);
        self.call(running, move |h| {
            h.define(id, &definition)?;
            if autostart.is_on() {
                h.set_autostart(id, autostart)?;
            }
            h.describe(id)?.ok_or(crate::hypervisor::HypervisorError::NoSuchVm(id))
        })
        .await
    }

    /// Between two steps a cancelled creation turns back.
    fn stop_here(&self, running: &Arc<Running>) -> Result<(), ServiceError> {
        match futures::FutureExt::now_or_never(running.ended()) {
            Some(reason @ (EndReason::Cancelled { .. } | EndReason::Preempted)) => Err(ended_by(&reason)),
            None => Ok(()),
        }
    }

    /// Remove what was made, forget the record, and answer with the reason.
    async fn unmake(
        &self,
        running: &Arc<Running>,
        intent: &CreateIntent,
        error: ServiceError,
    ) -> Result<Arc<Vm>, ServiceError> {
        let core = Arc::clone(&self.core);
        let wanted = intent.clone();
        let undone = self
            .core
            .host(move || undo(core.hypervisor.as_ref(), wanted.vm.id, &wanted.volumes))
            .await
            .map_err(ServiceError::from)
            .flatten();
        if let Err(why) = undone {
            tracing::error!(vm = %intent.vm.id, error = %why, "a failed creation is undone at the next connection");
            self.operations.leave(running, &format!("failed ({error})"));
            return Err(error);
        }
        forget_created(&self.core, &self.operations, running, intent, &error).await?;
        Err(error)
    }
}

/// Make and start pools that wait for it.
fn ready_pools(hypervisor: &dyn Hypervisor, pools: &[String]) -> Result<(), ServiceError> {
    for pool in pools {
        hypervisor.pool(pool)?;
    }
    Ok(())
}

/// A volume of the same name is somebody's: undoing the creation would delete it.
fn ensure_new(hypervisor: &dyn Hypervisor, volumes: &[NewVolume]) -> Result<(), ServiceError> {
    for NewVolume { at, .. } in volumes {
        if hypervisor.volume(at)?.is_some() {
            return Err(ServiceError::AlreadyExists(format!(
                "pool \"{}\" has a volume \"{}\" already",
                at.pool, at.volume
            )));
        }
    }
    Ok(())
}

/// Our facts about a VM, as they are mirrored into its definition.
#[must_use]
pub(crate) fn identity(record: &VmRecord) -> VmIdentity {
    VmIdentity {
        vm_id: record.id,
        node_id: record.node_id,
        project_id: record.project_id,
        name: record.name.clone(),
        description: record.description.clone(),
        labels: record.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        created_by: record.created_by.clone(),
        created_at_us: record.created_at.0,
        generation: record.generation,
        start_order: record.start_order,
        start_delay_sec: record.start_delay_sec,
        deletion_protection: record.deletion_protection,
        guest_os_family: record.guest_os.family,
        guest_os_variant: record.guest_os.variant.clone(),
        owned_volumes: record.owned_volumes.clone(),
    }
}

/// A VM that was just defined is what libvirt made of it.
fn created(vm: &mut Vm, described: DescribedVm) {
    vm.record.definition = described.persistent;
    vm.set_spec(described.spec);
    if vm.record.state == PowerState::Provisioning {
        vm.record.state = PowerState::Stopped;
    }
}

/// Undo a creation: safe to run twice, and after a crash at any point of it.
///
/// # Errors
/// The hypervisor's; run it again later.
pub(crate) fn undo(hypervisor: &dyn Hypervisor, id: VmId, volumes: &[NewVolume]) -> Result<(), ServiceError> {
    off_and_undefined(hypervisor, id)?;
    for volume in volumes {
        hypervisor.volume_delete(&volume.at)?;
    }
    Ok(())
}

/// The record of a creation that failed goes; its operation stays, with the reason.
pub(crate) async fn forget_created(
    core: &Arc<Core>,
    operations: &Arc<super::super::operations::OperationService>,
    running: &Arc<Running>,
    intent: &CreateIntent,
    error: &ServiceError,
) -> Result<(), ServiceError> {
    let id = intent.vm.id;
    let last = Arc::new(super::begin::ended::<()>(&running.operation(), &Err(error.clone())));
    let event = core.vm_event(
        id,
        "vm.create_failed",
        format!("VM \"{}\" was not created: {error}", intent.vm.name),
        crate::model::event::Severity::Error,
        &last.user,
    );
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
