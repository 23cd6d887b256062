//! A node: a machine that runs VMs. This host registers itself; others may register and
//! heartbeat.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::id::NodeId;
use super::vm::Moment;

/// What the store owns of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    pub id: NodeId,
    pub hostname: String,
    /// Address without a port; empty where unknown.
    pub management_ip: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Free text that groups nodes; this host's and the default: empty.
    pub cluster_id: String,
    pub role: NodeRole,
    pub scheduling: Scheduling,
    pub facts: NodeFacts,
    pub phase: NodePhase,
    /// Why the phase is what it is, in a sentence.
    pub phase_reason: String,
    pub load: NodeLoad,
    pub created_at: Moment,
    pub updated_at: Moment,
    pub last_heartbeat: Moment,
    /// Address of the node's own agent, empty for this host.
    pub agent_endpoint: String,
    /// Software version of the node's agent.
    pub agent_version: String,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeRole {
    pub compute: bool,
    pub storage: bool,
    pub control_plane: bool,
}

/// Whether and how much may be placed on a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scheduling {
    pub schedulable: bool,
    pub taints: Vec<Taint>,
    /// Promised vCPUs a host thread; default 4.
    pub cpu_overcommit: f64,
    /// Promised guest memory a byte of host memory; default 1.
    pub memory_overcommit: f64,
    /// Threads kept for the host.
    pub reserved_cpu_threads: u32,
    /// Memory kept for the host, bytes; default 1 GiB.
    pub reserved_memory_bytes: u64,
}

impl Default for Scheduling {
    fn default() -> Self {
        Self {
            schedulable: true,
            taints: Vec::new(),
            cpu_overcommit: 4.0,
            memory_overcommit: 1.0,
            reserved_cpu_threads: 0,
            reserved_memory_bytes: 1 << 30,
        }
    }
}

/// A taint and what it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taint {
    pub key: String,
    pub value: String,
    pub effect: TaintEffect,
}

/// What a taint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TaintEffect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

/// Phase of a node's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NodePhase {
    Unknown,
    Pending,
    Ready,
    NotReady,
    Maintenance,
    Draining,
    Offline,
}

impl NodePhase {
    /// The wire's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Pending => "PENDING",
            Self::Ready => "READY",
            Self::NotReady => "NOT_READY",
            Self::Maintenance => "MAINTENANCE",
            Self::Draining => "DRAINING",
            Self::Offline => "OFFLINE",
        }
    }
}

/// What a machine is made of. Missing facts are empty or 0, never guessed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NodeFacts {
    pub cpu: CpuFacts,
    pub memory: MemoryFacts,
    pub storage: Vec<StorageFacts>,
    pub network: Vec<NetworkFacts>,
    pub gpus: Vec<GpuFacts>,
    pub system: SystemFacts,
}

/// The host's processors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CpuFacts {
    pub model: String,
    pub sockets: u32,
    pub cores_per_socket: u32,
    pub threads_per_core: u32,
    pub total_threads: u32,
    pub frequency_mhz: u64,
    /// CPU flags as the kernel names them.
    pub features: Vec<String>,
    pub numa: Vec<NumaFacts>,
}

/// One NUMA node of the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NumaFacts {
    pub node: u32,
    pub cpus: Vec<u32>,
    pub memory_bytes: u64,
}

/// The host's memory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemoryFacts {
    pub total_bytes: u64,
    pub huge_2m_total: u64,
    pub huge_2m_free: u64,
    pub huge_1g_total: u64,
    pub huge_1g_free: u64,
}

/// Kind of a block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum StorageKind {
    #[default]
    Hdd,
    Ssd,
    Nvme,
}

/// A block device of the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StorageFacts {
    /// `/dev/…`.
    pub path: String,
    pub model: String,
    pub serial: String,
    pub size_bytes: u64,
    pub kind: StorageKind,
    /// Nothing of the host uses it.
    pub available: bool,
    /// What uses it: a mount point, `partitioned`, `lvm`, `raid`, `swap`; empty: nothing.
    pub usage: String,
}

/// A network device of the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkFacts {
    pub name: String,
    pub mac_address: String,
    pub driver: String,
    /// 0: unknown or no link.
    pub speed_mbps: u64,
    pub mtu: u32,
    pub numa_node: u32,
    pub sriov_vfs_total: u32,
    pub sriov_vfs_used: u32,
    /// With prefix length: `192.0.2.5/24`.
    pub ip_addresses: Vec<String>,
    /// Bridge that it is a port of; empty: none.
    pub bridge: String,
    /// Bond that it is a port of; empty: none.
    pub bond: String,
    /// 0: none.
    pub vlan_id: u32,
}

/// A display controller of the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GpuFacts {
    /// `0000:01:00.0`.
    pub pci_address: String,
    pub vendor: String,
    pub model: String,
    pub memory_bytes: u64,
    /// Kernel driver in charge; `vfio-pci`: free for passthrough.
    pub driver: String,
}

/// Software of the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SystemFacts {
    pub os_name: String,
    pub os_version: String,
    pub kernel_version: String,
    /// `QEMU`, `test`.
    pub hypervisor: String,
    pub hypervisor_version: String,
    /// 0: unknown.
    pub boot_time_unix: i64,
}

/// Load as last measured, or as last reported by a remote node's heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct NodeLoad {
    /// 0-100 over all threads.
    pub cpu_usage_percent: f64,
    pub memory_used_bytes: u64,
    pub memory_total_bytes: u64,
    pub memory_available_bytes: u64,
    pub storage_used_bytes: u64,
    pub storage_total_bytes: u64,
    pub network_rx_bytes: u64,
    pub network_tx_bytes: u64,
    pub network_rx_errors: u64,
    pub network_tx_errors: u64,
    pub load_1m: f64,
    pub load_5m: f64,
    pub load_15m: f64,
    /// VMs running there, as the node says; counted here for this host.
    pub running_vms: u32,
}

/// Truth of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConditionStatus {
    Unknown,
    True,
    False,
}

/// One condition of a node: a fact an administrator should know, with its cure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    pub kind: ConditionKind,
    pub status: ConditionStatus,
    pub last_transition: Moment,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence with the remedy.
    pub message: String,
}

/// The conditions that a node reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConditionKind {
    Ready,
    KvmAvailable,
    MemoryPressure,
    DiskPressure,
    StoragePoolReady,
    NetworkReady,
    BackupFresh,
}

impl ConditionKind {
    /// The wire's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::KvmAvailable => "KvmAvailable",
            Self::MemoryPressure => "MemoryPressure",
            Self::DiskPressure => "DiskPressure",
            Self::StoragePoolReady => "StoragePoolReady",
            Self::NetworkReady => "NetworkReady",
            Self::BackupFresh => "BackupFresh",
        }
    }
}
