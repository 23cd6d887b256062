//! The same verbs on libvirt's test driver, which the demo and the fast tests stand on, and what
//! the link costs over bare libvirt.

use std::time::{Duration, Instant};

use virt::connect::Connect;

use super::{Live, small, small_spec, timed, uri};
use crate::hypervisor::{GuestRequest, Hypervisor, Notice, StartFrom, Undefine};
use crate::model::spec::{Nic, VmSpec};
use crate::model::units::Mib;
use crate::model::vm::{Autostart, Lifetime, PausedReason, PowerState};

#[test]
fn the_verbs_on_the_test_driver() {
    let live = Live::to("test:///default");
    let h = &live.libvirt;
    let nic = Nic { mac: "52:54:00:00:00:09".to_owned(), network: "default".to_owned(), ..Nic::default() };
    let definition = small("verbs", VmSpec { nics: vec![nic], ..small_spec() });
    let id = definition.id;
    live.define(&definition);
    live.hear("defined", 5, |notice| *notice == Notice::DefinitionChanged(id));
    for from in [StartFrom::FreshBoot, StartFrom::SavedOrBoot] {
        h.start(id, from).expect("it starts");
        live.hear("started", 5, |notice| *notice == Notice::LifeChanged(id));
        h.pause(id).expect("it pauses");
        assert_eq!(live.state(id), Some(PowerState::Paused(PausedReason::User)));
        h.resume(id).expect("it resumes");
        h.reset(id).expect("it is reset");
        live.hear("reset", 5, |notice| *notice == Notice::Rebooted(id));
        assert_eq!(live.state(id), Some(PowerState::Running));
        let mut wanted = definition.spec.clone();
        (wanted.cpu.cores, wanted.memory.size) = (2, Mib(300));
        h.apply_live(id, &wanted).expect("it is applied");
        let running = h.describe(id).expect("it answers").and_then(|vm| vm.running_spec).expect("it runs");
        assert_eq!((running.cpu.cores, running.memory.size), (2, Mib(300)));
        h.tag(id, Some(&definition.identity), Lifetime::Persistent).expect("it is tagged");
        h.set_autostart(id, Autostart::On).expect("it is set");
        assert!(h.counters().expect("it answers").contains_key(&id));
        h.save(id, &|_| {}).expect("it is saved");
        assert_eq!(live.state(id), Some(PowerState::Suspended));
        h.start(id, from).expect("it starts again");
        assert_eq!(live.state(id), Some(PowerState::Running));
        h.request_reboot(id, GuestRequest::Acpi).expect("it is asked");
        live.hear("rebooted", 5, |notice| *notice == Notice::Rebooted(id));
        if live.state(id) == Some(PowerState::Running) {
            h.request_shutdown(id, GuestRequest::Acpi).expect("it is asked");
        }
        assert_eq!(live.state(id), Some(PowerState::Stopped));
        h.power_off(id).expect("it is off");
        live.forget();
    }
    h.rename(id, "verbs again").expect("it is renamed");
    assert!(h.networks().expect("it answers").iter().any(|network| network.name == "default"));
    assert!(!h.pools().expect("it answers").is_empty());
    h.undefine(id, Undefine::WithState).expect("it goes");
    live.hear("undefined", 5, |notice| *notice == Notice::Undefined(id));
}

#[test]
fn a_thousand_are_listed_in_one_go() {
    let live = Live::to("test:///default");
    let h = &live.libvirt;
    let mut defining = Duration::ZERO;
    for _ in 0..1000 {
        let definition = small("many", small_spec());
        let text = h.render(&definition).expect("it can be rendered");
        defining += timed(|| h.define(definition.id, &text).expect("it can be defined")).0;
    }
    let before = h.calls();
    let (took, listed) = timed(|| h.list().expect("it answers"));
    // The driver's default world is one for the whole process: other tests' VMs may be in it.
    assert_eq!(listed.iter().filter(|vm| vm.hypervisor_name.starts_with("many-")).count(), 1000);
    assert_eq!((h.calls().0 - before.0, h.calls().1 - before.1), (1, 0), "a list is one visit and asks nothing");
    println!("1000 defined in {defining:?}, listed in {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Defining and starting by the trait and by bare libvirt, in turns.
#[test]
fn what_the_link_costs() {
    let Some(uri) = uri() else { return };
    let live = Live::to(&uri);
    let h = &live.libvirt;
    let bare = Connect::open(Some(&uri)).expect("it answers");
    let definition = small("cost", small_spec());
    let id = definition.id;
    let text = h.render(&definition).expect("it can be rendered");
    h.define(id, &text).expect("it can be defined");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        ours.push(timed(|| h.define(id, &text).expect("it can be defined")).0);
        theirs.push(timed(|| drop(bare.define_domain_xml(&text.0).expect("it can be defined"))).0);
    }
    println!("define: {:?} by the link, {:?} bare", median(ours), median(theirs));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let before = h.calls();
        ours.push(timed(|| h.start(id, StartFrom::FreshBoot).expect("it starts")).0);
        assert_eq!((h.calls().0 - before.0, h.calls().1 - before.1), (0, 1), "a start is one visit");
        h.power_off(id).expect("it goes off");
        let domain = bare.lookup_domain_by_uuid(id.0).expect("it is there");
        let begun = Instant::now();
        domain.create().expect("it starts");
        theirs.push(begun.elapsed());
        domain.destroy().expect("it goes off");
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("start: {ours:?} by the link, {theirs:?} bare");
    let (took, _) = timed(|| h.describe(id).expect("it answers"));
    println!("describe: {took:?}; look: {:?}; list: {:?}", timed(|| h.look(id)).0, timed(|| h.list()).0);
    h.undefine(id, Undefine::WithState).expect("it goes");
    assert!(ours < theirs * 2 + Duration::from_millis(100), "{ours:?} against {theirs:?}");
}
