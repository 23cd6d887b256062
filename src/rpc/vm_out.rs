//! VMs, operations and events as they are shown.

use std::collections::BTreeMap;

use buffa_types::google::protobuf::Timestamp;
use quantixkvm_proto::Quantixkvm::compute::v1 as wire;
use quantixkvm_proto::Quantixkvm::operation::v1 as wire_operation;

use crate::model::event::SequencedEvent;
use crate::model::lifecycle::AllowedAction;
use crate::model::operation::{Cancel, Operation};
use crate::model::spec_diff::SpecChange;
use crate::model::units::Gib;
use crate::model::vm::{Moment, PowerState};
use crate::service::inventory::{Inventory, Usage, Vm};

use super::{enums, spec_out};

pub(super) fn moment(at: Moment) -> Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(1_000_000) * 1000).unwrap_or_default();
    Timestamp::from_unix(at.0.div_euclid(1_000_000), nanos)
}

/// A VM without its status, which changes most and is written beside it.
pub(super) fn vm(vm: &Vm, inventory: &Inventory) -> wire::VirtualMachine {
    let record = &vm.record;
    let spec = inventory.spec(vm);
    wire::VirtualMachine {
        id: record.id.to_string(),
        name: record.name.clone(),
        project_id: record.project_id.to_string(),
        labels: record.labels.clone().into_iter().collect(),
        description: record.description.clone(),
        hardware_version: spec.machine.clone(),
        spec: sized(spec_out::spec(&spec), &record.disk_sizes).into(),
        created_at: moment(record.created_at).into(),
        updated_at: moment(record.updated_at).into(),
        created_by: record.created_by.clone(),
        origin: enums::origin_out(record.origin).into(),
        is_managed: record.origin.is_managed(),
        resource_version: vm.resource_version(),
        allowed_actions: vm.allowed_actions().into_iter().map(action).collect(),
        autostart: vm.autostart.is_on(),
        start_order: record.start_order,
        start_delay_sec: record.start_delay_sec,
        deletion_protection: record.deletion_protection.is_on(),
        ..Default::default()
    }
}

/// The specification with the disks' sizes as last seen, which their definitions do not tell.
fn sized(mut spec: wire::VmSpec, sizes: &BTreeMap<String, u64>) -> wire::VmSpec {
    for disk in spec.disks.iter_mut().filter(|disk| disk.size_gib == 0) {
        if let Some(bytes) = sizes.get(&disk.path) {
            disk.size_gib = bytes.div_ceil(Gib(1).bytes());
        }
    }
    spec
}

fn action(action: AllowedAction) -> wire::AllowedAction {
    wire::AllowedAction {
        verb: action.verb.word().to_owned(),
        allowed: action.why_not.is_none(),
        reason: action.why_not.unwrap_or_default(),
        ..Default::default()
    }
}

/// A VM's status without its measured use.
pub(super) fn status(vm: &Vm) -> wire::VmStatus {
    let record = &vm.record;
    let (state, paused) = match record.state {
        PowerState::Running => (wire::vm_status::PowerState::RUNNING, None),
        PowerState::Stopped => (wire::vm_status::PowerState::STOPPED, None),
        PowerState::Paused(why) => (wire::vm_status::PowerState::PAUSED, Some(why)),
        PowerState::Suspended => (wire::vm_status::PowerState::SUSPENDED, None),
        PowerState::Crashed(_) => (wire::vm_status::PowerState::CRASHED, None),
        PowerState::Migrating => (wire::vm_status::PowerState::MIGRATING, None),
        PowerState::Provisioning => (wire::vm_status::PowerState::PROVISIONING, None),
        PowerState::Lost => (wire::vm_status::PowerState::LOST, None),
        PowerState::Unknown => (wire::vm_status::PowerState::UNKNOWN, None),
    };
    wire::VmStatus {
        state: state.into(),
        node_id: record.node_id.to_string(),
        ip_addresses: addresses(vm),
        error_message: record.error_message.clone(),
        state_changed_at: moment(record.state_changed_at).into(),
        last_seen_at: moment(record.last_seen_at).into(),
        lost_reason: record.lost_reason.clone(),
        operation: vm.operation.as_deref().map(operation).into(),
        paused_reason: paused.map(enums::paused_out).unwrap_or_default().into(),
        stale: vm.stale,
        pending_changes: vm.pending_changes.iter().map(pending).collect(),
        unresponsive_since: vm.unresponsive_since.map(moment).into(),
        ..Default::default()
    }
}

/// Leases and what the agent tells, each once, IPv4 first.
fn addresses(vm: &Vm) -> Vec<String> {
    let mut all = vm.ip_addresses.clone();
    for address in &vm.agent_addresses {
        if !all.contains(address) {
            all.push(address.clone());
        }
    }
    all.sort_by_key(|address| address.contains(':'));
    all
}

fn pending(change: &SpecChange) -> wire::PendingChange {
    wire::PendingChange {
        path: change.path.clone(),
        current: change.current.clone(),
        pending: change.pending.clone(),
        ..Default::default()
    }
}

pub(super) fn usage(usage: &Usage) -> wire::ResourceUsage {
    let counters = &usage.counters;
    wire::ResourceUsage {
        cpu_usage_percent: usage.cpu_usage_percent,
        memory_used_bytes: counters.memory_used_bytes,
        memory_allocated_bytes: counters.memory_allocated_bytes,
        disk_read_bytes: counters.disk_read_bytes,
        disk_write_bytes: counters.disk_write_bytes,
        disk_read_iops: usage.disk_read_iops,
        disk_write_iops: usage.disk_write_iops,
        network_rx_bytes: counters.network_rx_bytes,
        network_tx_bytes: counters.network_tx_bytes,
        network_rx_packets: counters.network_rx_packets,
        network_tx_packets: counters.network_tx_packets,
        ..Default::default()
    }
}

pub(super) fn operation(operation: &Operation) -> wire_operation::Operation {
    wire_operation::Operation {
        id: operation.id.to_string(),
        verb: operation.verb.word().to_owned(),
        resource_id: operation.resource_id.clone(),
        state: enums::operation_state_out(operation.state).into(),
        progress_percent: operation.progress_percent.into(),
        step: operation.step.clone(),
        created_at: moment(operation.created_at).into(),
        deadline: operation.deadline.map(moment).into(),
        error_code: operation.error_code.clone(),
        error_message: operation.error_message.clone(),
        cancellable: operation.cancel == Cancel::Possible,
        ..Default::default()
    }
}

pub(super) fn event(found: &SequencedEvent) -> wire::VMEvent {
    let event = &found.event;
    wire::VMEvent {
        id: found.sequence.to_string(),
        vm_id: event.resource_id.clone(),
        r#type: event.kind.clone(),
        message: event.message.clone(),
        user: event.user.clone(),
        severity: event.severity.word().to_owned(),
        created_at: event.at.to_string(),
        metadata: event.metadata.clone().into_iter().collect(),
        ..Default::default()
    }
}
