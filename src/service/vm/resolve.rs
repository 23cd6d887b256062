//! From what was asked to what will be: pools to paths, networks to names, MAC addresses, the
//! hypervisor's name for the VM. Asks the hypervisor, changes nothing.

use std::collections::HashSet;

use crate::hypervisor::Hypervisor;
use crate::model::definition::{NewVolume, VolumeRef};
use crate::model::id::VmId;
use crate::model::spec::{Disk, DiskFormat, DiskProvisioning, Nic, VmSpec};
use crate::model::units::human_bytes;
use crate::model::validate::Violation;

use super::super::error::ServiceError;
use super::super::inventory::{Inventory, Picture};

/// The longest name of ours that the hypervisor gets unchanged.
const HYPERVISOR_NAME_MAX: usize = 60;
/// Pool and network that an empty name means.
const DEFAULT: &str = "default";

/// A specification that can be written: every disk has a path, every NIC a MAC.
pub(super) struct Resolved {
    pub spec: VmSpec,
    pub volumes: Vec<NewVolume>,
}

/// Resolve the disks and NICs of a new VM.
pub(super) fn resolve(
    hypervisor: &dyn Hypervisor,
    inventory: &Inventory,
    id: VmId,
    name: &str,
    mut spec: VmSpec,
) -> Result<Resolved, ServiceError> {
    let mut volumes = Vec::new();
    for (index, disk) in spec.disks.iter_mut().enumerate() {
        volumes.extend(resolve_disk(hypervisor, id, name, index, disk)?);
    }
    if !spec.nics.is_empty() {
        let networks = hypervisor.networks()?;
        let mut taken = taken_macs(inventory);
        for (index, nic) in spec.nics.iter_mut().enumerate() {
            resolve_nic(&networks, &mut taken, index, nic)?;
        }
    }
    Ok(Resolved { spec, volumes })
}

fn resolve_disk(
    hypervisor: &dyn Hypervisor,
    id: VmId,
    name: &str,
    index: usize,
    disk: &mut Disk,
) -> Result<Option<NewVolume>, ServiceError> {
    let field = format!("spec.disks[{index}]");
    if !disk.path.is_empty() {
        return Ok(None);
    }
    if disk.pool.is_empty() {
        DEFAULT.clone_into(&mut disk.pool);
    }
    let pool = hypervisor.pool(&disk.pool)?;
    disk.pool.clone_from(&pool.name);
    if !disk.volume.is_empty() {
        let at = VolumeRef { pool: pool.name, volume: disk.volume.clone() };
        let facts = hypervisor.volume(&at)?.ok_or_else(|| ServiceError::Precondition {
            reason: "NOT_ON_HOST",
            subject: at.volume.clone(),
            message: format!("{field}.volume_id: pool \"{}\" has no volume \"{}\"", at.pool, at.volume),
        })?;
        disk.path = facts.path;
        disk.format = disk.format.or(facts.format);
        if disk.format.is_none() {
            return Err(ServiceError::invalid(
                &format!("{field}.format"),
                format!("the pool does not say the format of volume \"{}\"; set QCOW2 or RAW", at.volume),
            ));
        }
        return Ok(None);
    }
    let format = *disk.format.get_or_insert(DiskFormat::Qcow2);
    let extension = match format {
        DiskFormat::Qcow2 => "qcow2",
        DiskFormat::Raw => "raw",
    };
    let short: String = id.to_string().chars().take(8).collect();
    let stem: String = name.chars().take(HYPERVISOR_NAME_MAX).collect();
    let at = VolumeRef { pool: pool.name.clone(), volume: format!("{stem}-{short}-{index}.{extension}") };
    let needs = match disk.provisioning {
        DiskProvisioning::Thin => 0,
        DiskProvisioning::ThickLazy | DiskProvisioning::ThickEager => disk.size.bytes(),
    };
    if needs > pool.available_bytes {
        return Err(ServiceError::Exhausted(format!(
            "{field}.size_gib: pool \"{}\" has {} free; {} are needed",
            pool.name,
            human_bytes(pool.available_bytes),
            human_bytes(needs)
        )));
    }
    if hypervisor.volume(&at)?.is_some() {
        return Err(ServiceError::AlreadyExists(format!(
            "pool \"{}\" has a volume \"{}\" already",
            at.pool, at.volume
        )));
    }
    disk.path = hypervisor.volume_path(&at)?;
    disk.volume.clone_from(&at.volume);
    let backing = match (disk.backing_file.is_empty(), disk.backing_format) {
        (false, Some(format)) => Some((disk.backing_file.clone(), format)),
        (true, _) | (false, None) => None,
    };
    Ok(Some(NewVolume { at, size: disk.size, format, provisioning: disk.provisioning, backing }))
}

