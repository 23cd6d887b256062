//! A host that outlives the processes on it: libvirt's test driver and a store, over which the
//! service is put together as the server does it, killed, and put together again.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use quantixkvm::hypervisor::libvirt::Libvirt;
use quantixkvm::hypervisor::{AcceleratorChoice, Hypervisor, Notice};
use quantixkvm::model::access::Rights;
use quantixkvm::model::id::DEFAULT_PROJECT;
use quantixkvm::model::operation::OperationState;
use quantixkvm::model::spec::{Cpu, Disk, Memory, VmSpec};
use quantixkvm::model::units::{Gib, Mib};
use quantixkvm::model::vm::DeletionProtection;
use quantixkvm::service::core::{Core, LinkState};
use quantixkvm::service::demo::{Demo, DemoMachine};
use quantixkvm::service::inventory::{Inventory, ReadSpec, Vm};
use quantixkvm::service::node::{Machine, NodeService, ThisMachine, local_node_id};
use quantixkvm::service::operations::OperationService;
use quantixkvm::service::reconcile::Reconciler;
use quantixkvm::service::requests::{Caller, CreateVm};
use quantixkvm::service::vm::{Readiness, VmService};
use quantixkvm::store::{OperationFilter, Store};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::wrapper::Faulty;

const SOON: Duration = Duration::from_secs(20);

/// What lasts.
pub struct World {
    pub faulty: Arc<Faulty>,
    pub real: Arc<dyn Hypervisor>,
    pub store: Store,
    /// The test driver reads it at each connection.
    file: OnceLock<Demo>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.faulty.end();
    }
}

impl World {
    /// Over the test driver.
    pub async fn new() -> Self {
        let file = Demo::prepare().expect("the kernel gives a file in memory");
        let world = Self::on(Arc::new(Libvirt::new(file.uri(), AcceleratorChoice::Auto))).await;
        world.file.set(file).ok().expect("it is new");
        world
    }

    /// Over this one, once it answers.
    pub async fn on(real: Arc<dyn Hypervisor>) -> Self {
        let faulty = Faulty::new(Arc::clone(&real));
        let deadline = Instant::now() + SOON;
        while real.health().is_err() {
            assert!(Instant::now() < deadline, "libvirt does not answer");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { faulty, real, store: Store::in_memory().expect("a store"), file: OnceLock::new() }
    }

    /// What libvirt has: VMs by id and volumes by name.
    pub fn holds(&self) -> BTreeSet<String> {
        let vms = self.real.list().expect("it answers").into_iter().map(|vm| format!("VM {}", vm.id));
        let volumes = self.real.volumes("default").expect("it answers").into_iter();
        vms.chain(volumes.map(|volume| format!("volume {}", volume.at.volume))).collect()
    }

    /// A process starts.
    pub async fn start(&self) -> Process {
        let hypervisor: Arc<dyn Hypervisor> = Arc::clone(&self.faulty) as Arc<dyn Hypervisor>;
        let node_id = local_node_id(&self.store, None).expect("the store answers");
        let reader = Arc::clone(&hypervisor);
        let read: ReadSpec = Arc::new(move |text| reader.read(text).unwrap_or_default());
        let core = Arc::new(Core::new(self.store.clone(), Arc::clone(&hypervisor), Inventory::new(read), node_id));
        let records = core.store.vm_all().expect("the store answers");
        core.inventory.write(|_, edits| {
            for record in records {
                edits.put(Vm::of_record(record));
            }
        });
        let operations = Arc::new(OperationService::new(Arc::clone(&core)));
        operations.reclaim().expect("the store answers");
        let machine: Arc<dyn Machine> = Arc::new(DemoMachine::new(ThisMachine::new("/".into())));
        let nodes = Arc::new(
            NodeService::open(Arc::clone(&core), Arc::clone(&operations), machine, None).expect("the store answers"),
        );
        let (readiness, mut ready) = watch::channel(Readiness::NotReady(String::new()));
        let vms =
            Arc::new(VmService::new(Arc::clone(&core), Arc::clone(&operations), Arc::clone(&nodes), ready.clone()));
        let (sender, notices) = mpsc::unbounded_channel();
        let link = Arc::clone(&core);
        self.faulty.listen(Arc::new(move |notice| {
            if notice == Notice::Connected {
                link.link.send_replace(LinkState::Up);
            }
            let _ = sender.send(notice);
        }));
        let stop = CancellationToken::new();
        let reconciler = Reconciler { core: Arc::clone(&core), operations: Arc::clone(&operations), nodes, readiness };
        tokio::spawn(reconciler.run(notices, stop.clone()));
        let compared = ready.wait_for(|readiness| *readiness == Readiness::Ready);
        tokio::time::timeout(SOON, compared).await.expect("ready in time").expect("it runs");
        Process { core, vms, operations, stop }
    }

    /// Operations that are recorded as unfinished.
    pub fn unfinished(&self) -> usize {
        let filter = OperationFilter { states: vec![OperationState::Running], ..OperationFilter::default() };
        self.store.operation_list(&filter, 100, None).expect("the store answers").1
    }
}

/// What a process is made of.
pub struct Process {
    pub core: Arc<Core>,
    pub vms: Arc<VmService>,
    pub operations: Arc<OperationService>,
    stop: CancellationToken,
}

impl Process {
    /// Its tasks end; what hangs in the wrapper is dead already.
    pub fn bury(self) {
        self.stop.cancel();
    }

    /// Until nothing is in flight any more.
    pub async fn settled(&self) {
        let deadline = Instant::now() + SOON;
        while !self.operations.in_flight().is_empty() {
            assert!(Instant::now() < deadline, "still in flight: {:?}", self.operations.in_flight());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub fn caller() -> Caller {
    Caller { user: "test".to_owned(), rights: Rights::WHOLE, request_id: "r-1".to_owned(), idempotency: None }
}

/// Two disks and everything else that has a step of its own.
pub fn wanted(name: &str) -> CreateVm {
    let disk = || Disk { size: Gib(1), ..Disk::default() };
    CreateVm {
        name: name.to_owned(),
        project_id: DEFAULT_PROJECT,
        description: String::new(),
        labels: Default::default(),
        spec: VmSpec {
            cpu: Cpu { cores: 1, ..Cpu::default() },
            memory: Memory { size: Mib(256), ..Memory::default() },
            disks: vec![disk(), disk()],
            ..VmSpec::default()
        },
        start_on_create: true,
        autostart: true,
        deletion_protection: DeletionProtection::Off,
        node_id: None,
    }
}
