//! What a new VM can be made of on this host, for whoever fills in a form: asked of libvirt when it
//! is asked for, since other programs change it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::hypervisor::{Accelerator, NetworkInfo};
use crate::model::definition::{PoolFacts, VolumeFacts, VolumeKind};
use crate::model::spec::DiskFormat;

use super::super::core::Core;
use super::super::error::ServiceError;
use super::super::os_profiles::{self, OsProfile};
use super::VmService;

/// vCPUs of a VM at most, whatever the machine has.
const CORES_MAX: u32 = 256;
/// What emulation can have: only KVM gives longer APIC ids.
const CORES_MAX_EMULATED: u32 = 255;
/// A plain image is made of sectors and is no smaller than this; pools of directories show every
/// file in them.
const SECTOR: u64 = 512;
const SMALLEST_RAW: u64 = 1 << 20;

/// What a new VM can be made of.
#[derive(Debug, Clone)]
pub struct CreateOptions {
    pub pools: Vec<PoolFacts>,
    pub networks: Vec<NetworkInfo>,
    /// Those that are not libvirt's.
    pub bridges: Vec<String>,
    pub media: Vec<Medium>,
    pub kvm: bool,
    pub uefi: bool,
    pub secure_boot: bool,
    pub tpm: bool,
    pub cpu_models: Vec<String>,
    pub max_cores: u32,
    pub memory_free_bytes: u64,
    pub host_threads: u32,
    pub os_profiles: &'static [OsProfile],
}

/// A file that a VM can start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    pub path: String,
    pub pool: String,
    pub kind: MediumKind,
    /// `None`: the pool does not say.
    pub format: Option<DiskFormat>,
    pub capacity_bytes: u64,
    pub allocated_bytes: u64,
    /// VM that has it as a disk; empty: none.
    pub used_by: String,
}

/// What a medium is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediumKind {
    Disk,
    Iso,
}

impl VmService {
    /// What this host has for a new VM.
    ///
    /// # Errors
    /// `Unavailable` while libvirt is.
    pub async fn create_options(&self) -> Result<CreateOptions, ServiceError> {
        let room = self.nodes.room()?;
        let (core, bridges) = (Arc::clone(&self.core), self.nodes.bridges());
        let (memory, threads) = (room.memory_free_bytes, room.threads);
        self.core.host(move || ask(&core, bridges, memory, threads)).await?
    }
}

fn ask(
    core: &Core,
    bridges: Vec<String>,
    memory_free_bytes: u64,
    host_threads: u32,
) -> Result<CreateOptions, ServiceError> {
    let hypervisor = core.hypervisor.as_ref();
    let offer = hypervisor.offer()?;
    let mut pools = hypervisor.pools()?;
    pools.sort_by(|left, right| left.name.cmp(&right.name));
    let mut networks = hypervisor.networks()?;
    networks.sort_by(|left, right| left.name.cmp(&right.name));
    let of_libvirt: HashSet<&str> = networks.iter().filter_map(|network| network.bridge.as_deref()).collect();
    let bridges = bridges.into_iter().filter(|bridge| !of_libvirt.contains(bridge.as_str())).collect();
    let mut volumes = Vec::new();
    for pool in pools.iter().filter(|pool| pool.active) {
        match hypervisor.volumes(&pool.name) {
            Ok(found) => volumes.extend(found),
            // One pool's trouble is no reason to show nothing.
            Err(error) => tracing::warn!(pool = %pool.name, %error, "the volumes of a pool cannot be listed"),
        }
    }
    let kvm = offer.accelerator == Some(Accelerator::Kvm);
    let machine = if offer.max_vcpus == 0 { CORES_MAX } else { offer.max_vcpus };
    let bound = if kvm || !offer.runs_guests() { CORES_MAX } else { CORES_MAX_EMULATED };
    Ok(CreateOptions {
        media: media(volumes, &users(core)),
        pools,
        networks,
        bridges,
        kvm,
        uefi: offer.uefi,
        secure_boot: offer.uefi && offer.secure_boot,
        tpm: offer.tpm_emulator,
        cpu_models: offer.cpu_models.clone(),
        max_cores: machine.min(bound),
        memory_free_bytes,
        host_threads,
        os_profiles: os_profiles::all(),
    })
}

/// VMs' names by the paths of their disks.
fn users(core: &Core) -> HashMap<String, String> {
    let mut users = HashMap::new();
    for vm in core.inventory.picture().vms.values() {
        for disk in core.inventory.spec(vm).disks.iter().filter(|disk| !disk.path.is_empty()) {
            users.insert(disk.path.clone(), vm.record.name.clone());
        }
    }
    users
}

/// The volumes that a VM can start from, by path.
fn media(volumes: Vec<VolumeFacts>, users: &HashMap<String, String>) -> Vec<Medium> {
    let mut found: Vec<Medium> = volumes
        .into_iter()
        .filter_map(|volume| {
            let kind = match volume.kind {
                VolumeKind::Iso => MediumKind::Iso,
                VolumeKind::Disk if is_image(&volume) => MediumKind::Disk,
                VolumeKind::Disk | VolumeKind::Other => return None,
            };
            Some(Medium {
                used_by: users.get(&volume.path).cloned().unwrap_or_default(),
                pool: volume.at.pool,
                path: volume.path,
                kind,
                format: volume.format,
                capacity_bytes: volume.capacity_bytes,
                allocated_bytes: volume.allocation_bytes,
            })
        })
        .filter(|medium| !medium.path.is_empty())
        .collect();
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

/// A kernel or a text beside the images is none.
fn is_image(volume: &VolumeFacts) -> bool {
    match volume.format {
        Some(DiskFormat::Raw) => volume.capacity_bytes >= SMALLEST_RAW && volume.capacity_bytes.is_multiple_of(SECTOR),
        Some(DiskFormat::Qcow2) | None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::definition::VolumeRef;

    #[test]
    fn media_are_images_and_isos_with_their_users() {
        let volume = |name: &str, kind, format, capacity_bytes| VolumeFacts {
            at: VolumeRef { pool: "p".to_owned(), volume: name.to_owned() },
            path: format!("/p/{name}"),
            capacity_bytes,
            allocation_bytes: 5,
            format,
            kind,
            is_file: true,
            backing_path: None,
        };
        let (raw, qcow2) = (Some(DiskFormat::Raw), Some(DiskFormat::Qcow2));
        let found = media(
            vec![
                volume("z.iso", VolumeKind::Iso, raw, 700),
                volume("a.qcow2", VolumeKind::Disk, qcow2, 100),
                volume("b.raw", VolumeKind::Disk, raw, 2 << 20),
                volume("notes.txt", VolumeKind::Disk, raw, 2000),
                volume("vmlinuz", VolumeKind::Disk, raw, (8 << 20) + 1),
                volume("c.vmdk", VolumeKind::Other, None, 2 << 20),
            ],
            &HashMap::from([("/p/b.raw".to_owned(), "web-1".to_owned())]),
        );
        let told: Vec<(&str, MediumKind, &str)> =
            found.iter().map(|medium| (medium.path.as_str(), medium.kind, medium.used_by.as_str())).collect();
        assert_eq!(
            told,
            [
                ("/p/a.qcow2", MediumKind::Disk, ""),
                ("/p/b.raw", MediumKind::Disk, "web-1"),
                ("/p/z.iso", MediumKind::Iso, "")
            ]
        );
    }
}
