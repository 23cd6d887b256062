//! A lost state file, made again from libvirt: every VM of ours carries in its definition's metadata
//! what only the state file knew. What carries none is the host's, and is found as such at the next
//! start. Operations, events and kept answers are not in libvirt and begin anew.

use std::collections::{BTreeMap, HashMap};

use crate::hypervisor::Hypervisor;
use crate::model::id::{NodeId, ProjectId, VmId};
use crate::model::vm::{DescribedVm, Moment, VmRecord};
use crate::store::{NodeFilter, Store};

use super::error::ServiceError;
use super::node::keep_local_node_id;
use super::reconcile::record_of;

/// What was rebuilt and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rebuilt {
    /// The node that the VMs name as theirs, which this host is again; `None`: no VM named one.
    pub node_id: Option<NodeId>,
    /// Id and name of each VM that has its record again.
    pub vms: Vec<(VmId, String)>,
    pub skipped: Vec<Skipped>,
}

/// A VM that got no record, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub id: VmId,
    /// Its name at the hypervisor.
    pub name: String,
    /// A sentence.
    pub why: String,
}

/// Make the records of every VM of `hypervisor` that carries our metadata, in one commit. The store
/// must be a fresh one, and the hypervisor connected.
///
/// # Errors
/// `Precondition` where the store already knows VMs or nodes; the hypervisor's where the VMs cannot
/// be listed; the store's. Nothing is written then.
pub fn rebuild(hypervisor: &dyn Hypervisor, store: &Store) -> Result<Rebuilt, ServiceError> {
    if !store.vm_all()?.is_empty() || !store.node_list(&NodeFilter::default())?.is_empty() {
        return Err(ServiceError::Precondition {
            reason: "NOT_EMPTY",
            subject: String::new(),
            message: "the state file holds VMs or nodes; move it away before it is rebuilt from libvirt".to_owned(),
        });
    }
    let mut report = Rebuilt::default();
    let mut tagged = Vec::new();
    for listed in hypervisor.list()? {
        let read = hypervisor.describe(listed.id);
        let why = match read {
            Ok(Some(DescribedVm { identity: Some(identity), persistent, .. })) if identity.vm_id == listed.id => {
                tagged.push((listed, identity, persistent));
                continue;
            }
            Ok(Some(DescribedVm { identity: Some(identity), .. })) => {
                format!("its metadata was copied from VM {}", identity.vm_id)
            }
            Ok(Some(_)) => "it carries no metadata of ours that can be read: it is the host's".to_owned(),
            Ok(None) => "it was undefined meanwhile".to_owned(),
            Err(error) => format!("its definition cannot be read: {error}"),
        };
        report.skipped.push(Skipped { id: listed.id, name: listed.hypervisor_name, why });
    }
    report.node_id = most_named(tagged.iter().map(|(_, identity, _)| identity.node_id));
    let now = Moment::now();
    let mut records = Vec::new();
    let mut names: HashMap<(ProjectId, String), VmId> = HashMap::new();
    // Of two of one name the older keeps it.
    tagged.sort_by_key(|(listed, identity, _)| (identity.created_at_us, listed.id));
    for (listed, identity, definition) in tagged {
        let taken = names.get(&(identity.project_id, identity.name.clone()));
        let why = if Some(identity.node_id) != report.node_id {
            format!("it belongs to another node, {}", identity.node_id)
        } else if let Some(other) = taken {
            format!("VM {other} has its name \"{}\" in the project", identity.name)
        } else {
            names.insert((identity.project_id, identity.name.clone()), listed.id);
            report.vms.push((listed.id, identity.name.clone()));
            records.push(VmRecord { definition, ..record_of(&listed, identity, now) });
            continue;
        };
        report.skipped.push(Skipped { id: listed.id, name: listed.hypervisor_name, why });
    }
    store.commit(|tx| {
        if let Some(node) = report.node_id {
            keep_local_node_id(tx, node)?;
        }
        records.iter().try_for_each(|vm| tx.vm_create(vm)).map_err(ServiceError::from)
    })?;
    Ok(report)
}

/// The node that most VMs name; of two named as often, the smaller id.
fn most_named(nodes: impl Iterator<Item = NodeId>) -> Option<NodeId> {
    let mut counts: BTreeMap<NodeId, usize> = BTreeMap::new();
    for node in nodes {
        *counts.entry(node).or_default() += 1;
    }
    counts.into_iter().max_by_key(|&(node, count)| (count, std::cmp::Reverse(node))).map(|(node, _)| node)
}

#[cfg(test)]
mod tests;
