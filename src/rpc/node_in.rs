//! Requests about nodes, read.

use quantixkvm_proto::Quantixkvm::compute::v1 as wire;

use crate::model::event::Severity;
use crate::model::id::NodeId;
use crate::model::node::{
    CpuFacts, GpuFacts, MemoryFacts, NetworkFacts, NodeFacts, NodeRole, NumaFacts, Scheduling, StorageFacts,
};
use crate::model::validate::quoted;
use crate::service::error::ServiceError;
use crate::service::requests::{DrainNode, Heartbeat, ListNodes, RegisterNode, UpdateNode};

use super::enums;
use super::read::{Reader, sorted};

/// Seconds between two messages of measurements at most, and where the request does not say.
const INTERVAL_SEC: (u32, u32) = (3600, 5);

/// Mask paths of an update.
const PATHS: [&str; 12] = [
    "scheduling",
    "scheduling.schedulable",
    "scheduling.overcommit",
    "scheduling.overcommit.cpu_ratio",
    "scheduling.overcommit.memory_ratio",
    "scheduling.reserved",
    "scheduling.reserved.cpu_cores",
    "scheduling.reserved.memory_bytes",
    "role",
    "role.compute",
    "role.storage",
    "role.control_plane",
];

/// The node that a request names in this field.
pub(super) fn id(field: &'static str, text: &str) -> Result<NodeId, ServiceError> {
    let mut reader = Reader::default();
    let id = reader.id(field, text);
    reader.end(())?;
    id.ok_or_else(|| ServiceError::invalid(field, "is required: a UUID"))
}

/// Either spelling of the id.
pub(super) fn metrics_id(sent: &wire::GetNodeMetricsRequest) -> Result<NodeId, ServiceError> {
    if !sent.id.is_empty() && !sent.node_id.is_empty() && sent.id != sent.node_id {
        return Err(ServiceError::invalid("node_id", "is another spelling of id: send one of them, or the same"));
    }
    if sent.id.is_empty() { id("node_id", &sent.node_id) } else { id("id", &sent.id) }
}

fn role(sent: &wire::NodeRole) -> NodeRole {
    NodeRole { compute: sent.compute, storage: sent.storage, control_plane: sent.control_plane }
}

