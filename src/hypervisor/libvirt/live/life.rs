//! One guest's life, from its definition to its end, and every notice on the way.

use super::{Live, from_kernel, guest_folder, qemu_of, signal, small, small_spec, timed, uri, wait};
use crate::hypervisor::{
    Accelerator, AgentChannel, GuestRequest, Hypervisor, HypervisorError, Notice, StartFrom, Undefine,
};
use crate::model::id::VmId;
use crate::model::spec::{Disk, DiskFormat, Nic, VmSpec};
use crate::model::units::Mib;
use crate::model::vm::{Activity, Autostart, Lifetime, PausedReason, PowerState};

const MAC: &str = "52:54:00:6c:69:66";

fn life(id: VmId) -> impl Fn(&Notice) -> bool {
    move |notice| *notice == Notice::LifeChanged(id)
}

fn agent(id: VmId, channel: AgentChannel) -> impl Fn(&Notice) -> bool {
    move |notice| *notice == Notice::AgentChanged(id, channel)
}

#[test]
fn what_the_host_offers() {
    let Some(uri) = uri() else { return };
    let live = Live::to(&uri);
    let offer = live.libvirt.offer().expect("it answers");
    assert_eq!(offer.hypervisor, "QEMU");
    assert!(offer.host_uuid.is_some(), "{offer:?}");
    for version in [&offer.hypervisor_version, &offer.libvirt_version] {
        let numbers: Vec<u32> = version.split('.').map(|part| part.parse().expect("a number")).collect();
        assert!(numbers.len() == 3 && numbers[0] >= 6, "{offer:?}");
    }
    let wanted = if offer.kvm { Accelerator::Kvm } else { Accelerator::Tcg };
    assert_eq!(offer.accelerator, Some(wanted));
    assert!(!offer.cpu_model.is_empty(), "{offer:?}");
    let processors = u64::from(offer.sockets * offer.cores_per_socket * offer.threads_per_core);
    let online = std::thread::available_parallelism().expect("it is known").get();
    assert!(processors >= u64::try_from(online).expect("it is small"), "{offer:?}");
    assert!(offer.memory_bytes > 1 << 28, "{offer:?}");
    let (quick, _) = live.libvirt.calls();
    live.libvirt.offer().expect("it answers");
    assert_eq!(live.libvirt.calls().0, quick, "what is known is not asked again");
}

