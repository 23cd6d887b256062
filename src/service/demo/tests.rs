//! The demo against libvirt's real test driver: what is seeded is what libvirt then says, and every
//! call that a verb makes works there.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;
use crate::hypervisor::libvirt::Libvirt;
use crate::hypervisor::libvirt::xml::{HostProfile, edit_domain, read_domain, write_domain};
use crate::hypervisor::{AcceleratorChoice, Hypervisor, Notice};
use crate::model::definition::VmDefinition;
use crate::model::id::{DEFAULT_PROJECT, VmId};
use crate::model::node::{NodePhase, StorageKind};
use crate::model::vm::{Lifetime, Moment, Origin, PowerState, VmRecord};
use crate::service::node::{Machine, ThisMachine, local_node_id};
use crate::store::{NodeFilter, Store};

/// BEHAVIOUR §8: name, vCPUs, GiB, state.
const VMS: [(&str, u32, u64, PowerState); 4] = [
    ("cache-server", 2, 16, PowerState::Running),
    ("db-server-01", 8, 32, PowerState::Running),
    ("dev-workstation", 2, 4, PowerState::Stopped),
    ("web-server-01", 4, 8, PowerState::Running),
];

/// The seed's id in its curl lines.
const DEV_WORKSTATION: &str = "11111111-1111-1111-1111-111111111111";

/// The test driver with the demo's host.
pub(super) struct Rig {
    pub libvirt: Libvirt,
    pub notices: mpsc::Receiver<Notice>,
    _demo: Demo,
}

impl Rig {
    pub fn new() -> Self {
        let demo = Demo::prepare().expect("the kernel gives a file in memory");
        let libvirt = Libvirt::new(demo.uri(), AcceleratorChoice::Auto);
        let (sender, notices) = mpsc::channel();
        libvirt.run(Box::new(move |notice| {
            // The test may have ended.
            let _ = sender.send(notice);
        }));
        let rig = Self { libvirt, notices, _demo: demo };
        rig.hear(&Notice::Connected);
        rig
    }

    /// Until this is heard.
    pub fn hear(&self, wanted: &Notice) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let heard = self.notices.recv_timeout(left).unwrap_or_else(|_| panic!("{wanted:?} was not heard"));
            if heard == *wanted {
                return;
            }
        }
    }

    pub fn state(&self, id: VmId) -> PowerState {
        self.libvirt.look(id).expect("it answers").expect("the VM is there").state
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.libvirt.close();
    }
}

pub(super) fn vm(name: &str) -> VmRecord {
    let vms = seed::vms(Moment::now()).expect("the host's file is read");
    vms.into_iter().find(|vm| vm.name == name).expect("it is one of the four")
}

fn by_name(mut vms: Vec<VmRecord>) -> Vec<VmRecord> {
    vms.sort_by(|left, right| left.name.cmp(&right.name));
    vms
}

#[test]
fn the_seed_is_the_behaviours() {
    let store = Store::in_memory().expect("a store in memory");
    seed(&store).expect("an empty store takes it");
    let here = local_node_id(&store, None).expect("it is kept");
    let vms = by_name(store.vm_all().expect("it answers"));
    assert_eq!(vms.len(), VMS.len());
    for (vm, (name, cores, gib, state)) in vms.iter().zip(VMS) {
        let read = read_domain(&vm.definition.0).expect("the definition is a domain's");
        assert_eq!((vm.name.as_str(), vm.hypervisor_name.as_str(), vm.state), (name, name, state));
        assert_eq!((read.id, read.name.as_str()), (vm.id, name));
        assert_eq!((read.spec.cpu.cores, read.spec.memory.size.bytes() >> 30), (cores, gib), "{name}");
        assert_eq!((vm.node_id, vm.project_id, vm.origin), (here, DEFAULT_PROJECT, Origin::ControlPlane));
        assert_eq!(vm.disk_sizes.len(), read.spec.disks.len(), "{name} has a disk of unknown size");
        assert!(!vm.labels.is_empty() && !vm.description.is_empty() && vm.created_at < Moment::now());
    }
    assert_eq!(vm("dev-workstation").id.to_string(), DEV_WORKSTATION);

    let nodes = store.node_list(&NodeFilter::default()).expect("it answers");
    let shown: Vec<(&str, &str, u64, u64)> = nodes
        .iter()
        .map(|node| {
            let facts = &node.facts;
            let maker = if facts.cpu.model.starts_with("Intel Xeon") { "Intel Xeon" } else { "AMD EPYC" };
            let nvme = facts.storage.iter().filter(|disk| disk.kind == StorageKind::Nvme);
            let terabytes = nvme.map(|disk| disk.size_bytes).sum::<u64>() / 1_000_000_000_000;
            (node.hostname.as_str(), maker, facts.memory.total_bytes >> 30, terabytes)
        })
        .collect();
    let wanted = [
        ("hypervisor-01", "Intel Xeon", 256, 2),
        ("hypervisor-02", "Intel Xeon", 256, 1),
        ("hypervisor-03", "AMD EPYC", 512, 4),
    ];
    assert_eq!(shown, wanted);
    assert!(nodes.iter().all(|node| node.phase == NodePhase::Ready && node.last_heartbeat != Moment::default()));
    assert_eq!(nodes.first().map(|node| node.id), Some(here));
    for node in &nodes {
        let cpu = &node.facts.cpu;
        assert_eq!(cpu.sockets * cpu.cores_per_socket * cpu.threads_per_core, cpu.total_threads);
        assert_eq!(cpu.numa.iter().map(|cell| cell.memory_bytes).sum::<u64>(), node.facts.memory.total_bytes);
        assert!(node.load.memory_used_bytes < node.load.memory_total_bytes);
        assert!(node.load.storage_used_bytes < node.load.storage_total_bytes);
    }
}