fn resolve_nic(
    networks: &[crate::hypervisor::NetworkInfo],
    taken: &mut HashSet<String>,
    index: usize,
    nic: &mut Nic,
) -> Result<(), ServiceError> {
    let field = format!("spec.nics[{index}]");
    if nic.bridge.is_empty() {
        let wanted = if nic.network.is_empty() { DEFAULT } else { &nic.network };
        let found = networks
            .iter()
            .find(|network| network.name == wanted || network.id.to_string() == wanted)
            .ok_or_else(|| {
                let names: Vec<&str> = networks.iter().map(|network| network.name.as_str()).collect();
                ServiceError::Precondition {
                    reason: "NOT_ON_HOST",
                    subject: wanted.to_owned(),
                    message: format!(
                        "{field}.network_id: this host has no network \"{wanted}\"; it has: {}",
                        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                    ),
                }
            })?;
        nic.network.clone_from(&found.name);
    }
    if nic.mac.is_empty() {
        nic.mac = free_mac(taken);
    } else {
        nic.mac = nic.mac.to_ascii_lowercase();
        if taken.contains(&nic.mac) {
            return Err(ServiceError::Invalid(vec![Violation::new(
                &format!("{field}.mac_address"),
                format!("{} is the address of another VM's network card on this host", nic.mac),
            )]));
        }
    }
    taken.insert(nic.mac.clone());
    Ok(())
}

fn taken_macs(inventory: &Inventory) -> HashSet<String> {
    inventory
        .picture()
        .vms
        .values()
        .flat_map(|vm| {
            let spec = inventory.spec(vm);
            spec.nics.iter().map(|nic| nic.mac.to_ascii_lowercase()).collect::<Vec<_>>()
        })
        .collect()
}

/// An address of QEMU's own range that no VM of this host has.
fn free_mac(taken: &HashSet<String>) -> String {
    loop {
        let random = uuid::Uuid::new_v4();
        let [a, b, c, ..] = random.into_bytes();
        let mac = format!("52:54:00:{a:02x}:{b:02x}:{c:02x}");
        if !taken.contains(&mac) {
            return mac;
        }
    }
}

/// The name that the hypervisor gets: ours where it is short enough and free, else its first 50
/// characters and eight digits of the id.
pub(super) fn hypervisor_name(picture: &Picture, id: VmId, name: &str) -> String {
    let free = !picture.vms.values().any(|vm| vm.record.id != id && vm.record.hypervisor_name == name);
    if name.chars().count() <= HYPERVISOR_NAME_MAX && free {
        return name.to_owned();
    }
    let head: String = name.chars().take(50).collect();
    let digits: String = id.to_string().chars().take(8).collect();
    format!("{head}-{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_and_marked() {
        let picture = Picture::default();
        let id = VmId::from_bytes([0xab; 16]);
        assert_eq!(hypervisor_name(&picture, id, "web-1"), "web-1");
        let long = "x".repeat(255);
        assert_eq!(hypervisor_name(&picture, id, &long), format!("{}-abababab", "x".repeat(50)));
        assert_eq!(hypervisor_name(&picture, id, &"y".repeat(60)).len(), 60);
    }

    #[test]
    fn a_free_address_is_of_qemus_range_and_not_taken() {
        let mut taken = HashSet::new();
        for _ in 0..200 {
            let mac = free_mac(&taken);
            assert!(mac.starts_with("52:54:00:") && mac.len() == 17);
            assert!(taken.insert(mac));
        }
    }
}