pub(super) fn register(sent: &wire::RegisterNodeRequest) -> Result<RegisterNode, ServiceError> {
    let mut reader = Reader::default();
    let facts = NodeFacts {
        cpu: cpu(&sent.cpu_info),
        memory: memory(&sent.memory_info),
        storage: sent
            .storage_devices
            .iter()
            .enumerate()
            .map(|(index, device)| StorageFacts {
                path: device.path.clone(),
                model: device.model.clone(),
                serial: device.serial.clone(),
                size_bytes: device.size_bytes,
                kind: enums::storage_in(reader.known(&format!("storage_devices[{index}].type"), device.r#type)),
                available: device.available,
                usage: device.usage.clone(),
            })
            .collect(),
        network: sent.network_devices.iter().map(network).collect(),
        gpus: Vec::<GpuFacts>::new(),
        ..NodeFacts::default()
    };
    let wanted = RegisterNode {
        hostname: sent.hostname.clone(),
        management_ip: sent.management_ip.clone(),
        labels: sorted(&sent.labels),
        role: sent.role.as_option().map(role),
        taints: Vec::new(),
        agent_endpoint: sent.agent_endpoint.clone(),
        facts,
    };
    reader.end(wanted)
}

fn cpu(sent: &wire::CpuInfo) -> CpuFacts {
    CpuFacts {
        model: sent.model.clone(),
        sockets: sent.sockets,
        cores_per_socket: sent.cores_per_socket,
        threads_per_core: sent.threads_per_core,
        total_threads: sent.total_threads,
        frequency_mhz: sent.frequency_mhz,
        features: sent.features.clone(),
        numa: sent
            .numa_nodes
            .iter()
            .map(|node| NumaFacts { node: node.node_id, cpus: node.cpus.clone(), memory_bytes: node.memory_bytes })
            .collect(),
    }
}

fn memory(sent: &wire::MemoryInfo) -> MemoryFacts {
    MemoryFacts {
        total_bytes: sent.total_bytes,
        huge_2m_total: sent.huge_pages.pages_2mb_total,
        huge_2m_free: sent.huge_pages.pages_2mb_free,
        huge_1g_total: sent.huge_pages.pages_1gb_total,
        huge_1g_free: sent.huge_pages.pages_1gb_free,
    }
}

fn network(device: &wire::NetworkDevice) -> NetworkFacts {
    NetworkFacts {
        name: device.name.clone(),
        mac_address: device.mac_address.clone(),
        driver: device.driver.clone(),
        speed_mbps: device.speed_mbps,
        mtu: device.mtu,
        numa_node: device.numa_node,
        sriov_vfs_total: device.sriov_vfs_total,
        sriov_vfs_used: device.sriov_vfs_used,
        ip_addresses: device.config.ip_addresses.clone(),
        bridge: device.config.bridge.clone(),
        bond: device.config.bond.clone(),
        vlan_id: device.config.vlan_id,
    }
}

pub(super) fn list(sent: &wire::ListNodesRequest) -> Result<ListNodes, ServiceError> {
    let mut reader = Reader::default();
    let phases = sent
        .phases
        .iter()
        .enumerate()
        .map(|(index, phase)| enums::phase_in(reader.known(&format!("phases[{index}]"), *phase)))
        .collect();
    reader.end(ListNodes {
        labels: sorted(&sent.labels),
        phases,
        compute_only: sent.compute_only,
        storage_only: sent.storage_only,
        control_plane_only: sent.control_plane_only,
        page_size: sent.page_size,
        page_token: sent.page_token.clone(),
    })
}

/// `present`: role and settings of the node now, of which the request may set parts.
pub(super) fn update(
    sent: &wire::UpdateNodeRequest,
    present: (NodeRole, Scheduling),
) -> Result<UpdateNode, ServiceError> {
    let mut reader = Reader::default();
    let mask: Vec<&str> = match sent.update_mask.as_option().filter(|mask| !mask.is_empty()) {
        Some(mask) => mask.iter().map(String::as_str).collect(),
        None => [("scheduling", sent.scheduling.is_set()), ("role", sent.role.is_set())]
            .into_iter()
            .filter_map(|(path, there)| there.then_some(path))
            .collect(),
    };
    let (mut role, mut scheduling) = present;
    let (new, overcommit, reserved) = (&sent.scheduling, &sent.scheduling.overcommit, &sent.scheduling.reserved);
    for path in &mask {
        let below = |whole: &str| *path == whole || whole.starts_with(&format!("{path}."));
        if !PATHS.contains(path) {
            reader
                .wrong("update_mask", format!("{} is not a path of it; known are {}", quoted(path), PATHS.join(", ")));
        }
        if below("scheduling.schedulable") {
            scheduling.schedulable = new.schedulable;
        }
        if below("scheduling.overcommit.cpu_ratio") {
            scheduling.cpu_overcommit = overcommit.cpu_ratio;
        }
        if below("scheduling.overcommit.memory_ratio") {
            scheduling.memory_overcommit = overcommit.memory_ratio;
        }
        if below("scheduling.reserved.cpu_cores") {
            scheduling.reserved_cpu_threads = reserved.cpu_cores;
        }
        if below("scheduling.reserved.memory_bytes") {
            scheduling.reserved_memory_bytes = reserved.memory_bytes;
        }
        if below("role.compute") {
            role.compute = sent.role.compute;
        }
        if below("role.storage") {
            role.storage = sent.role.storage;
        }
        if below("role.control_plane") {
            role.control_plane = sent.role.control_plane;
        }
    }
    let touches = |what: &str| mask.iter().any(|path| path.starts_with(what));
    reader.end(UpdateNode {
        scheduling: touches("scheduling").then_some(scheduling),
        role: touches("role").then_some(role),
    })
}

pub(super) fn drain(sent: &wire::DrainNodeRequest) -> Result<DrainNode, ServiceError> {
    let mut reader = Reader::default();
    let grace_period_sec = reader.within("grace_period_sec", sent.grace_period_sec, 3600);
    reader.end(DrainNode { grace_period_sec, force: sent.force, target_node_id: sent.target_node_id.clone() })
}

pub(super) fn heartbeat(sent: &wire::UpdateHeartbeatRequest) -> Heartbeat {
    Heartbeat {
        cpu_usage_percent: sent.cpu_usage_percent,
        memory_used_mib: sent.memory_used_mib,
        memory_total_mib: sent.memory_total_mib,
        running_vm_count: sent.running_vm_count,
        disk_used_bytes: sent.disk_used_bytes,
        disk_total_bytes: sent.disk_total_bytes,
        load_1m: sent.load_1m,
        load_5m: sent.load_5m,
        load_15m: sent.load_15m,
    }
}

pub(super) fn severities(sent: &wire::ListNodeEventsRequest) -> Result<Vec<Severity>, ServiceError> {
    let mut reader = Reader::default();
    let found = sent
        .types
        .iter()
        .enumerate()
        .map(|(index, kind)| enums::severity_in(reader.known(&format!("types[{index}]"), *kind)))
        .collect();
    reader.end(found)
}

pub(super) fn interval(sent: u32) -> Result<std::time::Duration, ServiceError> {
    let (most, usual) = INTERVAL_SEC;
    if sent > most {
        return Err(ServiceError::invalid(
            "interval_sec",
            format!("must be 0 (meaning {usual}) to {most}; {sent} was sent"),
        ));
    }
    Ok(std::time::Duration::from_secs(if sent == 0 { usual } else { sent }.into()))
}
