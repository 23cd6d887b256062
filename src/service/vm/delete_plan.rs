//! What a deletion takes and what it leaves, with the reason: asked by the deletion itself before
//! its first effect, and by its `validate_only`, so that the two can't disagree.

use std::path::Path;

use crate::host::paths;
use crate::model::access::Rights;
use crate::model::definition::{PoolFacts, TpmState, VolumeFacts, VolumeRef};
use crate::model::id::VmId;
use crate::model::operation::Verb;

use super::super::core::Core;
use super::super::error::ServiceError;
use super::super::inventory::{Picture, Vm};
use super::super::requests::DeleteVm;
use super::VmService;

/// Kinds of things that a deletion is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemKind {
    Definition,
    Volume,
    File,
    Nvram,
    SavedMemory,
    Snapshots,
    TpmState,
}

impl ItemKind {
    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Definition => "definition",
            Self::Volume => "volume",
            Self::File => "file",
            Self::Nvram => "nvram",
            Self::SavedMemory => "saved_memory",
            Self::Snapshots => "snapshots",
            Self::TpmState => "tpm_state",
        }
    }
}

/// One thing that a deletion would remove or leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub kind: ItemKind,
    /// Name or path.
    pub name: String,
    /// Why it stays; empty for what goes.
    pub reason: String,
    /// On the host's disks; `None`: it takes room, and how much is not known.
    pub size_bytes: Option<u64>,
}

impl Item {
    fn goes(kind: ItemKind, name: impl Into<String>, size_bytes: Option<u64>) -> Self {
        Self { kind, name: name.into(), reason: String::new(), size_bytes }
    }

    fn stays(kind: ItemKind, name: impl Into<String>, size_bytes: Option<u64>, reason: impl Into<String>) -> Self {
        Self { kind, name: name.into(), reason: reason.into(), size_bytes }
    }
}

/// What would become of everything that a VM has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeletionPlan {
    pub gone: Vec<Item>,
    pub kept: Vec<Item>,
}

impl DeletionPlan {
    /// Bytes on the host's disks that would become free, as far as is known.
    #[must_use]
    pub fn reclaimed_bytes(&self) -> u64 {
        self.gone.iter().filter_map(|item| item.size_bytes).fold(0, u64::saturating_add)
    }
}

impl VmService {
    /// What [`delete`](Self::delete) would do to this VM, without doing it.
    ///
    /// # Errors
    /// As there: a deletion that would be refused has no plan.
    pub async fn delete_plan(&self, rights: Rights, id: VmId, how: DeleteVm) -> Result<DeletionPlan, ServiceError> {
        self.ready()?;
        let vm = if how.remove_from_inventory_only {
            self.permit_forgetting(rights, id)?
        } else {
            self.permit_to(rights, id, if how.force { Verb::ForceDelete } else { Verb::Delete })?
        };
        let core = std::sync::Arc::clone(&self.core);
        self.core.host(move || plan(&core, &vm, how)).await?
    }
}

fn plan(core: &Core, vm: &Vm, how: DeleteVm) -> Result<DeletionPlan, ServiceError> {
    let id = vm.record.id;
    let mut plan = DeletionPlan::default();
    if how.remove_from_inventory_only {
        let left = "only this server forgets the VM; libvirt's is left alone";
        plan.kept.push(Item::stays(ItemKind::Definition, vm.record.hypervisor_name.clone(), Some(0), left));
        let all = which_disks(core, id, DeleteVm { delete_volumes: false, ..how })?;
        plan.kept.extend(all.staying.into_iter().map(|item| Item { reason: left.to_owned(), ..item }));
        return Ok(plan);
    }
    plan.gone.push(Item::goes(ItemKind::Definition, vm.record.hypervisor_name.clone(), Some(0)));
    let disks = which_disks(core, id, how)?;
    plan.gone.extend(
        disks
            .going
            .into_iter()
            .map(|(at, facts)| Item::goes(ItemKind::Volume, named(&at), facts.map(|facts| facts.allocation_bytes))),
    );
    plan.kept.extend(disks.staying);
    let Some(belongings) = core.hypervisor.belongings(id)? else { return Ok(plan) };
    if let Some(path) = belongings.nvram {
        // Libvirt makes the file with the first start; one that may not be looked at is told.
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Ok(_) | Err(_) => {
                plan.gone.push(Item::goes(ItemKind::Nvram, path.clone(), allocated(&path)));
            }
        }
    }
    if belongings.has_saved_memory {
        let path = belongings.saved_memory_path;
        let size = path.as_deref().and_then(allocated);
        plan.gone.push(Item::goes(
            ItemKind::SavedMemory,
            path.unwrap_or_else(|| vm.record.hypervisor_name.clone()),
            size,
        ));
    }
    if !belongings.snapshots.is_empty() {
        // What libvirt knows of them goes; what they hold is counted with their volumes.
        plan.gone.push(Item::goes(ItemKind::Snapshots, belongings.snapshots.join(", "), Some(0)));
    }
    match belongings.tpm {
        TpmState::None => {}
        TpmState::Goes => plan.gone.push(Item::goes(ItemKind::TpmState, "state of the TPM", None)),
        TpmState::Stays => plan.kept.push(Item::stays(
            ItemKind::TpmState,
            "state of the TPM",
            None,
            "the VM's TPM is persistent: its state outlives the VM",
        )),
    }
    Ok(plan)
}

