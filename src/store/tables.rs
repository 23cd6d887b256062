//! Every table of the state file on one screen. Keys and values are bytes: what is in them is the
//! codec's business, and no redb encoding of richer types can change under us.

use redb::{TableDefinition, WriteTransaction};

use super::error::StoreError;

/// A table of rows.
pub(super) type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Words of the file about itself: `schema_version`, `node_id`, `boot_id`.
pub(super) const META: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("meta");
/// VM id → VM.
pub(super) const VMS: Rows = TableDefinition::new("vms");
/// Project id + name + 0 + VM id → nothing. Ours are unique in it; what another client of libvirt
/// defined may share a name.
pub(super) const VMS_BY_NAME: Rows = TableDefinition::new("vms_by_name");
/// Node id + VM id → nothing.
pub(super) const VMS_BY_NODE: Rows = TableDefinition::new("vms_by_node");
/// Node id → node.
pub(super) const NODES: Rows = TableDefinition::new("nodes");
/// Hostname → node id. Unique.
pub(super) const NODES_BY_HOSTNAME: Rows = TableDefinition::new("nodes_by_hostname");
/// Cluster id + 0 + node id → nothing.
pub(super) const NODES_BY_CLUSTER: Rows = TableDefinition::new("nodes_by_cluster");
/// Operation id (time-ordered) → operation.
pub(super) const OPERATIONS: Rows = TableDefinition::new("operations");
/// Resource id + 0 + operation id → nothing.
pub(super) const OPERATIONS_BY_RESOURCE: Rows = TableDefinition::new("operations_by_resource");
/// Operation id → nothing, while it is unfinished.
pub(super) const OPERATIONS_UNFINISHED: Rows = TableDefinition::new("operations_unfinished");
/// Sequence (big-endian) → event.
pub(super) const EVENTS: Rows = TableDefinition::new("events");
/// Subject + resource id + 0 + sequence → nothing.
pub(super) const EVENTS_BY_RESOURCE: Rows = TableDefinition::new("events_by_resource");
/// Hash of caller, method and key → what was answered.
pub(super) const IDEMPOTENCY: Rows = TableDefinition::new("idempotency");

/// User id → user.
pub(super) const USERS: Rows = TableDefinition::new("users");
/// Name in lower case → user id. Unique.
pub(super) const USERS_BY_NAME: Rows = TableDefinition::new("users_by_name");
/// Token id → API token.
pub(super) const TOKENS: Rows = TableDefinition::new("tokens");
/// Session id → session.
pub(super) const SESSIONS: Rows = TableDefinition::new("sessions");
/// Sequence (big-endian) → line of the audit log.
pub(super) const AUDIT: Rows = TableDefinition::new("audit");

/// Every table of rows; the first [`FORMAT_1`] of them are of format 1.
pub(super) const ROWS: [Rows; 17] = [
    VMS,
    VMS_BY_NAME,
    VMS_BY_NODE,
    NODES,
    NODES_BY_HOSTNAME,
    NODES_BY_CLUSTER,
    OPERATIONS,
    OPERATIONS_BY_RESOURCE,
    OPERATIONS_UNFINISHED,
    EVENTS,
    EVENTS_BY_RESOURCE,
    IDEMPOTENCY,
    USERS,
    USERS_BY_NAME,
    TOKENS,
    SESSIONS,
    AUDIT,
];
/// How many tables format 1 has.
const FORMAT_1: usize = 12;

/// A table that is missing is an error to a reader: all are made at once.
pub(super) fn create_format_1(tx: &WriteTransaction) -> Result<(), StoreError> {
    tx.open_table(META)?;
    for table in &ROWS[..FORMAT_1] {
        tx.open_table(*table)?;
    }
    Ok(())
}

/// What format 2 adds: who gets in.
pub(super) fn create_format_2(tx: &WriteTransaction) -> Result<(), StoreError> {
    for table in &ROWS[FORMAT_1..] {
        tx.open_table(*table)?;
    }
    Ok(())
}
