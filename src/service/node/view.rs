//! A node as it is shown: the record that is kept, and what is seen of it.

use crate::model::definition::PoolFacts;
use crate::model::id::VmId;
use crate::model::node::{Condition, ConditionKind, ConditionStatus, NodeLoad, NodePhase, NodeRecord};
use crate::model::vm::PowerState;

use super::super::admission::{Capacity, Promised};
use super::super::inventory::{Inventory, Picture};

/// Whether a node is the host on which this runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    Here,
    Elsewhere,
}

/// One node as it is known now. Immutable: a change makes a new one.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeView {
    /// `record.phase` is the phase that is kept; [`phase`](Self::phase) is the one to show.
    pub record: NodeRecord,
    pub place: Place,
    /// Where it stands: this host is `NotReady` while its condition `Ready` is false.
    pub phase: NodePhase,
    /// Why it is not `Ready`, a sentence; empty: it is.
    pub phase_reason: String,
    pub conditions: Vec<Condition>,
    /// vCPUs and memory promised to VMs that hold them.
    pub promised: Promised,
    /// vCPUs that may be promised in all.
    pub allocatable_vcpus: u32,
    /// Memory that may be promised in all, bytes.
    pub allocatable_memory_bytes: u64,
    /// VMs on it that are known here, by id.
    pub vm_ids: Vec<VmId>,
    /// VMs on it; of another host, the running ones that it reported.
    pub vm_count: u32,
    pub vm_running_count: u32,
    /// Storage pools of this host; empty for others.
    pub pools: Vec<PoolFacts>,
    /// Grows with every change of any node; measurements alone are none.
    pub version: u64,
}

/// What a node does now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NodeMetricsView {
    pub node_id: crate::model::id::NodeId,
    pub load: NodeLoad,
    /// Host threads.
    pub threads: u32,
    pub promised: Promised,
    pub vm_count: u32,
    pub vm_running_count: u32,
}

impl NodeView {
    /// A node known from its record alone.
    #[must_use]
    pub fn of_record(record: NodeRecord, place: Place) -> Self {
        let mut view = Self {
            phase: record.phase,
            phase_reason: String::new(),
            place,
            conditions: Vec::new(),
            promised: Promised::default(),
            allocatable_vcpus: 0,
            allocatable_memory_bytes: 0,
            vm_ids: Vec::new(),
            vm_count: 0,
            vm_running_count: 0,
            pools: Vec::new(),
            version: 0,
            record,
        };
        view.derive();
        view
    }

    /// Work out again what follows from record and conditions.
    pub fn derive(&mut self) {
        let capacity = Capacity::of(&self.record);
        self.allocatable_vcpus = capacity.vcpus();
        self.allocatable_memory_bytes = capacity.memory();
        let unready = self
            .conditions
            .iter()
            .find(|condition| condition.kind == ConditionKind::Ready && condition.status == ConditionStatus::False);
        (self.phase, self.phase_reason) = match (self.record.phase, self.place, unready) {
            (NodePhase::Ready, Place::Here, Some(condition)) => (NodePhase::NotReady, condition.message.clone()),
            (NodePhase::Ready, _, _) => (NodePhase::Ready, String::new()),
            (
                phase @ (NodePhase::Unknown
                | NodePhase::Pending
                | NodePhase::NotReady
                | NodePhase::Maintenance
                | NodePhase::Draining
                | NodePhase::Offline),
                _,
                _,
            ) => (phase, self.record.phase_reason.clone()),
        };
        if self.place == Place::Elsewhere {
            self.vm_running_count = self.record.load.running_vms;
            self.vm_count = self.vm_running_count.max(u32::try_from(self.vm_ids.len()).unwrap_or(u32::MAX));
        }
    }

    /// Count the VMs of the picture that are on this node.
    pub fn count(&mut self, picture: &Picture, inventory: &Inventory) {
        let mine = || picture.vms.values().filter(|vm| vm.record.node_id == self.record.id);
        let vm_ids: Vec<VmId> = mine().map(|vm| vm.record.id).collect();
        let running = mine().filter(|vm| vm.record.state == PowerState::Running).count();
        self.promised = Promised::of(picture, inventory, self.record.id, None);
        self.vm_ids = vm_ids;
        match self.place {
            Place::Here => {
                self.vm_count = u32::try_from(self.vm_ids.len()).unwrap_or(u32::MAX);
                self.vm_running_count = u32::try_from(running).unwrap_or(u32::MAX);
                self.record.load.running_vms = self.vm_running_count;
            }
            Place::Elsewhere => self.derive(),
        }
    }

    /// Whether a watcher should hear of the difference: measurements, the time of a heartbeat and
    /// the version itself are none.
    #[must_use]
    pub fn differs(&self, other: &Self) -> bool {
        let still = |view: &Self| {
            let mut view = view.clone();
            view.version = 0;
            view.record.load = NodeLoad::default();
            view.record.last_heartbeat = crate::model::vm::Moment::default();
            for pool in &mut view.pools {
                pool.allocation_bytes = 0;
                pool.available_bytes = 0;
            }
            view
        };
        still(self) != still(other)
    }

    /// What it does now.
    #[must_use]
    pub fn metrics(&self) -> NodeMetricsView {
        NodeMetricsView {
            node_id: self.record.id,
            load: self.record.load,
            threads: self.record.facts.cpu.total_threads,
            promised: self.promised,
            vm_count: self.vm_count,
            vm_running_count: self.vm_running_count,
        }
    }
}
