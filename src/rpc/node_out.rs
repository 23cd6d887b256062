//! Nodes as they are shown.

use quantixkvm_proto::Quantixkvm::compute::v1 as wire;

use crate::model::event::SequencedEvent;
use crate::model::node::{
    Condition, CpuFacts, GpuFacts, NetworkFacts, NodeFacts, NodeRole, Scheduling, StorageFacts, SystemFacts,
};
use crate::model::vm::Moment;
use crate::service::node::{DrainReport, NodeMetricsView, NodeView, Place};

use super::enums;
use super::vm_out::moment;

/// Of this server.
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn node(node: &NodeView) -> wire::Node {
    let record = &node.record;
    wire::Node {
        id: record.id.to_string(),
        hostname: record.hostname.clone(),
        management_ip: record.management_ip.clone(),
        labels: record.labels.clone().into_iter().collect(),
        spec: wire::NodeSpec {
            cpu: cpu(&record.facts.cpu).into(),
            memory: memory(node).into(),
            storage: record.facts.storage.iter().map(storage).collect(),
            network: record.facts.network.iter().map(network).collect(),
            gpus: record.facts.gpus.iter().map(gpu).collect(),
            role: role(record.role).into(),
            scheduling: scheduling(&record.scheduling).into(),
            agent: wire::AgentConfig {
                version: agent_version(node),
                endpoint: record.agent_endpoint.clone(),
                ..Default::default()
            }
            .into(),
            ..Default::default()
        }
        .into(),
        status: status(node).into(),
        created_at: moment(record.created_at).into(),
        updated_at: moment(record.updated_at).into(),
        ..Default::default()
    }
}

fn agent_version(node: &NodeView) -> String {
    match node.place {
        Place::Here => VERSION.to_owned(),
        Place::Elsewhere => node.record.agent_version.clone(),
    }
}

