//! The state file's tests, and the records that they share.

mod backup;
mod bounds;
mod damage;
mod faults;
mod golden;
mod hostile;
mod making;
mod migrations;
mod model;
mod nodes;
mod platter;
mod power;
mod process;
mod vms;

use std::collections::BTreeMap;
use std::path::PathBuf;

use uuid::Uuid;

use super::*;
use crate::model::definition::{DefinitionText, NewVolume, VolumeRef};
use crate::model::event::{Event, Severity, Subject};
use crate::model::id::{DEFAULT_PROJECT, NodeId, OperationId, ProjectId, VmId};
use crate::model::node::{
    CpuFacts, NodeFacts, NodeLoad, NodePhase, NodeRecord, NodeRole, Scheduling, Taint, TaintEffect,
};
use crate::model::operation::{Cancel, CreateIntent, Intent, Operation, OperationState, Verb};
use crate::model::spec::{DiskFormat, DiskProvisioning, GuestOs, GuestOsFamily};
use crate::model::units::Gib;
use crate::model::vm::{DeletionProtection, Moment, Origin, PowerState, VmRecord};

const JULY: i64 = 1_782_864_000_000_000;

fn uuid(kind: u8, n: u32) -> Uuid {
    let mut bytes = *Uuid::from_u128(u128::from(n)).as_bytes();
    bytes[0] = kind;
    bytes[6] = 0x40;
    bytes[8] = 0x80;
    Uuid::from_bytes(bytes)
}

fn vm_id(n: u32) -> VmId {
    VmId(uuid(1, n))
}

fn node_id(n: u32) -> NodeId {
    NodeId(uuid(2, n))
}

fn project(n: u32) -> ProjectId {
    if n == 0 { DEFAULT_PROJECT } else { ProjectId(uuid(3, n)) }
}

