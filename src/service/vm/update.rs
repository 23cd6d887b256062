//! Updates. Name, description and labels are ours: one commit, and the definition's metadata
//! follows. The specification is libvirt's persistent definition: edited in place, written, applied
//! to the running VM as far as it can be; the rest shows in `pending_changes`.

use std::sync::Arc;

use crate::model::access::{Privilege, Rights};
use crate::model::definition::DefinitionText;
use crate::model::event::Severity;
use crate::model::id::VmId;
use crate::model::lifecycle::{Denial, Pending};
use crate::model::operation::{Intent, Verb};
use crate::model::spec::VmSpec;
use crate::model::validate;
use crate::model::vm::{Autostart, DeletionProtection, Lifetime, Moment, PowerState, VmRecord};

use super::super::core::{Core, blocking};
use super::super::error::ServiceError;
use super::super::host_paths::Naming;
use super::super::idempotency::begun;
use super::super::inventory::Vm;
use super::super::requests::{Caller, SpecPart, UpdateVm};
use super::begin::{Outcome, is_on};
use super::create::identity;
use super::quota::Use;
use super::resolve::hypervisor_name;
use super::{VmService, same_name};

impl VmService {
    /// Change a VM.
    ///
    /// # Errors
    /// `Invalid` with every broken rule, `Stale` where `resource_version` is not the present one,
    /// `AlreadyExists` for a name taken in the project, `Precondition`, `Busy`, `Denied` for a file or
    /// a protection that is not the caller's to name, `Exhausted` past the caller's quota.
    pub async fn update(&self, caller: &Caller, id: VmId, wanted: UpdateVm) -> Result<Arc<Vm>, ServiceError> {
        self.ready()?;
        let vm = self.permit(id, Verb::Update)?;
        // Naming it is enough: what it is may change before this is committed.
        if wanted.deletion_protection.is_some() && !caller.rights.has(Privilege::VmProtect) {
            return Err(not_protecting());
        }
        fresh(&vm, wanted.resource_version.as_deref())?;
        let spec = wanted.spec.as_ref().map(|(new, parts)| merged(&self.core.inventory.spec(&vm), new, parts));
        let mut violations = Vec::new();
        if let Some(name) = &wanted.name
            && *name != vm.record.name
        {
            violations.extend(validate::name(name, "name"));
        }
        if let Some(description) = &wanted.description {
            violations.extend(validate::description(description));
        }
        if let Some(labels) = &wanted.labels {
            violations.extend(validate::labels(labels));
        }
        if let Some(seconds) = wanted.start_delay_sec.flatten() {
            violations.extend(validate::start_delay(seconds));
        }
        if let Some(spec) = &spec {
            violations.extend(validate::spec_change(&self.core.inventory.spec(&vm), spec, "spec"));
        }
        if !violations.is_empty() {
            return Err(ServiceError::Invalid(violations));
        }
        if spec.as_ref().is_some_and(|spec| *spec != *self.core.inventory.spec(&vm))
            && vm.record.state == PowerState::Lost
        {
            return Err(ServiceError::Precondition {
                reason: "NOT_ON_HOST",
                subject: id.to_string(),
                message: format!(
                    "VM \"{}\" is LOST: the host has no definition of it that could be changed; redefine it first \
                     (its name, description and labels can be changed)",
                    vm.record.name
                ),
            });
        }
        if let Some(name) = &wanted.name
            && let Some(other) = same_name(&self.core.inventory.picture(), vm.record.project_id, name, Some(id))
        {
            return Err(ServiceError::AlreadyExists(format!("the project has a VM named \"{name}\" already: {other}")));
        }
        let autostart = wanted.autostart.map(Autostart::from_flag).filter(|autostart| *autostart != vm.autostart);
        if autostart.is_some() && vm.record.state == PowerState::Lost {
            return Err(ServiceError::Precondition {
                reason: "NOT_ON_HOST",
                subject: id.to_string(),
                message: format!("VM \"{}\" is LOST and starts with no host; redefine it first", vm.record.name),
            });
        }
        if let Some(autostart) = autostart {
            self.core.ask(move |h| h.set_autostart(id, autostart)).await?;
        }
        match spec {
            Some(spec) if spec != *self.core.inventory.spec(&vm) => self.update_spec(caller, id, wanted, spec).await,
            Some(_) | None => self.update_facts(caller, id, wanted, autostart).await,
        }
    }

