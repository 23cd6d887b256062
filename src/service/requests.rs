//! What callers ask for, free of the wire: the rpc room parses into these.

use std::collections::BTreeMap;

use crate::model::access::Rights;
use crate::model::id::{NodeId, ProjectId};
use crate::model::node::{NodeFacts, NodePhase, NodeRole, Scheduling, Taint};
use crate::model::operation::OperationState;
use crate::model::spec::VmSpec;
use crate::model::vm::{DeletionProtection, Moment};

/// Who asks, and how the request can be told apart from its retries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// As in events and in `created_by`.
    pub user: String,
    /// Beyond those that the method itself asks for.
    pub rights: Rights,
    pub request_id: String,
    pub idempotency: Option<IdempotencyKey>,
}

/// Hashes of (caller, method, key) and of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdempotencyKey {
    pub key: [u8; 32],
    pub body: [u8; 32],
}

/// A power state as filters name it, without its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateFilter {
    Provisioning,
    Running,
    Stopped,
    Paused,
    Suspended,
    Crashed,
    Migrating,
    Lost,
    Unknown,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateVm {
    pub name: String,
    pub project_id: ProjectId,
    pub description: String,
    pub labels: BTreeMap<String, String>,
    pub spec: VmSpec,
    pub start_on_create: bool,
    pub autostart: bool,
    pub deletion_protection: DeletionProtection,
    /// `None`: this host.
    pub node_id: Option<NodeId>,
}

/// How a list is ordered; both fall back on the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderBy {
    Name,
    NameDesc,
    CreatedAt,
    CreatedAtDesc,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ListVms {
    /// `None`: every project.
    pub project_id: Option<ProjectId>,
    /// All must match.
    pub labels: BTreeMap<String, String>,
    pub states: Vec<StateFilter>,
    pub node_id: Option<NodeId>,
    /// 0: 50; at most 1000.
    pub page_size: i32,
    pub page_token: String,
    pub order_by: OrderBy,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Empty: the last page.
    pub next_page_token: String,
    pub total_count: usize,
}

/// A part of a specification that an update may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpecPart {
    Whole,
    Cpu,
    CpuCores,
    Memory,
    MemorySize,
    Disks,
    Cdroms,
    Nics,
    Tpm,
    Watchdog,
    Rng,
    Serial,
    Firmware,
    Boot,
    Display,
    Agent,
    GuestOs,
}

/// `None` leaves a thing as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UpdateVm {
    pub name: Option<String>,
    pub description: Option<String>,
    pub labels: Option<BTreeMap<String, String>>,
    pub autostart: Option<bool>,
    /// `Some(None)` clears.
    pub start_order: Option<Option<u32>>,
    pub start_delay_sec: Option<Option<u32>>,
    pub deletion_protection: Option<DeletionProtection>,
    /// The new values and which parts of them count.
    pub spec: Option<(VmSpec, Vec<SpecPart>)>,
    /// Must be the present one, where sent.
    pub resource_version: Option<String>,
}

/// What becomes of the VM's volumes and definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeleteVm {
    pub force: bool,
    pub delete_volumes: bool,
    pub remove_from_inventory_only: bool,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct WatchVms {
    pub node_id: Option<NodeId>,
    pub project_id: Option<ProjectId>,
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListEvents {
    pub resource_id: Option<String>,
    pub kinds: Vec<String>,
    pub severity: Option<crate::model::event::Severity>,
    /// 0: 100; at most 1000.
    pub limit: i32,
    pub since: Option<Moment>,
}

/// Events of everything on this host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListAllEvents {
    /// A VM's or node's id.
    pub resource_id: Option<String>,
    pub kinds: Vec<String>,
    pub severity: Option<crate::model::event::Severity>,
    pub since: Option<Moment>,
    /// What the message holds, case ignored.
    pub search: String,
    pub page_size: i32,
    pub page_token: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RegisterNode {
    pub hostname: String,
    pub management_ip: String,
    pub labels: BTreeMap<String, String>,
    pub role: Option<NodeRole>,
    pub taints: Vec<Taint>,
    pub agent_endpoint: String,
    pub facts: NodeFacts,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ListNodes {
    pub labels: BTreeMap<String, String>,
    pub phases: Vec<NodePhase>,
    pub compute_only: bool,
    pub storage_only: bool,
    pub control_plane_only: bool,
    pub page_size: i32,
    pub page_token: String,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct UpdateNode {
    pub scheduling: Option<Scheduling>,
    pub role: Option<NodeRole>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DrainNode {
    /// Seconds for each VM's graceful stop; 0: 60.
    pub grace_period_sec: u32,
    pub force: bool,
    pub target_node_id: String,
}

/// What a remote node's heartbeat says.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Heartbeat {
    pub cpu_usage_percent: f64,
    pub memory_used_mib: u64,
    pub memory_total_mib: u64,
    pub running_vm_count: u32,
    pub disk_used_bytes: u64,
    pub disk_total_bytes: u64,
    pub load_1m: f64,
    pub load_5m: f64,
    pub load_15m: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ListOperations {
    /// A VM's or node's id.
    pub resource_id: Option<String>,
    pub states: Vec<OperationState>,
    pub page_size: i32,
    pub page_token: String,
}

/// How long a graceful stop may take; 0: 60 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StopVm {
    pub force: bool,
    pub timeout_sec: i32,
}
