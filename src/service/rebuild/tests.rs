use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::hypervisor::libvirt::Libvirt;
use crate::hypervisor::{AcceleratorChoice, Notice};
use crate::model::definition::VolumeRef;
use crate::model::id::DEFAULT_PROJECT;
use crate::model::spec::{GuestOs, GuestOsFamily};
use crate::model::vm::Origin;
use crate::service::core::Core;
use crate::service::inventory::Inventory;
use crate::service::node::local_node_id;
use crate::service::reconcile::compare;

const HERE: &str = "20000000-0000-4000-8000-000000000001";
const ELSEWHERE: &str = "20000000-0000-4000-8000-000000000002";

const FOREIGN: &str = "<node><domain type='test'><name>theirs</name><memory>65536</memory>\
    <os><type>hvm</type></os></domain></node>";

fn id(n: u32) -> String {
    format!("10000000-0000-4000-8000-{n:012}")
}

/// libvirt's test driver with this host, connected.
fn host(xml: &str) -> (tempfile::TempDir, Libvirt) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("host.xml");
    std::fs::write(&file, xml).expect("the test driver's file");
    let libvirt = Libvirt::new(format!("test://{}", file.display()), AcceleratorChoice::Tcg);
    let (tell, told) = std::sync::mpsc::channel();
    libvirt.run(Box::new(move |notice| {
        let _ = tell.send(notice);
    }));
    match told.recv_timeout(Duration::from_secs(20)).expect("the test driver answers") {
        Notice::Connected => (directory, libvirt),
        Notice::Disconnected(why) => panic!("the test driver is away: {why}"),
        other @ (Notice::LifeChanged(_)
        | Notice::DefinitionChanged(_)
        | Notice::Undefined(_)
        | Notice::Rebooted(_)
        | Notice::AgentChanged(..)
        | Notice::NetworkChanged) => panic!("it is not connected yet: {other:?}"),
    }
}

#[test]
fn every_vm_of_ours_has_its_record_again() {
    let (_directory, libvirt) = host(include_str!("../../../tests/golden/rebuild/host.xml"));
    let store = Store::in_memory().expect("memory does not fail");

    let report = rebuild(&libvirt, &store).expect("a fresh store and a host that answers");
    let here: NodeId = HERE.parse().expect("an id");
    assert_eq!(report.node_id, Some(here));
    let names: Vec<&str> = report.vms.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["web-1", "web-2", "web-3"]);
    let why = |n: u32| {
        let skipped = report.skipped.iter().find(|skipped| skipped.id.to_string() == id(n));
        skipped.map(|skipped| skipped.why.clone()).unwrap_or_default()
    };
    assert!(why(4).contains("no metadata"), "{}", why(4));
    assert!(why(5).contains(&format!("copied from VM {}", id(1))), "{}", why(5));
    assert!(why(6).contains(ELSEWHERE), "{}", why(6));
    assert!(why(7).contains("has its name"), "{}", why(7));
    assert!(why(8).contains("no metadata"), "{}", why(8));
    assert_eq!(report.skipped.len(), 5);

    assert_eq!(store.verify(), Ok(()));
    assert_eq!(local_node_id(&store, None), Ok(here), "this host is the node that it was");
    assert_eq!(store.vm_all().expect("rows").len(), 3);
    let vm = store.vm_get_by_name(DEFAULT_PROJECT, "web-2").expect("a row").expect("the older of two keeps the name");
    assert_eq!((vm.id.to_string(), vm.node_id, vm.origin), (id(2), here, Origin::ControlPlane));
    assert_eq!((vm.description.as_str(), vm.created_by.as_str()), ("a & b", "ann"));
    assert_eq!((vm.created_at, vm.generation), (Moment(1002), 7));
    assert_eq!((vm.start_order, vm.start_delay_sec), (Some(3), Some(9)));
    let protected = store.vm_all().expect("rows").iter().filter(|vm| vm.deletion_protection.is_on()).count();
    assert!(vm.deletion_protection.is_on() && protected == 1, "{protected} are protected");
    assert_eq!(vm.guest_os, GuestOs { family: GuestOsFamily::Debian, variant: "debian12".to_owned() });
    let volume = VolumeRef { pool: "default".to_owned(), volume: "web-2.qcow2".to_owned() };
    assert_eq!(vm.owned_volumes, [volume]);
    assert_eq!(vm.labels.get("tier").map(String::as_str), Some("front"));
    assert_eq!(vm.hypervisor_name, "vm-2");
    assert!(vm.definition.0.contains(&id(2)), "the definition is kept, for when it is undefined outside");

    let again = rebuild(&libvirt, &store).expect_err("the store is no fresh one any more");
    assert!(matches!(again, ServiceError::Precondition { .. }), "{again}");
    libvirt.close();
}

#[test]
fn a_host_without_vms_of_ours_is_no_error() {
    let (_directory, libvirt) = host(FOREIGN);
    let store = Store::in_memory().expect("memory does not fail");
    let report = rebuild(&libvirt, &store).expect("a fresh store and a host that answers");
    assert_eq!((report.node_id, report.vms.len(), report.skipped.len()), (None, 0, 1));
    libvirt.close();
}

/// Without a rebuild the comparison takes in the same host, the two of one name among it.
#[test]
fn two_of_a_name_do_not_keep_the_comparison_from_ending() {
    let (_directory, libvirt) = host(include_str!("../../../tests/golden/rebuild/host.xml"));
    let libvirt = Arc::new(libvirt);
    let store = Store::in_memory().expect("memory does not fail");
    let inventory = Inventory::new(Arc::new(|_| crate::model::spec::VmSpec::default()));
    let here = HERE.parse().expect("an id");
    let core = Core::new(store.clone(), Arc::clone(&libvirt) as Arc<dyn Hypervisor>, inventory, here);
    for round in 1..=2 {
        compare(&core).expect("a comparison");
        assert_eq!(store.verify(), Ok(()), "round {round}");
        let vms = store.vm_all().expect("rows");
        // Which of the two that share a name gets it is libvirt's order's to say.
        let mut ours: Vec<_> = vms.iter().filter(|vm| vm.origin.is_managed()).map(|vm| vm.name.as_str()).collect();
        ours.sort_unstable();
        assert_eq!(ours, ["web-1", "web-2", "web-3"], "round {round}");
        assert_eq!(vms.len(), 8);
    }
    libvirt.close();
}
