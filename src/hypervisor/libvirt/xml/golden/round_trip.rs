//! What libvirt makes of the definitions, and what is read back.

use super::super::write_domain;
use super::settled::settled;
use super::{Case, specs, whole_host};
use crate::hypervisor::libvirt::Libvirt;
use crate::hypervisor::libvirt::xml::{HostProfile, read_domain};
use crate::hypervisor::{Accelerator, AcceleratorChoice, Hypervisor, HypervisorError, Notice, Undefine};
use crate::model::spec::{DisplayKind, VmSpec};
use crate::model::units::Mib;

/// Lines of the debug text that differ.
fn difference(wanted: &VmSpec, read: &VmSpec) -> String {
    let (wanted, read) = (format!("{wanted:#?}"), format!("{read:#?}"));
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (wanted, read) = (lines(&wanted), lines(&read));
    let missing = wanted.iter().filter(|line| !read.contains(line)).map(|line| format!("  wanted {}", line.trim()));
    let added = read.iter().filter(|line| !wanted.contains(line)).map(|line| format!("  read   {}", line.trim()));
    missing.chain(added).collect::<Vec<_>>().join("\n")
}

fn complain(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_written_is_read() {
    let mut wrong = Vec::new();
    for case in specs::table() {
        let definition = case.definition();
        let text = write_domain(&definition, &whole_host(case.accelerator)).expect("the golden test has shown it");
        let read = read_domain(&text.0).expect("our own text can be read");
        // The machine type is the host's to choose, and fixed from then on.
        let wanted = VmSpec { machine: read.spec.machine.clone(), ..settled(&case.spec, case.accelerator) };
        if read.spec != wanted {
            wrong.push(format!("{}\n{}", case.name, difference(&wanted, &read.spec)));
        }
        if read.identity.as_ref() != Some(&definition.identity) {
            wrong.push(format!("{}\n  wanted {:?}\n  read   {:?}", case.name, definition.identity, read.identity));
        }
        assert_eq!((read.id, &read.name), (definition.id, &definition.hypervisor_name), "{}", case.name);
    }
    complain(&wrong);
}

/// Connected to `uri`, within 30 s.
fn connected(uri: &str) -> Libvirt {
    let libvirt = Libvirt::new(uri.to_owned(), AcceleratorChoice::Tcg);
    let (send, notices) = std::sync::mpsc::channel();
    libvirt.run(Box::new(move |notice| {
        let _ = send.send(notice);
    }));
    match notices.recv_timeout(std::time::Duration::from_secs(30)) {
        Ok(Notice::Connected) => libvirt,
        other => panic!("{uri}: {other:?}"),
    }
}

/// libvirt fills in what a card has where nothing was asked for.
fn with_video_memory(mut spec: VmSpec, read: &VmSpec) -> VmSpec {
    if spec.display.kind != DisplayKind::None && spec.display.video_memory == Mib(0) {
        spec.display.video_memory = read.display.video_memory;
    }
    spec
}

/// Define, read back, undefine.
fn through(
    libvirt: &Libvirt,
    case: &Case,
    wanted: VmSpec,
    text: &crate::model::definition::DefinitionText,
) -> Result<(), String> {
    let definition = case.definition();
    libvirt.define(definition.id, text).map_err(|error| format!("{}: define: {error}", case.name))?;
    let described = libvirt.describe(definition.id);
    let again = libvirt.define(definition.id, text);
    libvirt
        .undefine(definition.id, Undefine::WithState)
        .map_err(|error| format!("{}: undefine: {error}", case.name))?;
    let mut described = match described {
        Ok(Some(described)) => described,
        other => return Err(format!("{}: describe: {other:?}", case.name)),
    };
    again.map_err(|error| format!("{}: defined again: {error}", case.name))?;
    let mut wanted = with_video_memory(wanted, &described.spec);
    wanted.machine.clone_from(&described.spec.machine);
    // libvirt keeps the disks of one bus together; the boot order stands at each.
    let by_id = |spec: &mut VmSpec| spec.disks.sort_by(|left, right| left.id.cmp(&right.id));
    by_id(&mut wanted);
    by_id(&mut described.spec);
    if described.spec != wanted {
        return Err(format!("{}\n{}", case.name, difference(&wanted, &described.spec)));
    }
    if described.identity.as_ref() != Some(&definition.identity) {
        return Err(format!("{}\n  wanted {:?}\n  read   {:?}", case.name, definition.identity, described.identity));
    }
    match libvirt.look(definition.id) {
        Ok(None) => Ok(()),
        other => Err(format!("{}: after undefine: {other:?}", case.name)),
    }
}

#[test]
fn the_test_driver_takes_and_returns_each() {
    let libvirt = connected("test:///default");
    let mut wrong = Vec::new();
    for case in specs::table() {
        let text = match write_domain(&case.definition(), &HostProfile::for_test_driver()) {
            Ok(text) => text,
            Err(error) => {
                wrong.push(format!("{}: {error}", case.name));
                continue;
            }
        };
        let wanted = settled(&case.spec, Accelerator::Tcg);
        if let Err(why) = through(&libvirt, &case, wanted, &text) {
            wrong.push(why);
        }
    }
    libvirt.close();
    complain(&wrong);
}

/// The very text of the golden file, wherever the host can run it.
#[test]
fn a_real_libvirtd_takes_and_returns_each() {
    let Ok(uri) = std::env::var("QKVM_LIBVIRT_URI") else {
        println!("QKVM_LIBVIRT_URI is not set: skipped");
        return;
    };
    let libvirt = connected(&uri);
    let (mut wrong, mut taken) = (Vec::new(), 0);
    for case in specs::table() {
        if case.accelerator == Accelerator::Kvm {
            continue;
        }
        let definition = case.definition();
        if let Err(HypervisorError::Unsupported(why)) = libvirt.render(&definition) {
            println!("{}: this host cannot: {why}", case.name);
            continue;
        }
        let text = write_domain(&definition, &whole_host(case.accelerator)).expect("the golden test has shown it");
        match through(&libvirt, &case, settled(&case.spec, case.accelerator), &text) {
            Ok(()) => taken += 1,
            Err(why) => wrong.push(why),
        }
    }
    libvirt.close();
    println!("{taken} definitions taken and returned by {uri}");
    complain(&wrong);
    assert!(taken >= 40, "only {taken} were taken");
}