#[test]
fn from_definition_to_its_end() {
    let Some(uri) = uri() else { return };
    let live = Live::to(&uri);
    let h = &live.libvirt;
    let spec = VmSpec {
        boot: from_kernel(),
        nics: vec![Nic { mac: MAC.to_owned(), network: "default".to_owned(), ..Nic::default() }],
        ..small_spec()
    };
    let mut definition = small("life", spec);
    let id = definition.id;

    live.define(&definition);
    live.hear("defined", 5, |notice| *notice == Notice::DefinitionChanged(id));
    let listed = h.list().expect("it answers").into_iter().find(|vm| vm.id == id).expect("it is listed");
    assert_eq!(listed.state, PowerState::Stopped);
    assert_eq!((listed.lifetime, listed.autostart), (Lifetime::Persistent, Autostart::Off));
    assert_eq!(h.look(id).expect("it answers"), Some(listed));
    let described = h.describe(id).expect("it answers").expect("it is there");
    assert_eq!(described.identity.as_ref(), Some(&definition.identity));
    assert_eq!(described.running_spec, None);

    h.start(id, StartFrom::SavedOrBoot).expect("it starts");
    live.hear("started", 5, life(id));
    assert_eq!(live.state(id), Some(PowerState::Running));
    live.hear("the agent is there", 60, agent(id, AgentChannel::Connected));
    assert_eq!(h.agent_channel(id), Ok(AgentChannel::Connected));
    networked(&live, id);
    counted(&live, id);

    h.pause(id).expect("it pauses");
    live.hear("paused", 5, life(id));
    assert_eq!(live.state(id), Some(PowerState::Paused(PausedReason::User)));
    h.resume(id).expect("it resumes");
    live.hear("resumed", 5, life(id));
    assert_eq!(live.state(id), Some(PowerState::Running));
    h.resume(id).expect_err("it runs already");

    changed_while_it_runs(&live, id, &definition.spec);
    definition.identity.generation = 2;
    definition.identity.name = "renamed & <tagged>".to_owned();
    live.forget();
    h.tag(id, Some(&definition.identity), Lifetime::Persistent).expect("it is tagged while it runs");
    live.hear("tagged", 5, |notice| *notice == Notice::DefinitionChanged(id));
    let described = h.describe(id).expect("it answers").expect("it is there");
    assert_eq!(described.identity.as_ref(), Some(&definition.identity));

    live.forget();
    h.reset(id).expect("it is reset");
    live.hear("reset", 5, |notice| *notice == Notice::Rebooted(id));
    live.hear("the agent is gone", 30, agent(id, AgentChannel::Disconnected));
    live.hear("the agent is back", 60, agent(id, AgentChannel::Connected));

    saved_and_back(&live, id);

    h.request_shutdown(id, GuestRequest::Acpi).expect("it is asked");
    live.wait_state(id, 60, PowerState::Stopped);
    live.forget();
    h.request_shutdown(id, GuestRequest::Acpi).expect_err("it is off");
    h.power_off(id).expect("it is off, which is what was wanted");

    definition.identity.generation = 3;
    h.tag(id, Some(&definition.identity), Lifetime::Persistent).expect("it is tagged while it is off");
    live.hear("tagged", 5, |notice| *notice == Notice::DefinitionChanged(id));
    let described = h.describe(id).expect("it answers").expect("it is there");
    assert_eq!(described.identity.as_ref(), Some(&definition.identity));
    h.tag(id, None, Lifetime::Persistent).expect("the tag goes");
    h.tag(id, None, Lifetime::Persistent).expect("no tag is no fault");
    assert_eq!(h.describe(id).expect("it answers").expect("it is there").identity, None);

    let name = format!("again-{}", &id.to_string()[..8]);
    live.forget();
    h.rename(id, &name).expect("it is renamed");
    live.hear("renamed", 5, |notice| *notice == Notice::DefinitionChanged(id));
    assert_eq!(h.look(id).expect("it answers").map(|vm| vm.hypervisor_name), Some(name));

    h.undefine(id, Undefine::WithState).expect("it goes");
    live.hear("undefined", 5, |notice| *notice == Notice::Undefined(id));
    assert_eq!(h.look(id), Ok(None));
    assert_eq!(h.describe(id).expect("it answers"), None);
    h.undefine(id, Undefine::WithState).expect("it is gone, which is what was wanted");
    assert_eq!(h.start(id, StartFrom::SavedOrBoot), Err(HypervisorError::NoSuchVm(id)));
}

fn networked(live: &Live, id: VmId) {
    let leased = || live.libvirt.leases().expect("it answers").remove(MAC);
    wait("the lease is there", 30, || leased().is_some());
    let leased = leased().expect("it was there").ips;
    let told = || live.libvirt.agent_addresses(id).map(|addresses| addresses.ips);
    wait("the agent tells the same address", 30, || told().is_ok_and(|ips| ips.first() == leased.first()));
    let ips = told().expect("it answers");
    assert!(ips.iter().all(|ip| ip != "127.0.0.1" && !ip.starts_with("fe80")), "{ips:?}");
}

fn counted(live: &Live, id: VmId) {
    let all = live.libvirt.counters().expect("it answers");
    let counters = all.get(&id).expect("it runs");
    assert!(counters.cpu_time_ns > 0, "{counters:?}");
    assert_eq!(counters.vcpus, 1);
    assert_eq!(counters.memory_allocated_bytes, 256 << 20);
    assert!(counters.memory_used_bytes > 0 && counters.memory_used_bytes < 1 << 30, "{counters:?}");
    assert!(counters.network_rx_bytes > 0 && counters.network_tx_packets > 0, "{counters:?}");
}

fn changed_while_it_runs(live: &Live, id: VmId, spec: &VmSpec) {
    let h = &live.libvirt;
    let running = || h.describe(id).expect("it answers").expect("it is there").running_spec.expect("it runs");
    let mut wanted = spec.clone();
    wanted.cpu.cores = 2;
    wanted.memory.size = Mib(224);
    h.apply_live(id, &wanted).expect("it is applied");
    assert_eq!(running().cpu.cores, 2);
    wait("the balloon has grown", 30, || running().memory.size == Mib(224));
    let (_, asking) = h.calls();
    h.apply_live(id, &wanted).expect("it is applied");
    assert_eq!(h.calls().1, asking, "what is in force already is not asked for");
    wanted.memory.size = Mib(4096);
    h.apply_live(id, &wanted).expect("what does not fit waits for a restart");
    h.set_autostart(id, Autostart::On).expect("it is set");
    let autostart = || h.list().expect("it answers").into_iter().find(|vm| vm.id == id).map(|vm| vm.autostart);
    assert_eq!(autostart(), Some(Autostart::On));
    h.set_autostart(id, Autostart::Off).expect("it is unset");
    assert_eq!(autostart(), Some(Autostart::Off));
    assert!(matches!(h.rename(id, "other"), Err(HypervisorError::WrongState(_))));
}

