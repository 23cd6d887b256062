//! Nodes: the seed's repository.

use std::collections::BTreeMap;

use redb::ReadableTable;

use super::codec::{decode, encode};
use super::error::StoreError;
use super::stored_node::NodeV1;
use super::tables::{NODES, NODES_BY_CLUSTER, NODES_BY_HOSTNAME};
use super::{Store, Transaction, key, prefix_end};
use crate::model::id::NodeId;
use crate::model::node::{NodeLoad, NodePhase, NodeRecord};
use crate::model::vm::Moment;

/// Which nodes are meant; empty fields mean all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeFilter {
    pub phases: Vec<NodePhase>,
    /// All must match.
    pub labels: BTreeMap<String, String>,
}

impl NodeFilter {
    fn matches(&self, node: &NodeRecord) -> bool {
        (self.phases.is_empty() || self.phases.contains(&node.phase))
            && self.labels.iter().all(|(key, value)| node.labels.get(key) == Some(value))
    }
}

fn row(bytes: &[u8]) -> Result<NodeRecord, StoreError> {
    Ok(decode::<NodeV1>(bytes, "of a node")?.into())
}

/// The node's row in the index of clusters.
pub(super) fn cluster_key(node: &NodeRecord) -> Vec<u8> {
    key(&[node.cluster_id.as_bytes(), &[0], node.id.as_bytes()])
}

impl Store {
    /// One node.
    ///
    /// # Errors
    /// The store's.
    pub fn node_get(&self, id: NodeId) -> Result<Option<NodeRecord>, StoreError> {
        let table = self.read()?.open_table(NODES)?;
        table.get(id.as_bytes().as_slice())?.map(|value| row(value.value())).transpose()
    }

    /// The node of this hostname.
    ///
    /// # Errors
    /// The store's.
    pub fn node_get_by_hostname(&self, hostname: &str) -> Result<Option<NodeRecord>, StoreError> {
        let tx = self.read()?;
        let Some(id) = tx.open_table(NODES_BY_HOSTNAME)?.get(hostname.as_bytes())?.map(|value| value.value().to_vec())
        else {
            return Ok(None);
        };
        let table = tx.open_table(NODES)?;
        table.get(id.as_slice())?.map(|value| row(value.value())).transpose()
    }

    /// The nodes that match, by id.
    ///
    /// # Errors
    /// The store's.
    pub fn node_list(&self, filter: &NodeFilter) -> Result<Vec<NodeRecord>, StoreError> {
        let table = self.read()?.open_table(NODES)?;
        let mut found = Vec::new();
        for entry in table.iter()? {
            let node = row(entry?.1.value())?;
            if filter.matches(&node) {
                found.push(node);
            }
        }
        Ok(found)
    }

    /// The nodes on which VMs may be placed.
    ///
    /// # Errors
    /// The store's.
    pub fn node_list_schedulable(&self) -> Result<Vec<NodeRecord>, StoreError> {
        let mut nodes = self.node_list(&NodeFilter { phases: vec![NodePhase::Ready], labels: BTreeMap::new() })?;
        nodes.retain(|node| node.scheduling.schedulable && node.role.compute);
        Ok(nodes)
    }

    /// The nodes of a cluster.
    ///
    /// # Errors
    /// The store's.
    pub fn node_list_by_cluster(&self, cluster: &str) -> Result<Vec<NodeRecord>, StoreError> {
        let tx = self.read()?;
        let nodes = tx.open_table(NODES)?;
        let index = tx.open_table(NODES_BY_CLUSTER)?;
        let prefix = key(&[cluster.as_bytes(), &[0]]);
        let end = prefix_end(&prefix);
        let mut found = Vec::new();
        for entry in index.range(prefix.as_slice()..)? {
            let (at, _) = entry?;
            let at = at.value();
            if end.as_deref().is_some_and(|end| at >= end) {
                break;
            }
            if let Some(value) = nodes.get(at.get(prefix.len()..).unwrap_or_default())? {
                found.push(row(value.value())?);
            }
        }
        Ok(found)
    }
}

impl Transaction<'_> {
    fn node_row(&self, id: NodeId) -> Result<Option<NodeRecord>, StoreError> {
        let table = self.tx.open_table(NODES)?;
        table.get(id.as_bytes().as_slice())?.map(|value| row(value.value())).transpose()
    }

    /// Make a node.
    ///
    /// # Errors
    /// `AlreadyExists` for its id or hostname.
    pub fn node_create(&mut self, node: &NodeRecord) -> Result<(), StoreError> {
        if self.node_row(node.id)?.is_some() {
            return Err(StoreError::AlreadyExists { what: format!("node id {}", node.id), by: node.id.to_string() });
        }
        self.node_put(node)
    }

    /// Replace a node that must be there.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` for a hostname taken.
    pub fn node_update(&mut self, node: &NodeRecord) -> Result<(), StoreError> {
        if self.node_row(node.id)?.is_none() {
            return Err(StoreError::NotFound { what: format!("node {}", node.id) });
        }
        self.node_put(node)
    }

    fn node_put(&mut self, node: &NodeRecord) -> Result<(), StoreError> {
        let before = self.node_row(node.id)?;
        let id = node.id.as_bytes().as_slice();
        let mut names = self.tx.open_table(NODES_BY_HOSTNAME)?;
        let holder =
            names.get(node.hostname.as_bytes())?.map(|value| <[u8; 16]>::try_from(value.value()).unwrap_or_default());
        if let Some(holder) = holder
            && holder != id
        {
            return Err(StoreError::AlreadyExists {
                what: format!("hostname \"{}\"", node.hostname),
                by: format!("node {}", NodeId::from_bytes(holder)),
            });
        }
        let mut clusters = self.tx.open_table(NODES_BY_CLUSTER)?;
        if let Some(before) = before {
            if before.hostname != node.hostname {
                names.remove(before.hostname.as_bytes())?;
            }
            if before.cluster_id != node.cluster_id {
                clusters.remove(cluster_key(&before).as_slice())?;
            }
        }
        names.insert(node.hostname.as_bytes(), id)?;
        clusters.insert(cluster_key(node).as_slice(), [].as_slice())?;
        self.tx.open_table(NODES)?.insert(id, encode(&NodeV1::try_from(node)?)?.as_slice())?;
        Ok(())
    }

    /// Change a node's phase alone.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn node_update_status(&mut self, id: NodeId, phase: NodePhase, reason: &str) -> Result<(), StoreError> {
        let mut node = self.node_row(id)?.ok_or_else(|| StoreError::NotFound { what: format!("node {id}") })?;
        node.phase = phase;
        reason.clone_into(&mut node.phase_reason);
        self.node_put(&node)
    }

    /// Take a heartbeat.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn node_update_heartbeat(&mut self, id: NodeId, load: NodeLoad, at: Moment) -> Result<(), StoreError> {
        let mut node = self.node_row(id)?.ok_or_else(|| StoreError::NotFound { what: format!("node {id}") })?;
        node.load = load;
        node.last_heartbeat = at;
        self.node_put(&node)
    }

    /// Forget a node. Not there: done.
    ///
    /// # Errors
    /// The store's.
    pub fn node_delete(&mut self, id: NodeId) -> Result<(), StoreError> {
        if let Some(node) = self.node_row(id)? {
            self.tx.open_table(NODES_BY_HOSTNAME)?.remove(node.hostname.as_bytes())?;
            self.tx.open_table(NODES_BY_CLUSTER)?.remove(cluster_key(&node).as_slice())?;
            self.tx.open_table(NODES)?.remove(id.as_bytes().as_slice())?;
        }
        Ok(())
    }
}