    /// Name, description, labels, start order: one commit; the metadata follows by itself.
    async fn update_facts(
        &self,
        caller: &Caller,
        id: VmId,
        wanted: UpdateVm,
        autostart: Option<Autostart>,
    ) -> Result<Arc<Vm>, ServiceError> {
        let core = Arc::clone(&self.core);
        let user = caller.user.clone();
        let key = caller.idempotency;
        let operations = Arc::clone(&self.operations);
        let changed = blocking(move || {
            core.transact(|tx, picture, edits| {
                // A deletion that has begun is not held up by a protection that comes after it.
                if wanted.deletion_protection.is_some()
                    && let Some(vm) = picture.vms.get(&id)
                    && let Some(holder) = operations.holder(&id.to_string()).map(|holder| holder.operation())
                    && matches!(holder.verb, Verb::Delete | Verb::ForceDelete)
                {
                    let pending = Pending { verb: holder.verb, operation_id: holder.id, since: holder.created_at };
                    return Err(Self::denied(vm, Verb::Update, &Denial::Busy(pending), Rights::WHOLE));
                }
                let mut vm = picture.vms.get(&id).ok_or_else(|| ServiceError::no_vm(id))?.edit();
                fresh(&vm, wanted.resource_version.as_deref())?;
                let before = vm.record.clone();
                apply_facts(&mut vm.record, &wanted);
                let is_changed = vm.record != before;
                if !is_changed && autostart.is_none() {
                    return Ok(false);
                }
                // libvirt keeps autostart: it is no part of what the definition's metadata mirrors.
                vm.record.generation += u64::from(is_changed);
                vm.autostart = autostart.unwrap_or(vm.autostart);
                vm.record.updated_at = Moment::now();
                tx.vm_put(&vm.record)?;
                let event = core.vm_event(id, "vm.updated", told(&before, &vm.record), Severity::Info, &user);
                tx.event_append(&event)?;
                begun(tx, key)?;
                edits.put(vm);
                Ok(is_changed)
            })
        })
        .await?;
        if changed {
            follow(&self.core, id);
        }
        self.get(id)
    }

    /// A new persistent definition.
    async fn update_spec(
        &self,
        caller: &Caller,
        id: VmId,
        wanted: UpdateVm,
        spec: VmSpec,
    ) -> Result<Arc<Vm>, ServiceError> {
        let (next, definition) = {
            let core = Arc::clone(&self.core);
            let wanted = wanted.clone();
            let spec = spec.clone();
            let rights = caller.rights;
            self.core.host(move || edited(&core, id, &wanted, &spec, rights)).await??
        };
        let (intended, wanted_spec) = (next.clone(), spec.clone());
        let (hold, _, vm) = self
            .begin(caller, id, Verb::Update, move |vm, _, operation| {
                fresh(vm, wanted.resource_version.as_deref())?;
                self.ensure_quota(caller, Some(id), Use::of(&self.core.inventory.spec(vm)), Use::of(&wanted_spec))?;
                operation.intent = Intent::Update { vm: Box::new(intended.clone()) };
                Ok(())
            })
            .await?;
        let live = is_on(vm.record.state);
        let done = self
            .call(&hold, move |h| {
                h.define(id, &definition)?;
                if live {
                    // What cannot be applied live shows as a pending change.
                    if let Err(error) = h.apply_live(id, &spec) {
                        tracing::info!(vm = %id, %error, "not applied to the running VM");
                    }
                }
                h.describe(id)
            })
            .await;
        let (result, described) = match done {
            Ok(described) => (
                Ok(Outcome::info("vm.updated", format!("the definition of VM \"{}\" was changed", next.name))),
                described,
            ),
            Err(error) => (Err(error), None),
        };
        let answer = Self::finish(&self.core, &self.operations, &hold, id, result, move |vm| {
            let seen = vm.record.clone();
            vm.record = VmRecord {
                state: seen.state,
                state_changed_at: seen.state_changed_at,
                last_seen_at: seen.last_seen_at,
                ..next
            };
            if let Some(described) = described {
                vm.set_described(described);
            }
        })
        .await;
        self.afterwards(id);
        answer
    }
}