fn saved_and_back(live: &Live, id: VmId) {
    let h = &live.libvirt;
    let seen = std::sync::Mutex::new(Vec::new());
    h.save(id, &|percent| seen.lock().expect("nobody panicked").push(percent)).expect("it is saved");
    let seen = seen.into_inner().expect("nobody panicked");
    println!("a save went through {seen:?}");
    assert!(seen.is_sorted() && seen.iter().all(|percent| *percent <= 100), "{seen:?}");
    assert_eq!(live.state(id), Some(PowerState::Suspended));
    let listed = h.list().expect("it answers").into_iter().find(|vm| vm.id == id).map(|vm| vm.state);
    assert_eq!(listed, Some(PowerState::Suspended));
    live.forget();
    h.start(id, StartFrom::SavedOrBoot).expect("it is restored");
    live.hear("restored", 5, life(id));
    assert_eq!(live.state(id), Some(PowerState::Running));
    let (took, ()) = timed(|| {
        wait("the restored guest's agent answers", 30, || h.agent_addresses(id).is_ok());
    });
    println!("the agent answered {took:?} after the restore");
    h.save(id, &|_| {}).expect("it is saved");
    h.drop_saved(id).expect("what was saved goes");
    h.drop_saved(id).expect("nothing is saved, which is what was wanted");
    assert_eq!(live.state(id), Some(PowerState::Stopped));
    live.forget();
    h.start(id, StartFrom::FreshBoot).expect("it boots");
    live.hear("the agent is there", 60, agent(id, AgentChannel::Connected));
}

#[test]
fn from_a_disk_and_killed() {
    let Some(uri) = uri() else { return };
    let live = Live::to(&uri);
    let h = &live.libvirt;
    let folder = tempfile::tempdir().expect("there is room");
    let image = folder.path().join("tiny.qcow2");
    std::fs::copy(guest_folder().join("tiny.qcow2"), &image).expect("the guest is built");
    let disk = Disk { path: image.to_string_lossy().into_owned(), format: Some(DiskFormat::Qcow2), ..Disk::default() };
    let definition = small("disk", VmSpec { disks: vec![disk], ..small_spec() });
    let id = definition.id;
    live.define(&definition);
    h.start(id, StartFrom::FreshBoot).expect("it boots");
    live.hear("the agent is there", 60, agent(id, AgentChannel::Connected));
    let counters = h.counters().expect("it answers");
    assert!(counters.get(&id).is_some_and(|counters| counters.disk_read_bytes > 1 << 20), "{counters:?}");

    h.request_reboot(id, GuestRequest::Acpi).expect("it is asked");
    live.hear("rebooted", 60, |notice| *notice == Notice::Rebooted(id));
    live.hear("the agent is back", 60, agent(id, AgentChannel::Connected));
    h.request_shutdown(id, GuestRequest::Agent).expect("it is asked");
    live.wait_state(id, 60, PowerState::Stopped);

    h.start(id, StartFrom::SavedOrBoot).expect("it starts");
    live.forget();
    signal(qemu_of(id), "KILL");
    let took = live.hear("killed", 5, life(id));
    live.wait_state(id, 5, PowerState::Crashed(Activity::Inactive));
    println!("the end of a killed QEMU was told after {took:?}");
    let seen = h.look(id).expect("it answers").expect("it is there");
    assert!(seen.reason.contains("QEMU"), "{seen:?}");
    let listed = h.list().expect("it answers").into_iter().find(|vm| vm.id == id);
    assert_eq!(listed.map(|vm| vm.state), Some(seen.state));

    std::fs::rename(&image, folder.path().join("away")).expect("it can be moved");
    let refused = h.start(id, StartFrom::SavedOrBoot).expect_err("its disk is gone");
    assert!(refused.to_string().contains("tiny.qcow2"), "{refused}");
    h.undefine(id, Undefine::WithState).expect("it goes");
}