fn operation_id(n: u32) -> OperationId {
    OperationId(uuid(4, n))
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn vm(n: u32) -> VmRecord {
    VmRecord {
        id: vm_id(n),
        name: format!("web-{n}"),
        hypervisor_name: format!("web-{n}"),
        project_id: project(n % 3),
        node_id: node_id(n % 2),
        labels: labels(&[("tier", if n.is_multiple_of(2) { "front" } else { "back" }), ("n", &n.to_string())]),
        description: "A VM of the tests — with an umlaut: ä".to_owned(),
        origin: Origin::ControlPlane,
        created_by: "api".to_owned(),
        created_at: Moment(JULY + i64::from(n)),
        updated_at: Moment(JULY + 1),
        generation: u64::from(n) + 1,
        start_order: n.is_multiple_of(2).then_some(n),
        start_delay_sec: n.is_multiple_of(5).then_some(30),
        deletion_protection: DeletionProtection::Off,
        guest_os: GuestOs { family: GuestOsFamily::Debian, variant: "debian12".to_owned() },
        owned_volumes: vec![VolumeRef { pool: "default".to_owned(), volume: format!("web-{n}.qcow2") }],
        disk_sizes: BTreeMap::from([("vda".to_owned(), 10 << 30)]),
        definition: DefinitionText(format!("<domain><name>web-{n}</name></domain>")),
        state: if n.is_multiple_of(2) { PowerState::Running } else { PowerState::Stopped },
        state_changed_at: Moment(JULY + 2),
        last_seen_at: Moment(JULY + 3),
        error_message: String::new(),
        lost_reason: String::new(),
    }
}

fn node(n: u32) -> NodeRecord {
    NodeRecord {
        id: node_id(n),
        hostname: format!("host-{n}"),
        management_ip: "192.0.2.5".to_owned(),
        labels: labels(&[("rack", "r1")]),
        annotations: labels(&[("note", "by the door")]),
        cluster_id: if n.is_multiple_of(2) { String::new() } else { "east".to_owned() },
        role: NodeRole { compute: true, storage: true, control_plane: false },
        scheduling: Scheduling {
            taints: vec![Taint { key: "gpu".to_owned(), value: "yes".to_owned(), effect: TaintEffect::NoExecute }],
            ..Scheduling::default()
        },
        facts: NodeFacts {
            cpu: CpuFacts { model: "Zen".to_owned(), total_threads: 16, ..CpuFacts::default() },
            ..NodeFacts::default()
        },
        phase: NodePhase::Ready,
        phase_reason: String::new(),
        load: NodeLoad { cpu_usage_percent: 12.5, running_vms: 3, ..NodeLoad::default() },
        created_at: Moment(JULY),
        updated_at: Moment(JULY),
        last_heartbeat: Moment(JULY),
        agent_endpoint: String::new(),
        agent_version: "0.1.0".to_owned(),
    }
}

fn operation(n: u32) -> Operation {
    Operation {
        id: operation_id(n),
        verb: Verb::Create,
        resource_id: vm_id(n % 10).to_string(),
        state: OperationState::Succeeded,
        progress_percent: 100,
        step: "done".to_owned(),
        created_at: Moment(JULY),
        deadline: Some(Moment(JULY + 60_000_000)),
        finished_at: None,
        error_code: String::new(),
        error_message: String::new(),
        cancel: Cancel::Impossible,
        user: "api".to_owned(),
        request_id: "r-1".to_owned(),
        intent: Intent::Create(Box::new(CreateIntent {
            vm: vm(n),
            volumes: vec![NewVolume {
                at: VolumeRef { pool: "default".to_owned(), volume: format!("web-{n}.qcow2") },
                size: Gib(10),
                format: DiskFormat::Qcow2,
                provisioning: DiskProvisioning::Thin,
                backing: Some(("/images/debian.qcow2".to_owned(), DiskFormat::Raw)),
            }],
            autostart: true,
            start_after: false,
        })),
    }
}

fn event(n: u32) -> Event {
    Event {
        subject: if n.is_multiple_of(3) { Subject::Node } else { Subject::Vm },
        resource_id: vm_id(n % 5).to_string(),
        kind: if n.is_multiple_of(2) { "vm.started" } else { "vm.stopped" }.to_owned(),
        message: format!("VM \"web-{n}\" changed"),
        user: "host".to_owned(),
        severity: if n.is_multiple_of(4) { Severity::Warning } else { Severity::Info },
        at: Moment(JULY + i64::from(n)),
        metadata: labels(&[("from", "stopped")]),
    }
}

/// Do one thing in a commit of its own.
fn done<T>(store: &Store, work: impl FnOnce(&mut Transaction<'_>) -> Result<T, StoreError>) -> T {
    store.commit(work).expect("a commit that should succeed")
}

/// Every row of every table, as bytes, and every word of the file about itself.
fn dump(store: &Store) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    use redb::{ReadableTable as _, TableHandle as _};
    let tx = store.read().expect("a reader");
    let mut found = Vec::new();
    for table in tables::ROWS {
        for entry in tx.open_table(table).expect("a table").iter().expect("rows") {
            let (at, value) = entry.expect("a row");
            found.push((table.name().to_owned(), at.value().to_vec(), value.value().to_vec()));
        }
    }
    for entry in tx.open_table(META).expect("a table").iter().expect("rows") {
        let (at, value) = entry.expect("a row");
        found.push(("meta".to_owned(), at.value().as_bytes().to_vec(), value.value().to_vec()));
    }
    found
}

/// A directory and the path of a state file in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("state.redb");
    (directory, path)
}

fn memory() -> Store {
    Store::in_memory().expect("memory does not fail")
}

#[test]
fn prefixes_end_where_they_should() {
    assert_eq!(prefix_end(b"ab"), Some(b"ac".to_vec()));
    assert_eq!(prefix_end(&[1, 255]), Some(vec![2]));
    assert_eq!(prefix_end(&[255, 255]), None);
}
