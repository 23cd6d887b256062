//! Every call of the hypervisor that a verb makes, on the demo's host.

use super::tests::{Rig, vm};
use crate::hypervisor::{GuestRequest, Hypervisor, HypervisorError, Notice, StartFrom, Undefine};
use crate::model::definition::{NewVolume, VmDefinition, VolumeRef};
use crate::model::id::VmId;
use crate::model::spec::{Cpu, Disk, DiskFormat, DiskProvisioning, Memory, Nic, VmSpec};
use crate::model::units::{Gib, Mib};
use crate::model::vm::{Autostart, Lifetime, PausedReason, PowerState};
use crate::service::vm::identity_of;

#[test]
fn a_vm_goes_through_its_life() {
    let rig = Rig::new();
    let host = &rig.libvirt;
    let id = vm("dev-workstation").id;
    host.start(id, StartFrom::SavedOrBoot).expect("it starts");
    rig.hear(&Notice::LifeChanged(id));
    assert_eq!(rig.state(id), PowerState::Running);
    host.start(id, StartFrom::SavedOrBoot).expect_err("it runs already");

    host.pause(id).expect("it pauses");
    assert_eq!(rig.state(id), PowerState::Paused(PausedReason::User));
    host.resume(id).expect("it resumes");
    rig.hear(&Notice::LifeChanged(id));
    assert_eq!(rig.state(id), PowerState::Running);

    for by in [GuestRequest::Agent, GuestRequest::Acpi] {
        host.request_reboot(id, by).expect("it is asked");
        rig.hear(&Notice::Rebooted(id));
        assert_eq!(rig.state(id), PowerState::Running);
    }
    host.reset(id).expect("it is reset");
    rig.hear(&Notice::Rebooted(id));
    assert_eq!(rig.state(id), PowerState::Running);

    host.request_shutdown(id, GuestRequest::Acpi).expect("it is asked");
    rig.hear(&Notice::LifeChanged(id));
    assert_eq!(rig.state(id), PowerState::Stopped);
    host.power_off(id).expect("off is done");

    host.start(id, StartFrom::FreshBoot).expect("it starts");
    host.power_off(id).expect("it is powered off");
    assert_eq!(rig.state(id), PowerState::Stopped);
    let gone = VmId::random();
    assert_eq!(host.look(gone), Ok(None));
    assert_eq!(host.start(gone, StartFrom::SavedOrBoot), Err(HypervisorError::NoSuchVm(gone)));
}

#[test]
fn memory_is_saved_restored_and_dropped() {
    let rig = Rig::new();
    let host = &rig.libvirt;
    let id = vm("cache-server").id;
    let save = || {
        host.save(id, &|_| {}).expect("it is saved");
        assert_eq!(rig.state(id), PowerState::Suspended);
        let listed = host.list().expect("it answers");
        assert!(listed.iter().any(|vm| vm.id == id && vm.state == PowerState::Suspended));
    };
    save();
    host.start(id, StartFrom::SavedOrBoot).expect("it is restored");
    assert_eq!(rig.state(id), PowerState::Running);
    save();
    host.drop_saved(id).expect("it is dropped");
    assert_eq!(rig.state(id), PowerState::Stopped);
    host.drop_saved(id).expect("nothing there is done");
    host.start(id, StartFrom::FreshBoot).expect("it boots");
    save();
    host.start(id, StartFrom::FreshBoot).expect("it boots afresh");
    host.power_off(id).expect("it is powered off");
    assert_eq!(rig.state(id), PowerState::Stopped);
}

