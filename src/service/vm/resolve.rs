//! From what was asked to what will be: pools to paths, networks to names, MAC addresses, the
//! hypervisor's name for the VM. Looks at everything, changes nothing: what stands in the way goes
//! into the report under its field, and the rest is looked at all the same.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::host::HostRoot;
use crate::host::paths::{self, Access, Fault, Kind, Opener};
use crate::hypervisor::{HostOffer, Hypervisor, NetworkInfo};
use crate::model::access::Rights;
use crate::model::definition::{NewVolume, PoolFacts, VolumeRef};
use crate::model::id::VmId;
use crate::model::spec::{Disk, DiskFormat, DiskProvisioning, Nic, VmSpec};
use crate::model::units::human_bytes;

use super::super::core::Core;
use super::super::error::{FindingKind, ServiceError};
use super::super::host_paths::Naming;
use super::super::inventory::{Inventory, Picture};
use super::preflight::{Report, Subject};

/// The longest name of ours that the hypervisor gets unchanged.
const HYPERVISOR_NAME_MAX: usize = 60;
/// Pool and network that an empty name means.
const DEFAULT: &str = "default";

/// The host that the devices are to be on.
pub(super) struct Host<'a> {
    pub hypervisor: &'a dyn Hypervisor,
    pub inventory: &'a Inventory,
    offer: Arc<HostOffer>,
    pub opener: Opener,
    /// What the caller may name of it.
    pub naming: Naming<'a>,
    bridges: Vec<String>,
}

impl<'a> Host<'a> {
    pub fn of(core: &'a Core, offer: Arc<HostOffer>, bridges: Vec<String>, rights: Rights) -> Self {
        let opener = Opener::of_qemu(&HostRoot::default(), offer.qemu_ids);
        let naming = Naming::of(core, rights);
        Self { hypervisor: core.hypervisor.as_ref(), inventory: &core.inventory, offer, opener, naming, bridges }
    }
}

/// Disks, drives and network cards of a VM to be made, one after the other.
pub(super) struct Devices<'a> {
    pub host: &'a Host<'a>,
    pub report: &'a mut Report,
    /// Whether the VM is started as soon as it is made.
    starts: bool,
    pools: HashMap<String, Option<PoolFacts>>,
    /// Bytes that new volumes take at once, and those that they may grow to, by pool.
    thick: HashMap<String, u64>,
    thin: HashMap<String, u64>,
    pub volumes: Vec<NewVolume>,
    /// Pools that must be made or started first.
    pub waiting: BTreeSet<String>,
}

