//! A node's shape of version 1. What a machine is made of is kept as one JSON text: it is a copy
//! that the machine itself replaces at every start, and a fact that a later version adds or drops
//! must not make the node unreadable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::codec::Record;
use super::error::StoreError;
use crate::model::id::NodeId;
use crate::model::node::{NodePhase, NodeRecord, NodeRole, Scheduling, Taint, TaintEffect};
use crate::model::vm::Moment;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct NodeV1 {
    id: [u8; 16],
    hostname: String,
    management_ip: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    cluster_id: String,
    /// compute, storage, control plane.
    role: (bool, bool, bool),
    schedulable: bool,
    /// Key, value, effect.
    taints: Vec<(String, String, u8)>,
    cpu_overcommit: f64,
    memory_overcommit: f64,
    reserved_cpu_threads: u32,
    reserved_memory_bytes: u64,
    facts_json: String,
    load_json: String,
    phase: u8,
    phase_reason: String,
    created_at_us: i64,
    updated_at_us: i64,
    last_heartbeat_us: i64,
    agent_endpoint: String,
    agent_version: String,
}

impl Record for NodeV1 {
    const VERSION: u8 = 1;
    const TABLE: &'static str = "nodes";
}

fn phase_code(phase: NodePhase) -> u8 {
    match phase {
        NodePhase::Unknown => 0,
        NodePhase::Pending => 1,
        NodePhase::Ready => 2,
        NodePhase::NotReady => 3,
        NodePhase::Maintenance => 4,
        NodePhase::Draining => 5,
        NodePhase::Offline => 6,
    }
}

fn phase_of(code: u8) -> NodePhase {
    match code {
        1 => NodePhase::Pending,
        2 => NodePhase::Ready,
        3 => NodePhase::NotReady,
        4 => NodePhase::Maintenance,
        5 => NodePhase::Draining,
        6 => NodePhase::Offline,
        _ => NodePhase::Unknown,
    }
}

fn effect_code(effect: TaintEffect) -> u8 {
    match effect {
        TaintEffect::NoSchedule => 0,
        TaintEffect::PreferNoSchedule => 1,
        TaintEffect::NoExecute => 2,
    }
}

fn effect_of(code: u8) -> TaintEffect {
    match code {
        1 => TaintEffect::PreferNoSchedule,
        2 => TaintEffect::NoExecute,
        _ => TaintEffect::NoSchedule,
    }
}

fn json<T: Serialize>(what: &T) -> Result<String, StoreError> {
    serde_json::to_string(what).map_err(|error| StoreError::BadRow {
        table: NodeV1::TABLE,
        row: "(new)".to_owned(),
        why: error.to_string(),
    })
}

impl TryFrom<&NodeRecord> for NodeV1 {
    type Error = StoreError;
    fn try_from(node: &NodeRecord) -> Result<Self, StoreError> {
        Ok(Self {
            id: *node.id.as_bytes(),
            hostname: node.hostname.clone(),
            management_ip: node.management_ip.clone(),
            labels: node.labels.clone(),
            annotations: node.annotations.clone(),
            cluster_id: node.cluster_id.clone(),
            role: (node.role.compute, node.role.storage, node.role.control_plane),
            schedulable: node.scheduling.schedulable,
            taints: node
                .scheduling
                .taints
                .iter()
                .map(|taint| (taint.key.clone(), taint.value.clone(), effect_code(taint.effect)))
                .collect(),
            cpu_overcommit: node.scheduling.cpu_overcommit,
            memory_overcommit: node.scheduling.memory_overcommit,
            reserved_cpu_threads: node.scheduling.reserved_cpu_threads,
            reserved_memory_bytes: node.scheduling.reserved_memory_bytes,
            facts_json: json(&node.facts)?,
            load_json: json(&node.load)?,
            phase: phase_code(node.phase),
            phase_reason: node.phase_reason.clone(),
            created_at_us: node.created_at.0,
            updated_at_us: node.updated_at.0,
            last_heartbeat_us: node.last_heartbeat.0,
            agent_endpoint: node.agent_endpoint.clone(),
            agent_version: node.agent_version.clone(),
        })
    }
}

impl From<NodeV1> for NodeRecord {
    fn from(node: NodeV1) -> Self {
        Self {
            id: NodeId::from_bytes(node.id),
            hostname: node.hostname,
            management_ip: node.management_ip,
            labels: node.labels,
            annotations: node.annotations,
            cluster_id: node.cluster_id,
            role: NodeRole { compute: node.role.0, storage: node.role.1, control_plane: node.role.2 },
            scheduling: Scheduling {
                schedulable: node.schedulable,
                taints: node
                    .taints
                    .into_iter()
                    .map(|(key, value, effect)| Taint { key, value, effect: effect_of(effect) })
                    .collect(),
                cpu_overcommit: node.cpu_overcommit,
                memory_overcommit: node.memory_overcommit,
                reserved_cpu_threads: node.reserved_cpu_threads,
                reserved_memory_bytes: node.reserved_memory_bytes,
            },
            facts: serde_json::from_str(&node.facts_json).unwrap_or_default(),
            load: serde_json::from_str(&node.load_json).unwrap_or_default(),
            phase: phase_of(node.phase),
            phase_reason: node.phase_reason,
            created_at: Moment(node.created_at_us),
            updated_at: Moment(node.updated_at_us),
            last_heartbeat: Moment(node.last_heartbeat_us),
            agent_endpoint: node.agent_endpoint,
            agent_version: node.agent_version,
        }
    }
}
