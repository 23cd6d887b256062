//! The whole file read once: every row decodes, and the indexes say what the rows say. Run on a
//! copy in memory before a file is opened, and by tests after every step.

use std::collections::{BTreeMap, BTreeSet};

use redb::ReadTransaction;

use super::Store;
use super::codec::{Record, decode};
use super::error::StoreError;
use super::stored::{EventV1, IdempotencyV1, OperationV2, VmV2, operation_of, vm_of};
use super::stored_access::{AuditV1, SessionV1, TokenV1, UserV1};
use super::stored_node::NodeV1;
use super::tables::{
    AUDIT, EVENTS, EVENTS_BY_RESOURCE, IDEMPOTENCY, NODES, NODES_BY_CLUSTER, NODES_BY_HOSTNAME, OPERATIONS,
    OPERATIONS_BY_RESOURCE, OPERATIONS_UNFINISHED, Rows, SESSIONS, TOKENS, USERS, USERS_BY_NAME, VMS, VMS_BY_NAME,
    VMS_BY_NODE,
};
use super::{access, event, node, operation, vm};
use crate::model::event::Event;
use crate::model::node::NodeRecord;
use crate::model::operation::{Operation, OperationState};
use crate::model::user::{SessionRecord, TokenRecord, UserRecord};
use crate::model::vm::VmRecord;

/// Every row of a table: key and bytes.
type Raw = BTreeMap<Vec<u8>, Vec<u8>>;

fn raw(tx: &ReadTransaction, table: Rows) -> Result<Raw, StoreError> {
    use redb::ReadableTable as _;
    tx.open_table(table)?
        .iter()?
        .map(|entry| {
            let (at, value) = entry?;
            Ok((at.value().to_vec(), value.value().to_vec()))
        })
        .collect()
}

/// Every record of a table of one version; `key` is what a record should lie under.
fn records<R: Record, M: TryFrom<R>>(
    tx: &ReadTransaction,
    table: Rows,
    key: impl Fn(&M) -> Vec<u8>,
) -> Result<Vec<M>, StoreError>
where
    StoreError: From<M::Error>,
{
    read(tx, table, R::TABLE, |bytes, row| Ok(M::try_from(decode::<R>(bytes, row)?)?), key)
}

/// As [`records`], of several versions.
fn read<M>(
    tx: &ReadTransaction,
    table: Rows,
    name: &'static str,
    of: impl Fn(&[u8], &str) -> Result<M, StoreError>,
    key: impl Fn(&M) -> Vec<u8>,
) -> Result<Vec<M>, StoreError> {
    raw(tx, table)?
        .into_iter()
        .map(|(at, bytes)| {
            let row = hex(&at);
            let record = of(&bytes, &row)?;
            if key(&record) == at {
                Ok(record)
            } else {
                Err(StoreError::BadRow { table: name, row, why: "it holds the record of another id".to_owned() })
            }
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An index, as it lies in the file and as its rows would have it.
fn same(what: &'static str, found: Raw, wanted: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<(), StoreError> {
    let wanted: Raw = wanted.collect();
    if found == wanted {
        return Ok(());
    }
    let odd = found
        .iter()
        .find(|(at, value)| wanted.get(*at) != Some(*value))
        .or_else(|| wanted.iter().find(|(at, _)| !found.contains_key(*at)));
    Err(StoreError::BadRow {
        table: what,
        row: odd.map(|(at, _)| hex(at)).unwrap_or_default(),
        why: "the index does not agree with its rows".to_owned(),
    })
}

impl Store {
    /// Read everything and compare indexes with rows.
    ///
    /// # Errors
    /// `BadRow`, naming what is wrong.
    pub fn verify(&self) -> Result<(), StoreError> {
        let tx = self.read()?;
        let only = |key: Vec<u8>| (key, Vec::new());

        let vms: Vec<VmRecord> =
            read(&tx, VMS, VmV2::TABLE, |bytes, row| vm_of(bytes, row), |vm: &VmRecord| vm.id.as_bytes().to_vec())?;
        same("vms_by_name", raw(&tx, VMS_BY_NAME)?, vms.iter().map(|it| only(vm::name_key(it))))?;
        same("vms_by_node", raw(&tx, VMS_BY_NODE)?, vms.iter().map(|it| only(vm::node_key(it))))?;
        let mut names = BTreeSet::new();
        for vm in vms.iter().filter(|vm| vm.origin.is_managed()) {
            if !names.insert((vm.project_id, &vm.name)) {
                let why = format!("another VM of its project has its name \"{}\"", vm.name);
                return Err(StoreError::BadRow { table: "vms", row: vm.id.to_string(), why });
            }
        }

        let nodes: Vec<NodeRecord> = records::<NodeV1, _>(&tx, NODES, |node: &NodeRecord| node.id.as_bytes().to_vec())?;
        let hosts = nodes.iter().map(|it| (it.hostname.as_bytes().to_vec(), it.id.as_bytes().to_vec()));
        same("nodes_by_hostname", raw(&tx, NODES_BY_HOSTNAME)?, hosts)?;
        same("nodes_by_cluster", raw(&tx, NODES_BY_CLUSTER)?, nodes.iter().map(|it| only(node::cluster_key(it))))?;

        let operations: Vec<Operation> = read(
            &tx,
            OPERATIONS,
            OperationV2::TABLE,
            |bytes, row| operation_of(bytes, row),
            |it: &Operation| it.id.as_bytes().to_vec(),
        )?;
        let by_resource = operations.iter().map(|it| only(operation::resource_key(it)));
        same("operations_by_resource", raw(&tx, OPERATIONS_BY_RESOURCE)?, by_resource)?;
        let unfinished = operations.iter().filter(|it| it.state == OperationState::Running);
        let unfinished = unfinished.map(|it| only(it.id.as_bytes().to_vec()));
        same("operations_unfinished", raw(&tx, OPERATIONS_UNFINISHED)?, unfinished)?;

        let mut by_resource = Raw::new();
        for (at, bytes) in raw(&tx, EVENTS)? {
            let event: Event = decode::<EventV1>(&bytes, event::sequence_of(&at)?)?.try_into()?;
            by_resource.insert(event::index_key(&event, &at), Vec::new());
        }
        same("events_by_resource", raw(&tx, EVENTS_BY_RESOURCE)?, by_resource.into_iter())?;

        for bytes in raw(&tx, IDEMPOTENCY)?.into_values() {
            decode::<IdempotencyV1>(&bytes, "of a key")?;
        }

        let users: Vec<UserRecord> = records::<UserV1, _>(&tx, USERS, |user: &UserRecord| user.id.as_bytes().to_vec())?;
        let names = users.iter().map(|it| (access::name_key(it), it.id.as_bytes().to_vec()));
        same("users_by_name", raw(&tx, USERS_BY_NAME)?, names)?;
        records::<TokenV1, _>(&tx, TOKENS, |token: &TokenRecord| token.id.as_bytes().to_vec())?;
        records::<SessionV1, _>(&tx, SESSIONS, |session: &SessionRecord| session.id.as_bytes().to_vec())?;
        for (at, bytes) in raw(&tx, AUDIT)? {
            decode::<AuditV1>(&bytes, event::sequence_of(&at)?)?;
        }
        Ok(())
    }
}