#[test]
fn its_vms_are_as_our_own_writer_makes_them() {
    let profile = HostProfile::for_test_driver();
    for record in seed::vms(Moment::now()).expect("the host's file is read") {
        let read = read_domain(&record.definition.0).expect("the definition is a domain's");
        let identity = read.identity.expect("it is ours");
        assert_eq!(identity, crate::service::vm::identity_of(&record));
        let definition = VmDefinition {
            id: record.id,
            hypervisor_name: record.hypervisor_name.clone(),
            identity: identity.clone(),
            spec: read.spec.clone(),
        };
        let written = write_domain(&definition, &profile).expect("it can be written");
        assert_eq!(record.definition.0, written.0);
        let edited = edit_domain(&record.definition, &read.spec, Some(&identity), &profile);
        assert_eq!(edited.as_ref(), Ok(&record.definition));
    }
}

#[test]
fn libvirt_says_what_was_seeded() {
    let rig = Rig::new();
    let mut listed = rig.libvirt.list().expect("it answers");
    listed.sort_by(|left, right| left.hypervisor_name.cmp(&right.hypervisor_name));
    let seeded = by_name(seed::vms(Moment::now()).expect("the host's file is read"));
    assert_eq!(listed.len(), seeded.len());
    for (listed, seeded) in listed.iter().zip(&seeded) {
        assert_eq!((listed.id, &listed.hypervisor_name), (seeded.id, &seeded.hypervisor_name));
        assert_eq!(
            (listed.state, listed.lifetime, &listed.reason),
            (seeded.state, Lifetime::Persistent, &String::new())
        );
        assert_eq!(rig.libvirt.look(listed.id), Ok(Some(listed.clone())));
        let described = rig.libvirt.describe(listed.id).expect("it answers").expect("the VM is there");
        let wanted = rig.libvirt.read(&seeded.definition).expect("the definition is a domain's");
        assert_eq!(described.spec, wanted, "{}", seeded.name);
        // Nothing is pending, and the metadata came through libvirt whole.
        assert_eq!(described.running_spec, (listed.state == PowerState::Running).then_some(wanted));
        assert_eq!(described.identity, Some(crate::service::vm::identity_of(seeded)));
    }
    let pools = rig.libvirt.pools().expect("it answers");
    assert_eq!(pools.iter().map(|pool| (pool.name.as_str(), pool.active)).collect::<Vec<_>>(), [("default", true)]);
    for record in &seeded {
        for (path, size) in &record.disk_sizes {
            let volume = rig.libvirt.volume_by_path(path).expect("it answers").expect("the volume is there");
            assert_eq!((&volume.capacity_bytes, Some(&volume.at)), (size, record.owned_volumes.first()));
        }
    }
    let networks = rig.libvirt.networks().expect("it answers");
    assert!(networks.iter().any(|network| network.name == "default" && network.active));
    let offer = rig.libvirt.offer().expect("it answers");
    assert_eq!((offer.hypervisor.as_str(), offer.kvm, offer.memory_bytes >> 30), ("TEST", false, 256));
    let facts = nodes::this_host().facts;
    assert_eq!(offer.sockets * offer.cores_per_socket * offer.threads_per_core, facts.cpu.total_threads);
    assert_eq!(offer.memory_bytes, facts.memory.total_bytes);
}

#[test]
fn the_demos_machine_is_the_seeds_with_this_ones_load() {
    let machine = DemoMachine::new(ThisMachine::new("/".into()));
    assert_eq!(machine.hostname(), "hypervisor-01");
    assert_eq!(machine.facts(), nodes::this_host().facts);
    let load = machine.load();
    assert_eq!(load.memory_total_bytes, 256 << 30);
    assert!((0.0..=100.0).contains(&load.cpu_usage_percent));
    let disk = machine.filesystem("the pool".to_owned(), std::path::Path::new("/nowhere")).expect("it is shown");
    assert_eq!((disk.used_bytes, disk.total_bytes), (load.storage_used_bytes, load.storage_total_bytes));
}
