//! A QEMU that hangs: its own calls wait, and nothing else does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Daemon, Live, from_kernel, qemu_of, signal, small, small_spec, timed, uri, wait};
use crate::hypervisor::{Hypervisor, Notice, StartFrom, Undefine};
use crate::model::spec::VmSpec;
use crate::model::vm::{Autostart, Lifetime, PausedReason, PowerState};

#[test]
fn one_hung_qemu_holds_up_no_other_vm() {
    if uri().is_none() {
        return;
    }
    let daemon = Daemon::start("qemu");
    let live = Arc::new(Live::to(&daemon.uri()));
    let kernel = || VmSpec { boot: from_kernel(), ..small_spec() };
    let (stuck, well) = (small("stuck", kernel()), small("well", kernel()));
    for definition in [&stuck, &well] {
        live.define(definition);
        live.libvirt.start(definition.id, StartFrom::FreshBoot).expect("it starts");
    }
    let qemu = qemu_of(stuck.id);
    signal(qemu, "STOP");

    let done = Arc::new(AtomicUsize::new(0));
    let id = stuck.id;
    let identity = stuck.identity.clone();
    type Call = Box<dyn FnOnce(&Live) + Send>;
    let mut calls: Vec<Call> = vec![
        Box::new(move |live| drop(live.libvirt.pause(id))),
        Box::new(|live| drop(live.libvirt.counters())),
        Box::new(|live| drop(live.libvirt.counters())),
    ];
    // What waits for the VM's lock within libvirtd, more often than a connection has workers, and
    // well below the 20 workers that libvirtd has for all.
    for _ in 0..3 {
        let identity = identity.clone();
        calls.push(Box::new(move |live| drop(live.libvirt.tag(id, Some(&identity), Lifetime::Persistent))));
        calls.push(Box::new(move |live| drop(live.libvirt.set_autostart(id, Autostart::Off))));
    }
    let many = calls.len();
    for call in calls {
        let (live, done) = (Arc::clone(&live), Arc::clone(&done));
        std::thread::spawn(move || {
            call(&live);
            done.fetch_add(1, Ordering::SeqCst);
        });
        std::thread::sleep(Duration::from_millis(30));
    }
    std::thread::sleep(Duration::from_millis(300));
    println!("{} of {many} calls have ended", done.load(Ordering::SeqCst));
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        for (name, (took, answer)) in [
            ("list", timed(|| live.libvirt.list().map(drop))),
            ("look", timed(|| live.libvirt.look(stuck.id).map(drop))),
            ("describe the stuck one", timed(|| live.libvirt.describe(stuck.id).map(drop))),
            ("describe", timed(|| live.libvirt.describe(well.id).map(drop))),
            ("pause", timed(|| live.libvirt.pause(well.id))),
            ("resume", timed(|| live.libvirt.resume(well.id))),
            ("counters", timed(|| live.libvirt.counters().map(drop))),
            ("tag", timed(|| live.libvirt.tag(well.id, Some(&well.identity), Lifetime::Persistent))),
        ] {
            answer.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(took < Duration::from_secs(1), "{name} took {took:?}");
            slowest = slowest.max(took);
        }
    }
    println!("the slowest call on another VM took {slowest:?}");
    assert_eq!(live.state(well.id), Some(PowerState::Running));
    let counters = live.libvirt.counters().expect("it answers");
    assert!(counters[&well.id].cpu_time_ns > 0);

    let (took, ()) = timed(|| live.libvirt.power_off(stuck.id).expect("a hung QEMU can be ended"));
    println!("a hung QEMU was ended in {took:?}");
    live.wait_state(stuck.id, 10, PowerState::Stopped);
    wait("the calls on it were let go", 40, || done.load(Ordering::SeqCst) == many);
    live.hear("it was told", 5, |notice| *notice == Notice::LifeChanged(stuck.id));
    live.libvirt.pause(well.id).expect("it pauses");
    assert_eq!(live.state(well.id), Some(PowerState::Paused(PausedReason::User)));

    signal(qemu_of(well.id), "STOP");
    let hung = Arc::clone(&live);
    let id = well.id;
    let call = std::thread::spawn(move || hung.libvirt.resume(id));
    std::thread::sleep(Duration::from_millis(200));
    let (took, ()) = timed(|| live.libvirt.close());
    assert!(took < Duration::from_millis(100), "closing took {took:?}");
    signal(qemu_of(well.id), "KILL");
    let _ = call.join().expect("it did not panic");
    let _ = live.libvirt.undefine(well.id, Undefine::WithState);
}
