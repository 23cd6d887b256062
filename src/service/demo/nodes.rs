//! The demo's nodes, and the signs of life of those that are not this host.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::model::id::NodeId;
use crate::model::node::{NodeFacts, NodeLoad, NodePhase, NodeRecord, NodeRole};
use crate::model::vm::Moment;

use super::super::node::{HEARTBEAT_INTERVAL, Machine, NodeService, blank};
use super::super::requests::Heartbeat;

const NODES: &str = include_str!("../../../assets/demo/nodes.json");

/// A node of `nodes.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoNode {
    pub id: NodeId,
    pub hostname: String,
    management_ip: String,
    labels: BTreeMap<String, String>,
    created_at: Moment,
    role: NodeRole,
    pub facts: NodeFacts,
    in_use: InUse,
}

/// What is in use there; of this host, CPU and load are measured instead.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct InUse {
    cpu_usage_percent: f64,
    memory_mib: u64,
    storage_bytes: u64,
    load: f64,
    running_vms: u32,
}

/// All of them; the first is this host.
pub(super) fn all() -> Vec<DemoNode> {
    serde_json::from_str(NODES).expect("the file is part of the program, and a test reads it")
}

/// The one that this process shows as its own host.
pub(super) fn this_host() -> DemoNode {
    all().swap_remove(0)
}

impl DemoNode {
    pub fn management_ip(&self) -> &str {
        &self.management_ip
    }

    /// Bytes of its disks.
    fn storage_bytes(&self) -> u64 {
        self.facts.storage.iter().map(|disk| disk.size_bytes).sum()
    }

    /// Bytes in use and in all of its storage.
    pub fn storage(&self) -> (u64, u64) {
        (self.in_use.storage_bytes, self.storage_bytes())
    }

    /// What it does.
    pub fn load(&self) -> NodeLoad {
        let used = self.in_use.memory_mib << 20;
        let total = self.facts.memory.total_bytes;
        NodeLoad {
            cpu_usage_percent: self.in_use.cpu_usage_percent,
            memory_used_bytes: used,
            memory_total_bytes: total,
            memory_available_bytes: total.saturating_sub(used),
            storage_used_bytes: self.in_use.storage_bytes,
            storage_total_bytes: self.storage_bytes(),
            load_1m: self.in_use.load,
            load_5m: self.in_use.load,
            load_15m: self.in_use.load,
            running_vms: self.in_use.running_vms,
            ..NodeLoad::default()
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        let load = self.load();
        Heartbeat {
            cpu_usage_percent: load.cpu_usage_percent,
            memory_used_mib: load.memory_used_bytes >> 20,
            memory_total_mib: load.memory_total_bytes >> 20,
            running_vm_count: load.running_vms,
            disk_used_bytes: load.storage_used_bytes,
            disk_total_bytes: load.storage_total_bytes,
            load_1m: load.load_1m,
            load_5m: load.load_5m,
            load_15m: load.load_15m,
        }
    }

    pub fn record(self, now: Moment) -> NodeRecord {
        let load = self.load();
        NodeRecord {
            labels: self.labels,
            role: self.role,
            phase: NodePhase::Ready,
            load,
            created_at: self.created_at,
            last_heartbeat: now,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..blank(self.id, self.hostname, self.management_ip, self.facts, now)
        }
    }
}

/// Speak for the nodes that are not `machine`, until `stop`. One that was decommissioned stays
/// gone.
pub async fn heartbeats(nodes: Arc<NodeService>, machine: Arc<dyn Machine>, stop: CancellationToken) {
    let own = machine.hostname();
    let others: Vec<DemoNode> = all().into_iter().filter(|node| node.hostname != own).collect();
    let mut beat = tokio::time::interval(HEARTBEAT_INTERVAL);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = stop.cancelled() => return,
        }
        for node in &others {
            if let Err(error) = nodes.heartbeat(node.id, node.heartbeat()).await {
                tracing::debug!(node = %node.hostname, %error, "the demo's heartbeat was not taken");
            }
        }
    }
}
