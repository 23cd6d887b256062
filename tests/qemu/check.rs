//! The proof of an accelerator: a real kernel, started and heard.

use std::time::Duration;

use quantixkvm::hypervisor::libvirt::prove;
use quantixkvm::hypervisor::{Accelerator, Kernel, Proof};

use crate::support::testbed::{Testbed, guest};

#[test]
fn a_kernel_that_speaks_is_heard_and_ended() {
    let bed = Testbed::new();
    let kernel = Kernel { kernel: guest().join("vmlinuz"), initrd: None };
    match prove(&bed.uri, &kernel, Accelerator::Tcg, Duration::from_secs(60)) {
        Proof::Spoke(line) => assert!(line.starts_with("Linux version 6"), "{line}"),
        other @ (Proof::Silent | Proof::NotStarted(_)) => panic!("{other:?}"),
    }
    assert_eq!(bed.virsh(&["list", "--all", "--name"]), "", "nothing is left of it");
}

#[test]
fn what_cannot_be_started_is_told_in_time() {
    let bed = Testbed::new();
    let missing = Kernel { kernel: "/nonexistent/vmlinuz".into(), initrd: None };
    let proof = prove(&bed.uri, &missing, Accelerator::Tcg, Duration::from_secs(10));
    assert!(matches!(&proof, Proof::NotStarted(why) if why.contains("/nonexistent/vmlinuz")), "{proof:?}");
    // The testbed has no /dev/kvm.
    let kernel = Kernel { kernel: guest().join("vmlinuz"), initrd: None };
    let proof = prove(&bed.uri, &kernel, Accelerator::Kvm, Duration::from_secs(10));
    assert!(matches!(proof, Proof::NotStarted(_)), "{proof:?}");
    assert_eq!(bed.virsh(&["list", "--all", "--name"]), "");
}
