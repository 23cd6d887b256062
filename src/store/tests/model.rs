//! Random sequences of operations against plain maps: whatever is asked, the file answers as the
//! maps do, also after it was closed and opened.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    VmCreate(VmRecord),
    VmUpdate(VmRecord),
    VmStatus(VmId, PowerState),
    VmDelete(VmId),
    NodeCreate(NodeRecord),
    NodeUpdate(NodeRecord),
    NodeStatus(NodeId, NodePhase),
    NodeHeartbeat(NodeId, u32),
    NodeDelete(NodeId),
    Reopen,
}

fn a_vm() -> impl Strategy<Value = VmRecord> {
    let origin = prop_oneof![Just(Origin::ControlPlane), Just(Origin::HostDiscovered), Just(Origin::Imported)];
    let state = a_state();
    (0..12_u32, 0..5_u32, 0..2_u32, 0..3_u32, origin, state, 0..3_u8).prop_map(
        |(id, name, project_number, node, origin, state, label)| VmRecord {
            id: vm_id(id),
            name: ["a", "b", "ab", "", "b\u{e4}"][name as usize].to_owned(),
            project_id: project(project_number),
            node_id: node_id(node),
            origin,
            state,
            labels: (0..label).map(|n| (format!("k{n}"), "v".to_owned())).collect(),
            ..vm(id)
        },
    )
}

fn a_state() -> impl Strategy<Value = PowerState> {
    prop_oneof![Just(PowerState::Running), Just(PowerState::Stopped), Just(PowerState::Lost)]
}

fn a_phase() -> impl Strategy<Value = NodePhase> {
    prop_oneof![Just(NodePhase::Ready), Just(NodePhase::NotReady), Just(NodePhase::Draining)]
}

fn a_node() -> impl Strategy<Value = NodeRecord> {
    (0..5_u32, 0..4_u32, 0..3_u32, a_phase(), any::<bool>(), any::<bool>()).prop_map(
        |(id, hostname, cluster, phase, schedulable, compute)| {
            let mut node = NodeRecord {
                id: node_id(id),
                hostname: format!("host-{hostname}"),
                cluster_id: ["", "a", "aa"][cluster as usize].to_owned(),
                phase,
                ..node(id)
            };
            node.scheduling.schedulable = schedulable;
            node.role.compute = compute;
            node
        },
    )
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => a_vm().prop_map(Step::VmCreate),
        4 => a_vm().prop_map(Step::VmUpdate),
        2 => (0..12_u32, a_state()).prop_map(|(id, state)| Step::VmStatus(vm_id(id), state)),
        2 => (0..12_u32).prop_map(|id| Step::VmDelete(vm_id(id))),
        3 => a_node().prop_map(Step::NodeCreate),
        2 => a_node().prop_map(Step::NodeUpdate),
        1 => (0..5_u32, a_phase()).prop_map(|(id, phase)| Step::NodeStatus(node_id(id), phase)),
        1 => (0..5_u32, any::<u32>()).prop_map(|(id, vms)| Step::NodeHeartbeat(node_id(id), vms)),
        1 => (0..5_u32).prop_map(|id| Step::NodeDelete(node_id(id))),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Default)]
struct Model {
    vms: BTreeMap<VmId, VmRecord>,
    nodes: BTreeMap<NodeId, NodeRecord>,
}

impl Model {
    /// Whether this VM may be put: what is ours takes no name that another has, but keeps its own.
    fn takes(&self, vm: &VmRecord) -> bool {
        let same = |other: &VmRecord| other.project_id == vm.project_id && other.name == vm.name;
        let keeps = self.vms.get(&vm.id).is_some_and(|before| before.origin.is_managed() && same(before));
        !vm.origin.is_managed() || keeps || !self.vms.values().any(|other| other.id != vm.id && same(other))
    }

    fn hosts(&self, node: &NodeRecord) -> bool {
        !self.nodes.values().any(|other| other.id != node.id && other.hostname == node.hostname)
    }

    /// Do the step; whether it is allowed.
    fn step(&mut self, step: &Step) -> bool {
        match step {
            Step::VmCreate(vm) => {
                let good = !self.vms.contains_key(&vm.id) && self.takes(vm);
                good && self.vms.insert(vm.id, vm.clone()).is_none()
            }
            Step::VmUpdate(vm) => {
                let good = self.vms.contains_key(&vm.id) && self.takes(vm);
                good && self.vms.insert(vm.id, vm.clone()).is_some()
            }
            Step::VmStatus(id, state) => self.vms.get_mut(id).is_some_and(|vm| {
                vm.state = *state;
                vm.state_changed_at = Moment(JULY);
                true
            }),
            Step::VmDelete(id) => self.vms.remove(id).is_some() || true_of_absent(),
            Step::NodeCreate(node) => {
                let good = !self.nodes.contains_key(&node.id) && self.hosts(node);
                good && self.nodes.insert(node.id, node.clone()).is_none()
            }
            Step::NodeUpdate(node) => {
                let good = self.nodes.contains_key(&node.id) && self.hosts(node);
                good && self.nodes.insert(node.id, node.clone()).is_some()
            }
            Step::NodeStatus(id, phase) => self.nodes.get_mut(id).is_some_and(|node| {
                node.phase = *phase;
                "why".clone_into(&mut node.phase_reason);
                true
            }),
            Step::NodeHeartbeat(id, vms) => self.nodes.get_mut(id).is_some_and(|node| {
                node.load = NodeLoad { running_vms: *vms, ..NodeLoad::default() };
                node.last_heartbeat = Moment(JULY + 5);
                true
            }),
            Step::NodeDelete(id) => self.nodes.remove(id).is_some() || true_of_absent(),
            Step::Reopen => true,
        }
    }

