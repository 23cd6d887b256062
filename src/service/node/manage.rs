//! Settings, labels, maintenance, and the end of a node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::model::event::Severity;
use crate::model::id::NodeId;
use crate::model::node::NodePhase;
use crate::model::validate;

use super::super::core::blocking;
use super::super::error::ServiceError;
use super::super::idempotency::begun;
use super::super::requests::{Caller, IdempotencyKey, UpdateNode};
use super::view::{NodeView, Place};
use super::{NodeService, rules};

/// Whether a node goes although VMs are on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decommission {
    /// Only without VMs.
    Empty,
    /// Its VMs are forgotten here; there they go on.
    WithVms,
}

impl NodeService {
    /// Change role and settings.
    ///
    /// # Errors
    /// `Invalid` with every setting out of its limits; `NotFound`.
    pub async fn update(
        self: &Arc<Self>,
        caller: &Caller,
        id: NodeId,
        wanted: UpdateNode,
    ) -> Result<Arc<NodeView>, ServiceError> {
        let user = caller.user.clone();
        self.change(id, caller.idempotency, move |node| {
            if let Some(scheduling) = wanted.scheduling {
                node.record.scheduling =
                    rules::scheduling(scheduling, &node.record.facts).map_err(ServiceError::Invalid)?;
            }
            if let Some(role) = wanted.role {
                node.record.role = role;
            }
            let message = format!("settings of node \"{}\" were changed", node.record.hostname);
            Ok(Some(Self::event(id, "node.updated", message, Severity::Info, &user)))
        })
        .await
    }

    /// Add and remove labels; a key in both ends up added.
    ///
    /// # Errors
    /// `Invalid` where the outcome breaks the limits; `NotFound`.
    pub async fn update_labels(
        self: &Arc<Self>,
        caller: &Caller,
        id: NodeId,
        add: BTreeMap<String, String>,
        remove: Vec<String>,
    ) -> Result<Arc<NodeView>, ServiceError> {
        let user = caller.user.clone();
        self.change(id, caller.idempotency, move |node| {
            let labels = &mut node.record.labels;
            for key in &remove {
                labels.remove(key);
            }
            labels.extend(add);
            let violations: Vec<_> = validate::labels(labels).into_iter().collect();
            if !violations.is_empty() {
                return Err(ServiceError::Invalid(violations));
            }
            let message = format!("labels of node \"{}\" were changed", node.record.hostname);
            Ok(Some(Self::event(id, "node.updated", message, Severity::Info, &user)))
        })
        .await
    }

    /// Take VMs again.
    ///
    /// # Errors
    /// `Precondition` while it is being drained; `NotFound`.
    pub async fn enable(self: &Arc<Self>, caller: &Caller, id: NodeId) -> Result<Arc<NodeView>, ServiceError> {
        let user = caller.user.clone();
        let service = Arc::clone(self);
        self.change(id, caller.idempotency, move |node| {
            service.not_draining(node)?;
            let (phase, reason) = match node.record.phase {
                NodePhase::Maintenance | NodePhase::Draining => service.phase_when_enabled(node, Instant::now()),
                phase @ (NodePhase::Unknown
                | NodePhase::Pending
                | NodePhase::Ready
                | NodePhase::NotReady
                | NodePhase::Offline) => (phase, node.record.phase_reason.clone()),
            };
            node.record.phase = phase;
            node.record.phase_reason = reason;
            node.record.scheduling.schedulable = true;
            let message = format!("node \"{}\" takes VMs again", node.record.hostname);
            Ok(Some(Self::event(id, "node.enabled", message, Severity::Info, &user)))
        })
        .await
    }

    /// Take no VMs any more; those on it run on.
    ///
    /// # Errors
    /// `Precondition` while it is being drained; `Invalid` for a reason too long; `NotFound`.
    pub async fn disable(
        self: &Arc<Self>,
        caller: &Caller,
        id: NodeId,
        reason: &str,
    ) -> Result<Arc<NodeView>, ServiceError> {
        rules::reason(reason).map_err(|violation| ServiceError::Invalid(vec![violation]))?;
        let user = caller.user.clone();
        let reason = match reason.trim() {
            "" => format!("disabled by {user}"),
            given => given.to_owned(),
        };
        let service = Arc::clone(self);
        self.change(id, caller.idempotency, move |node| {
            service.not_draining(node)?;
            let message = format!("node \"{}\" is in maintenance: {reason}", node.record.hostname);
            node.record.phase = NodePhase::Maintenance;
            node.record.phase_reason = reason;
            node.record.scheduling.schedulable = false;
            Ok(Some(Self::event(id, "node.maintenance", message, Severity::Info, &user)))
        })
        .await
    }

    /// Forget a node.
    ///
    /// # Errors
    /// `Precondition` for this host, always, and for a node with VMs unless they go with it;
    /// `NotFound`.
    pub async fn decommission(
        self: &Arc<Self>,
        caller: &Caller,
        id: NodeId,
        how: Decommission,
    ) -> Result<(), ServiceError> {
        let user = caller.user.clone();
        let service = Arc::clone(self);
        let key = caller.idempotency;
        blocking(move || service.decommission_now(id, how, &user, key)).await
    }

    fn decommission_now(
        &self,
        id: NodeId,
        how: Decommission,
        user: &str,
        key: Option<IdempotencyKey>,
    ) -> Result<(), ServiceError> {
        self.registry.commit_with(|now, edits| {
            let node = now.nodes.get(&id).ok_or_else(|| ServiceError::no_node(id))?;
            let hostname = &node.record.hostname;
            let refused =
                |reason, message: String| ServiceError::Precondition { reason, subject: id.to_string(), message };
            if node.place == Place::Here {
                return Err(refused(
                    "LOCAL_NODE",
                    format!(
                        "node \"{hostname}\" is this host, which cannot be removed from itself; disable it instead"
                    ),
                ));
            }
            self.core.transact(|tx, picture, vms| {
                let on_it: Vec<_> =
                    picture.vms.values().filter(|vm| vm.record.node_id == id).map(|vm| vm.record.id).collect();
                match how {
                    Decommission::Empty if !on_it.is_empty() => {
                        return Err(refused(
                            "NODE_HAS_VMS",
                            format!(
                                "node \"{hostname}\" has {} VMs; delete or move them, or set force to forget them here",
                                on_it.len()
                            ),
                        ));
                    }
                    Decommission::Empty | Decommission::WithVms => {}
                }
                for vm in &on_it {
                    tx.vm_delete(*vm)?;
                    vms.remove(*vm);
                }
                tx.node_delete(id)?;
                begun(tx, key)?;
                tx.event_append(&Self::event(
                    id,
                    "node.decommissioned",
                    format!("node \"{hostname}\" was removed"),
                    Severity::Info,
                    user,
                ))?;
                Ok(())
            })?;
            edits.remove(id);
            Ok(())
        })?;
        self.forget_heartbeats(id);
        Ok(())
    }

    /// # Errors
    /// `Precondition` while an operation drains the node.
    pub(super) fn not_draining(&self, node: &NodeView) -> Result<(), ServiceError> {
        match self.operations.holder(&node.record.id.to_string()) {
            None => Ok(()),
            Some(holder) => {
                let operation = holder.operation();
                Err(ServiceError::Precondition {
                    reason: "NODE_DRAINING",
                    subject: node.record.id.to_string(),
                    message: format!(
                        "node \"{}\" is being drained by operation {} since {}; wait for it, or cancel it",
                        node.record.hostname, operation.id, operation.created_at
                    ),
                })
            }
        }
    }
}