impl<'a> Devices<'a> {
    pub fn new(host: &'a Host<'a>, report: &'a mut Report, starts: bool) -> Self {
        Self {
            host,
            report,
            starts,
            pools: HashMap::new(),
            thick: HashMap::new(),
            thin: HashMap::new(),
            volumes: Vec::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// Every disk gets a path, every NIC a MAC.
    pub fn resolve(&mut self, id: VmId, name: &str, spec: &mut VmSpec) -> Result<(), ServiceError> {
        for (index, disk) in spec.disks.iter_mut().enumerate() {
            // What is no value of its field is not asked for at libvirt.
            if self.report.is_wrong_below(&format!("spec.disks[{index}].")) {
                self.paths_alone(index, disk)?;
            } else {
                self.disk(id, name, index, disk)?;
            }
        }
        for (index, cdrom) in spec.cdroms.iter().enumerate() {
            self.iso(&format!("spec.cdroms[{index}].iso_path"), &cdrom.iso_path)?;
        }
        if let Some(direct) = &spec.boot.direct {
            for (name, path) in [("kernel_path", &direct.kernel_path), ("initrd_path", &direct.initrd_path)] {
                self.file(&format!("spec.boot.direct_boot.{name}"), path, Kind::File, Access::Read)?;
            }
        }
        if !spec.nics.is_empty() {
            let networks = self.host.hypervisor.networks()?;
            let mut taken = taken_macs(self.host.inventory);
            for (index, nic) in spec.nics.iter_mut().enumerate() {
                self.nic(&networks, &mut taken, index, nic);
            }
        }
        Ok(())
    }

    fn disk(&mut self, id: VmId, name: &str, index: usize, disk: &mut Disk) -> Result<(), ServiceError> {
        let field = format!("spec.disks[{index}]");
        if !disk.path.is_empty() {
            let access = if disk.readonly { Access::Read } else { Access::ReadWrite };
            let at = format!("{field}.path");
            if self.file(&at, &disk.path, Kind::FileOrDevice, access)? {
                self.format(&format!("{field}.format"), &disk.path, disk.format)?;
                self.shared(&at, disk);
            }
            return Ok(());
        }
        if disk.pool.is_empty() {
            DEFAULT.clone_into(&mut disk.pool);
        }
        let Some(pool) = self.pool(&format!("{field}.storage_pool_id"), &disk.pool)? else { return Ok(()) };
        disk.pool.clone_from(&pool.name);
        if disk.volume.is_empty() {
            self.new_volume(id, name, index, disk, &pool)
        } else {
            self.volume(&field, disk, &pool)
        }
    }

    /// The pool, looked at once.
    fn pool(&mut self, field: &str, wanted: &str) -> Result<Option<PoolFacts>, ServiceError> {
        let known = match self.pools.get(wanted) {
            Some(known) => known.clone(),
            None => {
                let known = self.host.hypervisor.pool_look(wanted)?;
                self.pools.insert(wanted.to_owned(), known.clone());
                if let Some(pool) = &known {
                    self.tell_pool(field, pool);
                }
                known
            }
        };
        let Some(mut pool) = known else {
            let names: Vec<String> = self.host.hypervisor.pools()?.into_iter().map(|pool| pool.name).collect();
            let missing = FindingKind::NotFound { what: "Pool", id: wanted.to_owned() };
            self.report.stop(field, missing, format!("this host has no pool \"{wanted}\"; it has: {}", list(&names)));
            return Ok(None);
        };
        if !pool.active {
            self.waiting.insert(pool.name.clone());
            // libvirt measures only what is started.
            pool.available_bytes =
                self.on_disk().and_then(|()| paths::free_for(Path::new(&pool.path))).unwrap_or(u64::MAX);
        }
        Ok(Some(pool))
    }

    fn tell_pool(&mut self, field: &str, pool: &PoolFacts) {
        let name = &pool.name;
        let told = match (pool.active, pool.id.is_nil()) {
            (true, _) => format!("pool \"{name}\" has {} free", human_bytes(pool.available_bytes)),
            (false, true) => format!("pool \"{name}\" is made at {} with the first disk in it", pool.path),
            (false, false) => format!("pool \"{name}\" is not started; that is done when the VM is made"),
        };
        self.report.passed(Subject::Pool, field, told);
        if self.on_disk().is_some()
            && !pool.path.is_empty()
            && let Err(trouble) = self.host.opener.reach(Path::new(&pool.path))
            && trouble.fault == Fault::Closed
        {
            let kind = FindingKind::Precondition { reason: "NOT_READABLE", subject: pool.path.clone() };
            self.report.stop(field, kind, format!("{}; {}", trouble.why, trouble.remedy));
        }
    }

    /// Whether paths are files of this host: the test driver opens none.
    pub(super) fn on_disk(&self) -> Option<()> {
        self.host.offer.runs_guests().then_some(())
    }

    fn volume(&mut self, field: &str, disk: &mut Disk, pool: &PoolFacts) -> Result<(), ServiceError> {
        let at = VolumeRef { pool: pool.name.clone(), volume: disk.volume.clone() };
        if !pool.active {
            disk.path = format!("{}/{}", pool.path.trim_end_matches('/'), at.volume);
            disk.format.get_or_insert(DiskFormat::Qcow2);
            return Ok(());
        }
        let Some(facts) = self.host.hypervisor.volume(&at)? else {
            let missing = FindingKind::NotFound { what: "Volume", id: at.volume.clone() };
            let told = format!("pool \"{}\" has no volume \"{}\"", at.pool, at.volume);
            self.report.stop(&format!("{field}.volume_id"), missing, told);
            return Ok(());
        };
        disk.path = facts.path;
        disk.format = disk.format.or(facts.format);
        let format = format!("{field}.format");
        if disk.format.is_none() {
            let told = format!("the pool does not say the format of volume \"{}\"; set QCOW2 or RAW", at.volume);
            self.report.stop(&format, FindingKind::Invalid, told);
            return Ok(());
        }
        if let Some(image) = disk.format
            && let Some(told) = self.host.naming.image(&disk.path, image)?
        {
            self.report.stop(&format!("{field}.volume_id"), FindingKind::Denied, told);
            return Ok(());
        }
        self.format(&format, &disk.path, disk.format)?;
        self.shared(&format!("{field}.volume_id"), disk);
        Ok(())
    }

    fn new_volume(
        &mut self,
        id: VmId,
        name: &str,
        index: usize,
        disk: &mut Disk,
        pool: &PoolFacts,
    ) -> Result<(), ServiceError> {
        let field = format!("spec.disks[{index}]");
        if pool.path.is_empty() {
            let told = format!(
                "pool \"{}\" has no directory in which a new volume could be named; use a pool of files",
                pool.name
            );
            self.report.stop(&format!("{field}.storage_pool_id"), FindingKind::Unimplemented, told);
            return Ok(());
        }
        let format = *disk.format.get_or_insert(DiskFormat::Qcow2);
        let extension = match format {
            DiskFormat::Qcow2 => "qcow2",
            DiskFormat::Raw => "raw",
        };
        let short: String = id.to_string().chars().take(8).collect();
        let stem: String = name.chars().take(HYPERVISOR_NAME_MAX).collect();
        let at = VolumeRef { pool: pool.name.clone(), volume: format!("{stem}-{short}-{index}.{extension}") };
        self.fits(&format!("{field}.size_gib"), disk, pool);
        disk.path = format!("{}/{}", pool.path.trim_end_matches('/'), at.volume);
        disk.volume.clone_from(&at.volume);
        self.backing(&field, disk)?;
        let backing = match (disk.backing_file.is_empty(), disk.backing_format) {
            (false, Some(format)) => Some((disk.backing_file.clone(), format)),
            (true, _) | (false, None) => None,
        };
        self.volumes.push(NewVolume { at, size: disk.size, format, provisioning: disk.provisioning, backing });
        Ok(())
    }

    /// Room in the pool, with what the disks before it take.
    fn fits(&mut self, field: &str, disk: &Disk, pool: &PoolFacts) {
        let thick = self.thick.entry(pool.name.clone()).or_default();
        let thin = self.thin.entry(pool.name.clone()).or_default();
        match disk.provisioning {
            DiskProvisioning::Thin => *thin = thin.saturating_add(disk.size.bytes()),
            DiskProvisioning::ThickLazy | DiskProvisioning::ThickEager => {
                *thick = thick.saturating_add(disk.size.bytes());
            }
        }
        let (needs, may_need) = (*thick, thick.saturating_add(*thin));
        let free = human_bytes(pool.available_bytes);
        if needs > pool.available_bytes {
            let told = format!("pool \"{}\" has {free} free; {} are needed", pool.name, human_bytes(needs));
            self.report.stop(field, FindingKind::Exhausted, told);
        } else if may_need > pool.available_bytes {
            self.report.warn(
                Subject::Pool,
                field,
                format!(
                    "pool \"{}\" has {free} free, and the VM's disks may grow to {}: it is paused when the pool is full",
                    pool.name,
                    human_bytes(may_need)
                ),
                "ask for less, or make room in the pool before it is filled",
            );
        }
    }

    fn nic(&mut self, networks: &[NetworkInfo], taken: &mut HashSet<String>, index: usize, nic: &mut Nic) {
        let field = format!("spec.nics[{index}]");
        if nic.bridge.is_empty() {
            self.network(&format!("{field}.network_id"), networks, nic);
        } else if self.on_disk().is_some() {
            let at = format!("{field}.bridge");
            if self.host.bridges.contains(&nic.bridge) {
                self.report.passed(Subject::Network, &at, format!("bridge \"{}\" is there", nic.bridge));
            } else {
                let missing = FindingKind::NotFound { what: "Bridge", id: nic.bridge.clone() };
                let told = format!("this host has no bridge \"{}\"; it has: {}", nic.bridge, list(&self.host.bridges));
                self.report.stop(&at, missing, told);
            }
        }
        if nic.mac.is_empty() {
            nic.mac = free_mac(taken);
        } else {
            nic.mac = nic.mac.to_ascii_lowercase();
            if taken.contains(&nic.mac) {
                let told = format!("{} is the address of another VM's network card on this host", nic.mac);
                self.report.stop(&format!("{field}.mac_address"), FindingKind::Invalid, told);
            }
        }
        taken.insert(nic.mac.clone());
    }

    pub(super) fn network(&mut self, field: &str, networks: &[NetworkInfo], nic: &mut Nic) {
        let wanted = if nic.network.is_empty() { DEFAULT } else { &nic.network };
        let found = networks.iter().find(|network| network.name == wanted || network.id.to_string() == wanted);
        let Some(found) = found else {
            let names: Vec<String> = networks.iter().map(|network| network.name.clone()).collect();
            let missing = FindingKind::NotFound { what: "Network", id: wanted.to_owned() };
            let told = format!("this host has no network \"{wanted}\"; it has: {}", list(&names));
            self.report.stop(field, missing, told);
            return;
        };
        let name = found.name.clone();
        if found.active {
            self.report.passed(Subject::Network, field, format!("network \"{name}\" is started"));
        } else {
            let told = format!("network \"{name}\" is not started, and the VM cannot start without it");
            let remedy = format!("run: virsh net-start {name}; and for every boot: virsh net-autostart {name}");
            if self.starts {
                let kind = FindingKind::Precondition { reason: "NETWORK_INACTIVE", subject: name.clone() };
                self.report.stop(field, kind, format!("{told}; {remedy}"));
            } else {
                self.report.warn(Subject::Network, field, told, remedy);
            }
        }
        nic.network = name;
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
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