    fn vms(&self, keep: impl Fn(&VmRecord) -> bool) -> Vec<VmRecord> {
        self.vms.values().filter(|vm| keep(vm)).cloned().collect()
    }

    fn nodes(&self, keep: impl Fn(&NodeRecord) -> bool) -> Vec<NodeRecord> {
        self.nodes.values().filter(|node| keep(node)).cloned().collect()
    }

    /// Every query of the store answers as the maps do.
    fn agrees(&self, store: &Store) -> Result<(), TestCaseError> {
        prop_assert_eq!(store.verify(), Ok(()));
        prop_assert_eq!(store.vm_all(), Ok(self.vms(|_| true)));
        for n in 0..12 {
            prop_assert_eq!(store.vm_get(vm_id(n)), Ok(self.vms.get(&vm_id(n)).cloned()));
        }
        for n in 0..3 {
            let at = node_id(n);
            prop_assert_eq!(store.vm_list_by_node(at), Ok(self.vms(|vm| vm.node_id == at)));
            let filter = VmFilter { node_id: Some(at), states: vec![PowerState::Lost], ..VmFilter::default() };
            let wanted = self.vms(|vm| vm.node_id == at && vm.state == PowerState::Lost);
            prop_assert_eq!(store.vm_list(&filter, 100, None), Ok((wanted.clone(), wanted.len())));
        }
        for n in 0..2 {
            let of = |vm: &VmRecord| vm.project_id == project(n);
            prop_assert_eq!(store.vm_count_by_project(project(n)), Ok(self.vms(of).len()));
            for name in ["a", "b", "ab", "", "b\u{e4}"] {
                let mut named = self.vms(|vm| of(vm) && vm.name == name);
                named.sort_by_key(|vm| !vm.origin.is_managed());
                prop_assert_eq!(store.vm_get_by_name(project(n), name), Ok(named.first().cloned()));
            }
            let label = ("k0".to_owned(), "v".to_owned());
            let filter = VmFilter { project_id: Some(project(n)), labels: vec![label], ..VmFilter::default() };
            let wanted = self.vms(|vm| of(vm) && !vm.labels.is_empty());
            let (first, total) =
                store.vm_list(&filter, 2, None).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!((first.as_slice(), total), (&wanted[..wanted.len().min(2)], wanted.len()));
            let rest = store.vm_list(&filter, 100, first.last().map(|vm| vm.id));
            prop_assert_eq!(rest, Ok((wanted[first.len()..].to_vec(), wanted.len())));
        }
        prop_assert_eq!(store.node_list(&NodeFilter::default()), Ok(self.nodes(|_| true)));
        let ready = NodeFilter { phases: vec![NodePhase::Ready, NodePhase::NotReady], ..NodeFilter::default() };
        prop_assert_eq!(store.node_list(&ready), Ok(self.nodes(|node| node.phase != NodePhase::Draining)));
        let may =
            |node: &NodeRecord| node.phase == NodePhase::Ready && node.scheduling.schedulable && node.role.compute;
        prop_assert_eq!(store.node_list_schedulable(), Ok(self.nodes(may)));
        for cluster in ["", "a", "aa", "b"] {
            prop_assert_eq!(store.node_list_by_cluster(cluster), Ok(self.nodes(|node| node.cluster_id == cluster)));
        }
        for n in 0..5 {
            prop_assert_eq!(store.node_get(node_id(n)), Ok(self.nodes.get(&node_id(n)).cloned()));
            let hostname = format!("host-{n}");
            let wanted = self.nodes(|node| node.hostname == hostname).pop();
            prop_assert_eq!(store.node_get_by_hostname(&hostname), Ok(wanted));
        }
        Ok(())
    }
}

/// Forgetting what is not there is done.
fn true_of_absent() -> bool {
    true
}

fn step(store: &Store, step: &Step) -> bool {
    let done = store.commit(|tx| match step {
        Step::VmCreate(vm) => tx.vm_create(vm),
        Step::VmUpdate(vm) => tx.vm_update(vm),
        Step::VmStatus(id, state) => tx.vm_update_status(*id, *state, Moment(JULY)),
        Step::VmDelete(id) => tx.vm_delete(*id),
        Step::NodeCreate(node) => tx.node_create(node),
        Step::NodeUpdate(node) => tx.node_update(node),
        Step::NodeStatus(id, phase) => tx.node_update_status(*id, *phase, "why"),
        Step::NodeHeartbeat(id, vms) => {
            let load = NodeLoad { running_vms: *vms, ..NodeLoad::default() };
            tx.node_update_heartbeat(*id, load, Moment(JULY + 5))
        }
        Step::NodeDelete(id) => tx.node_delete(*id),
        Step::Reopen => Ok(()),
    });
    done.is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("QKVM_LONG").is_some() { 512 } else { 24 }))]

    #[test]
    fn the_file_answers_as_plain_maps_do(steps in prop::collection::vec(a_step(), 1..60)) {
        let (_directory, path) = place();
        let mut store = Store::open(&path).expect("a new file");
        let mut model = Model::default();
        for (n, next) in steps.iter().enumerate() {
            if matches!(next, Step::Reopen) {
                drop(store);
                store = Store::open(&path).expect("its own file");
            }
            prop_assert_eq!(step(&store, next), model.step(next), "step {} {:?}", n, next);
            if n % 8 == 7 {
                model.agrees(&store)?;
            }
        }
        model.agrees(&store)?;
        drop(store);
        model.agrees(&Store::open(&path).expect("its own file"))?;
    }
}
