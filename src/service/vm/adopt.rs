//! A VM of another libvirt client becomes ours; a VM of ours that was undefined outside comes back.

use std::sync::Arc;

use crate::model::event::Severity;
use crate::model::id::{DEFAULT_PROJECT, ProjectId, VmId};
use crate::model::operation::{Intent, Verb};
use crate::model::vm::{Moment, Origin};

use super::super::core::blocking;
use super::super::error::ServiceError;
use super::super::host_paths::Naming;
use super::super::idempotency::begun;
use super::super::inventory::Vm;
use super::super::requests::Caller;
use super::begin::Outcome;
use super::create::identity;
use super::quota::Use;
use super::{VmService, same_name};

impl VmService {
    /// Write our metadata into a VM that was found on the host, under this project.
    ///
    /// # Errors
    /// `Precondition` where it is managed already or transient; `AlreadyExists` where the project
    /// has a VM of its name.
    pub async fn adopt(&self, caller: &Caller, id: VmId, project: Option<ProjectId>) -> Result<Arc<Vm>, ServiceError> {
        self.ready()?;
        let vm = self.permit(id, Verb::Adopt)?;
        let project = project.unwrap_or(DEFAULT_PROJECT);
        if let Some(other) = same_name(&self.core.inventory.picture(), project, &vm.record.name, Some(id)) {
            return Err(ServiceError::AlreadyExists(format!(
                "the project has a VM named \"{}\" already: {other}; rename one of them first",
                vm.record.name
            )));
        }
        let mut record = vm.record.clone();
        record.origin = Origin::Imported;
        record.project_id = project;
        record.node_id = self.core.node_id;
        record.generation += 1;
        record.updated_at = Moment::now();
        let tag = identity(&record);
        let lifetime = vm.lifetime;
        self.core.ask(move |h| h.tag(id, Some(&tag), lifetime)).await?;
        let event = self.core.vm_event(
            id,
            "vm.adopted",
            format!("VM \"{}\" is managed here from now on", record.name),
            Severity::Info,
            &caller.user,
        );
        let core = Arc::clone(&self.core);
        let key = caller.idempotency;
        blocking(move || {
            core.transact(|tx, picture, edits| {
                begun(tx, key)?;
                let mut vm = picture.vms.get(&id).ok_or_else(|| ServiceError::no_vm(id))?.edit();
                vm.record.origin = record.origin;
                vm.record.project_id = record.project_id;
                vm.record.generation = record.generation;
                vm.record.updated_at = record.updated_at;
                tx.vm_put(&vm.record)?;
                tx.event_append(&event)?;
                edits.put(vm);
                Ok(())
            })
        })
        .await?;
        self.get(id)
    }

    /// Define a lost VM again from its last known definition.
    ///
    /// # Errors
    /// `Precondition` where it is still defined; `Denied` where its files are not the caller's to
    /// name; libvirt's refusal where it no longer takes the definition.
    pub async fn redefine(&self, caller: &Caller, id: VmId) -> Result<Arc<Vm>, ServiceError> {
        self.ready()?;
        let lost = self.permit(id, Verb::Redefine)?;
        let (core, rights) = (Arc::clone(&self.core), caller.rights);
        let denied = move || Naming::of(&core, rights).findings(&core.inventory.spec(&lost), None);
        let denied = self.core.host(denied).await??;
        if !denied.is_empty() {
            return Err(ServiceError::several(denied));
        }
        let (hold, _, vm) = self
            .begin(caller, id, Verb::Redefine, |vm, _, operation| {
                if vm.record.definition.0.is_empty() {
                    return Err(ServiceError::Precondition {
                        reason: "NO_DEFINITION",
                        subject: id.to_string(),
                        message: format!(
                            "no definition of VM \"{}\" was ever seen; it can only be deleted",
                            vm.record.name
                        ),
                    });
                }
                let again = Use::of_known(&vm.record, &self.core.inventory.spec(vm));
                self.ensure_quota(caller, Some(id), Use::default(), again)?;
                operation.intent = Intent::Redefine;
                Ok(())
            })
            .await?;
        let definition = vm.record.definition.clone();
        let done = self
            .call(&hold, move |h| h.define(id, &definition))
            .await
            .map(|()| Outcome::info("vm.redefined", format!("VM \"{}\" was defined again", vm.record.name)));
        let answer = Self::finish(&self.core, &self.operations, &hold, id, done, |vm| {
            vm.record.lost_reason.clear();
        })
        .await;
        self.afterwards(id);
        answer
    }
}