/// The record and the definition that the update asks for.
fn edited(
    core: &Core,
    id: VmId,
    wanted: &UpdateVm,
    spec: &VmSpec,
    rights: Rights,
) -> Result<(VmRecord, DefinitionText), ServiceError> {
    let picture = core.inventory.picture();
    let vm = picture.vms.get(&id).ok_or_else(|| ServiceError::no_vm(id))?;
    let denied = Naming::of(core, rights).findings(spec, Some(&core.inventory.spec(vm)))?;
    if !denied.is_empty() {
        return Err(ServiceError::several(denied));
    }
    let mut next = vm.record.clone();
    apply_facts(&mut next, wanted);
    next.generation += 1;
    next.updated_at = Moment::now();
    next.guest_os.clone_from(&spec.guest_os);
    for (index, disk) in spec.disks.iter().enumerate() {
        if disk.path.is_empty() {
            return Err(ServiceError::Unimplemented {
                field: format!("spec.disks[{index}]"),
                message: "an update takes existing files only; give path and format of one".to_owned(),
            });
        }
    }
    let tag = vm.record.origin.is_managed().then(|| identity(&next));
    // What libvirt has now, not what we saw last: an edit of virsh must survive ours.
    let current = match core.hypervisor.describe(id)? {
        Some(described) => described.persistent,
        None => vm.record.definition.clone(),
    };
    let definition = core.hypervisor.edit(&current, spec, tag.as_ref())?;
    next.definition = definition.clone();
    Ok((next, definition))
}

fn apply_facts(record: &mut VmRecord, wanted: &UpdateVm) {
    if let Some(name) = &wanted.name {
        record.name.clone_from(name);
    }
    if let Some(description) = &wanted.description {
        record.description.clone_from(description);
    }
    if let Some(labels) = &wanted.labels {
        record.labels.clone_from(labels);
    }
    if let Some(order) = wanted.start_order {
        record.start_order = order;
    }
    if let Some(delay) = wanted.start_delay_sec {
        record.start_delay_sec = delay;
    }
    if let Some(protection) = wanted.deletion_protection {
        record.deletion_protection = protection;
    }
}

/// What an update did to our facts.
fn told(before: &VmRecord, now: &VmRecord) -> String {
    let name = &now.name;
    match (before.deletion_protection, now.deletion_protection) {
        (DeletionProtection::Off, DeletionProtection::On) => format!("VM \"{name}\" is protected against deletion"),
        (DeletionProtection::On, DeletionProtection::Off) => {
            format!("VM \"{name}\" is no longer protected against deletion")
        }
        (DeletionProtection::On, DeletionProtection::On) | (DeletionProtection::Off, DeletionProtection::Off) => {
            format!("VM \"{name}\" was changed")
        }
    }
}

/// The refusal of who sets or clears the protection and may not.
pub(super) fn not_protecting() -> ServiceError {
    ServiceError::Denied("deletion_protection: only the role admin may set or clear it".to_owned())
}

/// `resource_version`, where sent, must be the present one.
fn fresh(vm: &Vm, sent: Option<&str>) -> Result<(), ServiceError> {
    match sent {
        Some(sent) if sent != vm.resource_version() => Err(ServiceError::Stale(format!(
            "resource_version: VM \"{}\" is at {} and \"{}\" was sent; read it again and repeat the change",
            vm.record.name,
            vm.resource_version(),
            crate::model::id::clip(sent, 40)
        ))),
        Some(_) | None => Ok(()),
    }
}