fn cpu(facts: &CpuFacts) -> wire::CpuInfo {
    wire::CpuInfo {
        model: facts.model.clone(),
        sockets: facts.sockets,
        cores_per_socket: facts.cores_per_socket,
        threads_per_core: facts.threads_per_core,
        total_threads: facts.total_threads,
        frequency_mhz: facts.frequency_mhz,
        features: facts.features.clone(),
        numa_nodes: facts
            .numa
            .iter()
            .map(|numa| wire::NumaNodeInfo {
                node_id: numa.node,
                cpus: numa.cpus.clone(),
                memory_bytes: numa.memory_bytes,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

fn memory(node: &NodeView) -> wire::MemoryInfo {
    let facts = &node.record.facts.memory;
    let pages = wire::HugePagesInfo {
        pages_2mb_total: facts.huge_2m_total,
        pages_2mb_free: facts.huge_2m_free,
        pages_1gb_total: facts.huge_1g_total,
        pages_1gb_free: facts.huge_1g_free,
        ..Default::default()
    };
    wire::MemoryInfo {
        total_bytes: facts.total_bytes,
        allocatable_bytes: node.allocatable_memory_bytes,
        huge_pages: pages.into(),
        ..Default::default()
    }
}

fn storage(facts: &StorageFacts) -> wire::StorageDevice {
    wire::StorageDevice {
        path: facts.path.clone(),
        model: facts.model.clone(),
        serial: facts.serial.clone(),
        size_bytes: facts.size_bytes,
        r#type: enums::storage_out(facts.kind).into(),
        available: facts.available,
        usage: facts.usage.clone(),
        ..Default::default()
    }
}

fn network(facts: &NetworkFacts) -> wire::NetworkDevice {
    wire::NetworkDevice {
        name: facts.name.clone(),
        mac_address: facts.mac_address.clone(),
        driver: facts.driver.clone(),
        speed_mbps: facts.speed_mbps,
        mtu: facts.mtu,
        numa_node: facts.numa_node,
        sriov_capable: facts.sriov_vfs_total > 0,
        sriov_vfs_total: facts.sriov_vfs_total,
        sriov_vfs_used: facts.sriov_vfs_used,
        config: wire::NetworkDeviceConfig {
            ip_addresses: facts.ip_addresses.clone(),
            bridge: facts.bridge.clone(),
            bond: facts.bond.clone(),
            vlan_id: facts.vlan_id,
            ..Default::default()
        }
        .into(),
        ..Default::default()
    }
}

fn gpu(facts: &GpuFacts) -> wire::GpuInfo {
    let usage = if facts.driver == "vfio-pci" {
        wire::gpu_info::GpuUsage::PASSTHROUGH
    } else {
        wire::gpu_info::GpuUsage::AVAILABLE
    };
    wire::GpuInfo {
        pci_address: facts.pci_address.clone(),
        vendor: facts.vendor.clone(),
        model: facts.model.clone(),
        memory_bytes: facts.memory_bytes,
        usage: usage.into(),
        ..Default::default()
    }
}

fn role(role: NodeRole) -> wire::NodeRole {
    wire::NodeRole {
        compute: role.compute,
        storage: role.storage,
        control_plane: role.control_plane,
        ..Default::default()
    }
}

fn scheduling(scheduling: &Scheduling) -> wire::SchedulingConfig {
    wire::SchedulingConfig {
        schedulable: scheduling.schedulable,
        overcommit: wire::OvercommitConfig {
            cpu_ratio: scheduling.cpu_overcommit,
            memory_ratio: scheduling.memory_overcommit,
            ..Default::default()
        }
        .into(),
        reserved: wire::ReservedResources {
            cpu_cores: scheduling.reserved_cpu_threads,
            memory_bytes: scheduling.reserved_memory_bytes,
            ..Default::default()
        }
        .into(),
        ..Default::default()
    }
}

fn status(node: &NodeView) -> wire::NodeStatus {
    let load = &node.record.load;
    let resources = wire::ResourceAllocation {
        cpu: wire::CpuAllocation {
            allocated_vcpus: node.promised.vcpus,
            allocatable_vcpus: node.allocatable_vcpus,
            usage_percent: load.cpu_usage_percent,
            ..Default::default()
        }
        .into(),
        memory: wire::MemoryAllocation {
            allocated_bytes: node.promised.memory_bytes,
            allocatable_bytes: node.allocatable_memory_bytes,
            used_bytes: load.memory_used_bytes,
            available_bytes: load.memory_available_bytes,
            ..Default::default()
        }
        .into(),
        storage: wire::StorageAllocation {
            local_used_bytes: load.storage_used_bytes,
            local_total_bytes: load.storage_total_bytes,
            ..Default::default()
        }
        .into(),
        ..Default::default()
    };
    let last = node.record.last_heartbeat;
    wire::NodeStatus {
        phase: enums::phase_out(node.phase).into(),
        conditions: node.conditions.iter().map(condition).collect(),
        resources: resources.into(),
        vm_ids: node.vm_ids.iter().map(ToString::to_string).collect(),
        system: system(&node.record.facts, agent_version(node)).into(),
        last_heartbeat: (last != Moment::default()).then(|| moment(last)).into(),
        error_message: node.phase_reason.clone(),
        ..Default::default()
    }
}

fn condition(condition: &Condition) -> wire::NodeCondition {
    wire::NodeCondition {
        r#type: condition.kind.word().to_owned(),
        status: enums::condition_out(condition.status).into(),
        last_transition: moment(condition.last_transition).into(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        ..Default::default()
    }
}

fn system(facts: &NodeFacts, agent_version: String) -> wire::SystemInfo {
    let system: &SystemFacts = &facts.system;
    let boot = (system.boot_time_unix > 0).then(|| Moment(system.boot_time_unix.saturating_mul(1_000_000)));
    wire::SystemInfo {
        os_name: system.os_name.clone(),
        os_version: system.os_version.clone(),
        kernel_version: system.kernel_version.clone(),
        hypervisor: system.hypervisor.clone(),
        hypervisor_version: system.hypervisor_version.clone(),
        agent_version,
        boot_time: boot.map(moment).into(),
        uptime_seconds: boot.map(|boot| Moment::now().seconds_since(boot)).unwrap_or_default(),
        ..Default::default()
    }
}

pub(super) fn metrics(view: &NodeMetricsView) -> wire::NodeMetrics {
    let load = &view.load;
    wire::NodeMetrics {
        node_id: view.node_id.to_string(),
        cpu_usage_percent: load.cpu_usage_percent,
        cpu_cores_total: view.threads,
        cpu_cores_allocated: view.promised.vcpus,
        memory_total_bytes: load.memory_total_bytes,
        memory_used_bytes: load.memory_used_bytes,
        memory_allocated_bytes: view.promised.memory_bytes,
        memory_available_bytes: load.memory_available_bytes,
        storage_total_bytes: load.storage_total_bytes,
        storage_used_bytes: load.storage_used_bytes,
        network_rx_bytes: load.network_rx_bytes,
        network_tx_bytes: load.network_tx_bytes,
        network_rx_errors: load.network_rx_errors,
        network_tx_errors: load.network_tx_errors,
        vm_count: view.vm_count,
        vm_running_count: view.vm_running_count,
        load_1m: load.load_1m,
        load_5m: load.load_5m,
        load_15m: load.load_15m,
        ..Default::default()
    }
}

pub(super) fn event(found: &SequencedEvent) -> wire::NodeEvent {
    let event = &found.event;
    wire::NodeEvent {
        id: found.sequence.to_string(),
        node_id: event.resource_id.clone(),
        r#type: enums::severity_out(event.severity).into(),
        reason: event.kind.clone(),
        message: event.message.clone(),
        timestamp: moment(event.at).into(),
        ..Default::default()
    }
}

pub(super) fn drained(report: &DrainReport) -> wire::DrainNodeResponse {
    let failure = |(id, error): &(crate::model::id::VmId, String)| wire::DrainFailure {
        vm_id: id.to_string(),
        error: error.clone(),
        ..Default::default()
    };
    wire::DrainNodeResponse {
        node: node(&report.node).into(),
        migrated_vm_ids: report.migrated.iter().map(ToString::to_string).collect(),
        stopped_vm_ids: report.stopped.iter().map(ToString::to_string).collect(),
        failures: report.failed.iter().map(failure).collect(),
        ..Default::default()
    }
}
