//! A libvirtd that stops, comes back, or hangs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Daemon, Live, from_kernel, signal, small, small_spec, timed, uri, wait};
use crate::hypervisor::{Hypervisor, HypervisorError, Notice, StartFrom, Undefine};
use crate::model::spec::VmSpec;
use crate::model::vm::PowerState;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("it is there").count()
}

fn is_disconnected(notice: &Notice) -> bool {
    matches!(notice, Notice::Disconnected(_))
}

fn is_connected(notice: &Notice) -> bool {
    *notice == Notice::Connected
}

#[test]
fn stopped_and_started_again() {
    if uri().is_none() {
        return;
    }
    let daemon = Daemon::start("stop");
    let live = Live::to(&daemon.uri());
    let h = &live.libvirt;
    let definition = small("stop", VmSpec { boot: from_kernel(), ..small_spec() });
    let id = definition.id;
    live.define(&definition);
    h.start(id, StartFrom::FreshBoot).expect("it starts");
    live.forget();

    daemon.run(&["kill", "TERM"]);
    live.hear("stopped", 2, is_disconnected);
    let (took, answer) = timed(|| h.list());
    assert!(matches!(answer, Err(HypervisorError::Unreachable(_))), "{answer:?}");
    assert!(took < Duration::from_millis(50), "{took:?}");
    let (took, answer) = timed(|| h.pause(id));
    assert!(matches!(answer, Err(HypervisorError::Unreachable(_))), "{answer:?}");
    assert!(took < Duration::from_millis(50), "{took:?}");
    assert!(h.health().is_err());
    live.forget();

    daemon.run(&["restart"]);
    live.hear("started again", 2, is_connected);
    assert_eq!(live.state(id), Some(PowerState::Running), "guests outlive the daemon");
    h.health().expect("it is well");
    h.pause(id).expect("it pauses");
    live.hear("paused", 5, |notice| *notice == Notice::LifeChanged(id));
    h.resume(id).expect("it resumes");

    // Each return takes what the one before left.
    let mut before = 0;
    for round in 0..6 {
        live.forget();
        daemon.run(&["kill", "KILL"]);
        live.hear("killed", 2, is_disconnected);
        daemon.run(&["restart"]);
        live.hear("started again", 3, is_connected);
        h.pause(id).expect("it pauses");
        h.resume(id).expect("it resumes");
        if round == 0 {
            before = open_files();
        }
    }
    wait("no file is left open", 5, || open_files() <= before + 2);
    h.power_off(id).expect("it goes off");
    h.undefine(id, Undefine::WithState).expect("it goes");
}

#[test]
fn hung_and_let_go() {
    if uri().is_none() {
        return;
    }
    let daemon = Daemon::start("hung");
    let live = Arc::new(Live::to(&daemon.uri()));
    let definition = small("hung", small_spec());
    live.define(&definition);
    live.libvirt.counters().expect("it answers");
    live.forget();
    let pid: i32 = daemon.run(&["pid"]).parse().expect("a number");
    signal(pid, "STOP");
    let begun = Instant::now();
    let pending: Vec<_> = (0..12)
        .map(|number| {
            let live = Arc::clone(&live);
            std::thread::spawn(move || {
                let answer =
                    if number % 2 == 0 { live.libvirt.list().map(drop) } else { live.libvirt.counters().map(drop) };
                (answer, Instant::now())
            })
        })
        .collect();
    live.hear("hung", 5, is_disconnected);
    println!("a hung libvirtd was noticed after {:?}", begun.elapsed());
    let (took, answer) = timed(|| live.libvirt.list());
    assert!(matches!(answer, Err(HypervisorError::Unreachable(_))) && took < Duration::from_millis(50), "{answer:?}");
    for call in pending {
        let (answer, ended) = call.join().expect("it did not panic");
        assert!(matches!(answer, Err(HypervisorError::Unreachable(_))), "{answer:?}");
        let took = ended - begun;
        assert!(took < Duration::from_secs(8), "a call was let go after {took:?}");
    }
    println!("the last call was let go after {:?}", begun.elapsed());
    live.forget();
    signal(pid, "CONT");
    let took = live.hear("back", 15, is_connected);
    println!("back {took:?} after it went on");
    wait("it lists", 5, || live.libvirt.list().is_ok_and(|all| all.iter().any(|vm| vm.id == definition.id)));
    live.forget();
    live.libvirt.undefine(definition.id, Undefine::WithState).expect("it goes");
    live.hear("undefined", 5, |notice| *notice == Notice::Undefined(definition.id));

    // A link that is closed while its daemon hangs holds up nobody.
    signal(pid, "STOP");
    let (took, ()) = timed(|| live.libvirt.close());
    signal(pid, "CONT");
    assert!(took < Duration::from_millis(100), "{took:?}");
}
