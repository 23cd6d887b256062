//! The service on the demo, put together as the server does: the first comparison finds the VMs
//! that were seeded and nothing else, no condition complains, and the verbs of the seed's own
//! lines succeed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::tests::vm;
use super::*;
use crate::hypervisor::libvirt::Libvirt;
use crate::hypervisor::{AcceleratorChoice, Hypervisor};
use crate::model::access::Rights;
use crate::model::id::DEFAULT_PROJECT;
use crate::model::node::{ConditionKind, ConditionStatus, NodePhase};
use crate::model::spec::{Cpu, Disk, Memory, Nic, VmSpec};
use crate::model::units::{Gib, Mib};
use crate::model::vm::{DeletionProtection, Moment, Origin, PowerState};
use crate::service::core::Core;
use crate::service::inventory::{Inventory, ReadSpec, Vm};
use crate::service::node::{Machine, NodeService, ThisMachine, local_node_id};
use crate::service::operations::OperationService;
use crate::service::reconcile::Reconciler;
use crate::service::requests::{Caller, CreateVm, DeleteVm, StopVm};
use crate::service::vm::{Readiness, Reboot, VmService};
use crate::store::{EventFilter, Store};

struct House {
    core: Arc<Core>,
    nodes: Arc<NodeService>,
    vms: VmService,
    stop: CancellationToken,
    _demo: Demo,
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
        self.core.hypervisor.close();
    }
}

async fn open() -> House {
    let demo = Demo::prepare().expect("the kernel gives a file in memory");
    let store = Store::in_memory().expect("a store in memory");
    seed(&store).expect("an empty store takes it");
    let libvirt: Arc<dyn Hypervisor> = Arc::new(Libvirt::new(demo.uri(), AcceleratorChoice::Auto));
    let node_id = local_node_id(&store, None).expect("it is kept");
    let reader = Arc::clone(&libvirt);
    let read: ReadSpec = Arc::new(move |text| reader.read(text).unwrap_or_default());
    let core = Arc::new(Core::new(store, Arc::clone(&libvirt), Inventory::new(read), node_id));
    let records = core.store.vm_all().expect("it answers");
    core.inventory.write(|_, edits| {
        edits.stale(Some((Moment::now(), "not connected yet".to_owned())));
        for record in records {
            let mut vm = Vm::of_record(record);
            vm.stale = true;
            edits.put(vm);
        }
    });
    let operations = Arc::new(OperationService::new(Arc::clone(&core)));
    let machine: Arc<dyn Machine> = Arc::new(DemoMachine::new(ThisMachine::new("/".into())));
    let opened = NodeService::open(Arc::clone(&core), Arc::clone(&operations), Arc::clone(&machine), None);
    let nodes = Arc::new(opened.expect("the store answers"));
    let (readiness, mut ready) = watch::channel(Readiness::NotReady(String::new()));
    let vms = VmService::new(Arc::clone(&core), Arc::clone(&operations), Arc::clone(&nodes), ready.clone());
    let (sender, notices) = mpsc::unbounded_channel();
    let link = Arc::clone(&core);
    libvirt.run(Box::new(move |notice| {
        if notice == crate::hypervisor::Notice::Connected {
            link.link.send_replace(crate::service::core::LinkState::Up);
        }
        // The test may have ended.
        let _ = sender.send(notice);
    }));
    let stop = CancellationToken::new();
    let reconciler = Reconciler { core: Arc::clone(&core), operations, nodes: Arc::clone(&nodes), readiness };
    tokio::spawn(reconciler.run(notices, stop.clone()));
    tokio::spawn(Arc::clone(&core).keeper(stop.clone()));
    tokio::spawn(heartbeats(Arc::clone(&nodes), machine, stop.clone()));
    let compared = ready.wait_for(|readiness| *readiness == Readiness::Ready);
    tokio::time::timeout(Duration::from_secs(20), compared).await.expect("in time").expect("it runs");
    House { core, nodes, vms, stop, _demo: demo }
}