fn allocated(path: &str) -> Option<u64> {
    paths::allocated(Path::new(path))
}

fn named(at: &VolumeRef) -> String {
    format!("{}/{}", at.pool, at.volume)
}

/// What becomes of a VM's disks and media.
pub(super) struct Disks {
    /// With what is known of each; nothing where its pool is not started.
    pub going: Vec<(VolumeRef, Option<VolumeFacts>)>,
    pub staying: Vec<Item>,
}

/// Which of a VM's disks go with it and which stay. Nothing is changed, no pool started.
pub(super) fn which_disks(core: &Core, id: VmId, how: DeleteVm) -> Result<Disks, ServiceError> {
    let picture = core.inventory.picture();
    let vm = picture.vms.get(&id).ok_or_else(|| ServiceError::no_vm(id))?;
    let spec = core.inventory.spec(vm);
    let mut disks = Disks { going: Vec::new(), staying: Vec::new() };
    let mut owned = Vec::new();
    for at in &vm.record.owned_volumes {
        let Some(pool) = core.hypervisor.pool_look(&at.pool)? else { continue };
        let facts = if pool.active { core.hypervisor.volume(at)? } else { None };
        let path = match &facts {
            Some(facts) => facts.path.clone(),
            // Deleted elsewhere: nothing goes, nothing stays.
            None if pool.active || pool.id.is_nil() => continue,
            None => format!("{}/{}", pool.path.trim_end_matches('/'), at.volume),
        };
        let size = facts.as_ref().map(|facts| facts.allocation_bytes);
        if let Some(backing) = facts.as_ref().and_then(|facts| facts.backing_path.as_ref()) {
            let reason = format!("it is the image under {}, and was not made for this VM", named(at));
            disks.staying.push(Item::stays(ItemKind::File, backing, size_of(core, backing)?, reason));
        }
        match why_it_stays(core, &picture, vm, (at, &path), &pool, how)? {
            Some(reason) => disks.staying.push(Item::stays(ItemKind::Volume, named(at), size, reason)),
            None => disks.going.push((at.clone(), facts)),
        }
        owned.push(path);
    }
    for disk in spec.disks.iter().filter(|disk| !disk.path.is_empty() && !owned.contains(&disk.path)) {
        let reason = "it was not made for this VM";
        disks.staying.push(Item::stays(ItemKind::File, &disk.path, size_of(core, &disk.path)?, reason));
    }
    let direct = spec.boot.direct.iter().flat_map(|direct| [&direct.kernel_path, &direct.initrd_path]);
    for (path, reason) in spec
        .cdroms
        .iter()
        .map(|cdrom| (&cdrom.iso_path, "it is a medium, and other VMs may be installed from it"))
        .chain(direct.map(|path| (path, "it is a kernel's file, and was not made for this VM")))
        .filter(|(path, _)| !path.is_empty())
    {
        disks.staying.push(Item::stays(ItemKind::File, path, size_of(core, path)?, reason));
    }
    Ok(disks)
}

/// By libvirt's word, else by the file system's.
fn size_of(core: &Core, path: &str) -> Result<Option<u64>, ServiceError> {
    let facts = core.hypervisor.volume_by_path(path)?;
    Ok(facts.map_or_else(|| allocated(path), |facts| Some(facts.allocation_bytes)))
}

fn why_it_stays(
    core: &Core,
    picture: &Picture,
    vm: &Vm,
    (at, path): (&VolumeRef, &str),
    pool: &PoolFacts,
    how: DeleteVm,
) -> Result<Option<String>, ServiceError> {
    if !how.delete_volumes {
        return Ok(Some("deleting volumes was not asked for".to_owned()));
    }
    if core.inventory.spec(vm).disks.iter().any(|disk| disk.path == path && disk.readonly) {
        return Ok(Some("it is attached read-only".to_owned()));
    }
    let uses = |other: &Vm| core.inventory.spec(other).disks.iter().any(|disk| disk.path == path);
    let user = picture.vms.values().find(|other| other.record.id != vm.record.id && uses(other));
    if let Some(other) = user {
        return Ok(Some(format!("VM \"{}\" uses it too", other.record.name)));
    }
    if !pool.active {
        return Ok(Some(format!(
            "pool \"{}\" is not started, so that it can't be told what lies over it; start the pool first",
            at.pool
        )));
    }
    let based =
        core.hypervisor.volumes(&at.pool)?.into_iter().find(|other| other.backing_path.as_deref() == Some(path));
    Ok(based.map(|other| format!("volume {} is an overlay of it", other.at.volume)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_known_or_said_not_to_be() {
        let home = tempfile::tempdir().expect("a directory");
        let saved = home.path().join("web-1.save");
        let path = saved.to_str().expect("text");
        assert_eq!(allocated(path), None, "nothing is there to look at");
        std::fs::write(&saved, vec![7; 1 << 16]).expect("a file");
        let known = allocated(path).expect("it is there");
        assert!(known >= 1 << 16, "{known}");
        let gone = vec![
            Item::goes(ItemKind::Definition, "web-1", Some(0)),
            Item::goes(ItemKind::SavedMemory, path, Some(known)),
            Item::goes(ItemKind::TpmState, "state of the TPM", None),
        ];
        assert_eq!(
            DeletionPlan { gone, kept: Vec::new() }.reclaimed_bytes(),
            known,
            "what is not known counts nothing"
        );
    }
}