#[test]
fn a_vm_is_made_changed_and_removed() {
    let rig = Rig::new();
    let host = &rig.libvirt;
    let like = vm("web-server-01");
    let id = VmId::random();
    let at = VolumeRef { pool: "default".to_owned(), volume: "new.qcow2".to_owned() };
    let path = host.volume_path(&at).expect("the pool has a directory");
    let volume = NewVolume {
        at: at.clone(),
        size: Gib(50),
        format: DiskFormat::Qcow2,
        provisioning: DiskProvisioning::Thin,
        backing: None,
    };
    let free = host.pool("default").expect("it is there").available_bytes;
    let made = host.volume_create(&volume).expect("a thin volume takes no room");
    assert_eq!(
        (made.path.as_str(), made.capacity_bytes, made.format),
        (path.as_str(), 50 << 30, Some(DiskFormat::Qcow2))
    );
    assert!(matches!(host.volume_create(&volume), Err(HypervisorError::AlreadyExists(_))));
    let thick = NewVolume {
        at: VolumeRef { volume: "thick.raw".to_owned(), ..at.clone() },
        provisioning: DiskProvisioning::ThickEager,
        format: DiskFormat::Raw,
        ..volume
    };
    assert_eq!(host.volume_create(&thick).map(|made| made.allocation_bytes), Ok(50 << 30));
    assert_eq!(host.pool("default").expect("it is there").available_bytes, free - (50 << 30));
    host.volume_delete(&thick.at).expect("it goes");
    assert_eq!(host.pool("default").expect("it is there").available_bytes, free);
    assert_eq!(host.volumes("default").expect("it answers").len(), 5);

    let mut record = like;
    record.id = id;
    record.name = "new".to_owned();
    record.owned_volumes = vec![at.clone()];
    let spec = VmSpec {
        cpu: Cpu { cores: 2, max_cores: 4, ..Cpu::default() },
        memory: Memory { size: Mib(1024), max: Mib(2048), ..Memory::default() },
        disks: vec![Disk { path: path.clone(), format: Some(DiskFormat::Qcow2), ..Disk::default() }],
        nics: vec![Nic { network: "default".to_owned(), mac: "52:54:00:de:31:01".to_owned(), ..Nic::default() }],
        ..VmSpec::default()
    };
    let definition =
        VmDefinition { id, hypervisor_name: "new".to_owned(), identity: identity_of(&record), spec: spec.clone() };
    let text = host.render(&definition).expect("it can be written");
    host.define(id, &text).expect("it is defined");
    rig.hear(&Notice::DefinitionChanged(id));
    host.define(id, &text).expect("again changes nothing");
    let described = host.describe(id).expect("it answers").expect("it is there");
    assert_eq!(described.identity, Some(identity_of(&record)));
    assert_eq!((described.spec.cpu.cores, described.spec.cpu.max_cores), (2, 4));
    assert_eq!(described.spec.memory.max, Mib(2048));

    host.start(id, StartFrom::SavedOrBoot).expect("it starts");
    let mut wanted = described.spec.clone();
    wanted.cpu.cores = 3;
    wanted.memory.size = Mib(1536);
    let edited = host.edit(&described.persistent, &wanted, None).expect("it can be edited");
    host.define(id, &edited).expect("a running VM's definition can be replaced");
    host.apply_live(id, &wanted).expect("what fits is applied");
    let described = host.describe(id).expect("it answers").expect("it is there");
    assert_eq!(described.spec, wanted);
    let running = described.running_spec.expect("it runs");
    assert_eq!((running.cpu.cores, running.memory.size), (3, Mib(1536)));

    record.name = "renamed".to_owned();
    record.deletion_protection = crate::model::vm::DeletionProtection::On;
    host.tag(id, Some(&identity_of(&record)), Lifetime::Persistent).expect("a running VM is tagged");
    rig.hear(&Notice::DefinitionChanged(id));
    let identity = host.describe(id).expect("it answers").and_then(|described| described.identity);
    assert_eq!(identity, Some(identity_of(&record)));

    host.set_autostart(id, Autostart::On).expect("libvirt keeps the flag");
    let look = || host.look(id).expect("it answers").expect("it is there");
    assert_eq!(look().autostart, Autostart::On);
    host.set_autostart(id, Autostart::Off).expect("libvirt keeps the flag");
    assert_eq!(look().autostart, Autostart::Off);

    host.power_off(id).expect("it is powered off");
    assert_eq!(look().lifetime, Lifetime::Persistent);
    host.rename(id, "renamed").expect("one that is off is renamed");
    assert_eq!(look().hypervisor_name, "renamed");
    host.start(id, StartFrom::SavedOrBoot).expect("it starts");
    host.save(id, &|_| {}).expect("it is saved");
    host.undefine(id, Undefine::WithState).expect("it goes with its saved memory");
    rig.hear(&Notice::Undefined(id));
    assert_eq!(host.look(id), Ok(None));
    host.undefine(id, Undefine::WithState).expect("gone is done");
    host.volume_delete(&at).expect("it goes");
    assert_eq!(host.volume(&at), Ok(None));
    host.volume_delete(&at).expect("gone is done");
    assert_eq!(host.list().expect("it answers").len(), 4);
}

#[test]
fn what_is_measured_and_reported() {
    let rig = Rig::new();
    let host = &rig.libvirt;
    let counters = host.counters().expect("it answers");
    for name in ["web-server-01", "db-server-01", "cache-server"] {
        let seeded = vm(name);
        let spec = host.read(&seeded.definition).expect("it is a definition");
        let given = counters.get(&seeded.id).map(|counters| (counters.vcpus, counters.memory_allocated_bytes));
        assert_eq!(given, Some((spec.cpu.cores, spec.memory.size.bytes())), "{name}");
    }
    assert!(!counters.contains_key(&vm("dev-workstation").id));
    host.leases().expect("it answers");
    let id = vm("web-server-01").id;
    host.agent_channel(id).expect("it answers");
    host.health().expect("the connection is there");
}