/// Until this holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_comparison_finds_what_was_seeded() {
    let house = open().await;
    let picture = house.core.inventory.picture();
    assert_eq!(picture.vms.len(), 4);
    for known in picture.vms.values() {
        let seeded = vm(&known.record.name);
        assert_eq!((known.record.id, known.record.state), (seeded.id, seeded.state));
        assert_eq!((known.record.origin, known.stale), (Origin::ControlPlane, false));
        assert!(known.pending_changes.is_empty() && known.record.lost_reason.is_empty());
    }
    house.core.keep_now().expect("the store takes it");
    let events =
        house.core.store.event_list(&EventFilter { limit: 100, ..EventFilter::default() }).expect("it answers");
    assert!(events.iter().all(|event| !event.event.kind.starts_with("vm.")), "{events:?}");

    house.nodes.tick().await.expect("the store takes it");
    let local = house.nodes.local().expect("it is there");
    assert_eq!((local.record.hostname.as_str(), local.phase), ("hypervisor-01", NodePhase::Ready));
    assert_eq!((local.vm_count, local.vm_running_count), (4, 3));
    for (kind, status) in local.conditions.iter().map(|condition| (condition.kind, condition.status)) {
        let wanted = match kind {
            ConditionKind::Ready | ConditionKind::StoragePoolReady | ConditionKind::NetworkReady => {
                ConditionStatus::True
            }
            ConditionKind::MemoryPressure | ConditionKind::DiskPressure => ConditionStatus::False,
            ConditionKind::KvmAvailable | ConditionKind::BackupFresh => ConditionStatus::Unknown,
        };
        assert_eq!(status, wanted, "{kind:?}");
    }
    assert_eq!(local.conditions.len(), 7);
    until("the other nodes report", || {
        let picture = house.nodes.picture();
        picture.nodes.len() == 3
            && picture.nodes.values().all(|node| node.phase == NodePhase::Ready && !node.conditions.is_empty())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verbs_of_the_seed_succeed() {
    let house = open().await;
    let id = vm("dev-workstation").id;
    let caller =
        Caller { user: "test".to_owned(), rights: Rights::WHOLE, request_id: String::new(), idempotency: None };
    let started = house.vms.start(&caller, id).await.expect("it starts");
    assert_eq!(started.record.state, PowerState::Running);
    house.vms.reboot(&caller, id, Reboot::Graceful).await.expect("it reboots");
    house.vms.pause(&caller, id).await.expect("it pauses");
    house.vms.resume(&caller, id).await.expect("it resumes");
    let saved = house.vms.suspend(&caller, id).await.expect("it is saved");
    assert_eq!(saved.record.state, PowerState::Suspended);
    house.vms.start(&caller, id).await.expect("it is restored");
    let stopped = house.vms.stop(&caller, id, StopVm::default()).await.expect("it stops");
    assert_eq!(stopped.record.state, PowerState::Stopped);

    let spec = VmSpec {
        cpu: Cpu { cores: 2, ..Cpu::default() },
        memory: Memory { size: Mib(2048), ..Memory::default() },
        disks: vec![Disk { size: Gib(20), ..Disk::default() }],
        nics: vec![Nic::default()],
        ..VmSpec::default()
    };
    let wanted = CreateVm {
        name: "new".to_owned(),
        project_id: DEFAULT_PROJECT,
        description: String::new(),
        labels: std::collections::BTreeMap::new(),
        spec,
        start_on_create: true,
        autostart: false,
        deletion_protection: DeletionProtection::Off,
        node_id: None,
    };
    let made = house.vms.create(&caller, wanted).await.expect("it is made");
    assert_eq!(made.record.state, PowerState::Running);
    let host = &house.core.hypervisor;
    assert_eq!(host.volumes("default").expect("it answers").len(), 5);
    let how = DeleteVm { force: true, delete_volumes: true, remove_from_inventory_only: false };
    house.vms.delete(&caller, made.record.id, how).await.expect("it goes");
    assert_eq!(host.volumes("default").expect("it answers").len(), 4);
    let left = house.core.inventory.picture();
    assert_eq!(left.vms.len(), 4);
    assert!(left.vms.values().all(|vm| vm.operation.is_none() && vm.record.state != PowerState::Lost));
}