/// The parts that the mask names, of the new; the rest, of the old.
fn merged(old: &VmSpec, new: &VmSpec, parts: &[SpecPart]) -> VmSpec {
    let mut spec = old.clone();
    for part in parts {
        match part {
            SpecPart::Whole => spec = VmSpec { machine: old.machine.clone(), ..new.clone() },
            SpecPart::Cpu => spec.cpu = new.cpu.clone(),
            SpecPart::CpuCores => spec.cpu.cores = new.cpu.cores,
            SpecPart::Memory => spec.memory = new.memory.clone(),
            SpecPart::MemorySize => spec.memory.size = new.memory.size,
            SpecPart::Disks => spec.disks.clone_from(&new.disks),
            SpecPart::Cdroms => spec.cdroms.clone_from(&new.cdroms),
            SpecPart::Nics => spec.nics.clone_from(&new.nics),
            SpecPart::Tpm => spec.tpm.clone_from(&new.tpm),
            SpecPart::Watchdog => spec.watchdog.clone_from(&new.watchdog),
            SpecPart::Rng => spec.rng.clone_from(&new.rng),
            SpecPart::Serial => spec.serial_ports = new.serial_ports,
            SpecPart::Firmware => spec.firmware = new.firmware,
            SpecPart::Boot => spec.boot = new.boot.clone(),
            SpecPart::Display => spec.display = new.display.clone(),
            SpecPart::Agent => spec.agent = new.agent,
            SpecPart::GuestOs => spec.guest_os = new.guest_os.clone(),
        }
    }
    // A maximum that the request does not speak of follows what it must hold.
    if spec.cpu.max_cores != 0 && spec.cpu.max_cores < spec.cpu.cores {
        spec.cpu.max_cores = spec.cpu.cores;
    }
    if spec.memory.max.0 != 0 && spec.memory.max < spec.memory.size {
        spec.memory.max = spec.memory.size;
    }
    spec
}

/// Let the definition's metadata, and its name where the VM is off, follow our record. Done in the
/// background: the commit was the promise; reconciliation repeats it where this fails.
pub(crate) fn follow(core: &Arc<Core>, id: VmId) {
    let core = Arc::clone(core);
    tokio::spawn(async move {
        let keeper = Arc::clone(&core);
        if let Err(error) = blocking(move || follow_now(&keeper, id)).await {
            tracing::warn!(vm = %id, %error, "the definition's metadata does not follow yet");
        }
    });
}

/// As [`follow`], at once. Blocks.
pub(crate) fn follow_now(core: &Core, id: VmId) -> Result<(), ServiceError> {
    let vm = loop {
        let Some(vm) = core.inventory.get(id) else {
            return Ok(());
        };
        if !vm.record.origin.is_managed() || vm.lifetime == Lifetime::Transient || vm.record.state == PowerState::Lost {
            return Ok(());
        }
        core.hypervisor.tag(id, Some(&identity(&vm.record)), vm.lifetime)?;
        // A change that came meanwhile may have been written before this older one.
        if core.inventory.get(id).is_none_or(|now| now.record.generation == vm.record.generation) {
            break vm;
        }
    };
    let name = hypervisor_name(&core.inventory.picture(), id, &vm.record.name);
    if name != vm.record.hypervisor_name
        && !vm.record.state.holds_resources()
        && vm.record.state != PowerState::Suspended
    {
        core.hypervisor.rename(id, &name)?;
        core.transact(|tx, picture, edits| {
            if let Some(vm) = picture.vms.get(&id) {
                let mut vm = vm.edit();
                vm.record.hypervisor_name = name;
                tx.vm_put(&vm.record)?;
                edits.put(vm);
            }
            Ok(())
        })?;
    }
    Ok(())
}
