//! How nodes come: this host at its own start, others by asking.

use std::sync::Arc;

use crate::model::event::Severity;
use crate::model::id::NodeId;
use crate::model::node::{NodeFacts, NodeLoad, NodePhase, NodeRecord, NodeRole, Scheduling};
use crate::model::validate::{self, Violation};
use crate::model::vm::Moment;

use super::super::core::blocking;
use super::super::error::ServiceError;
use super::super::idempotency::begun;
use super::super::requests::{Caller, RegisterNode};
use super::view::{NodeView, Place};
use super::{NodeService, rules};

/// Version of the software that speaks for this host.
const OUR_VERSION: &str = env!("CARGO_PKG_VERSION");

impl NodeService {
    /// This host is a node: made at the first start, renewed at every later one. Its phase and
    /// settings are the store's. Blocks.
    pub(super) fn register_local(&self) -> Result<(), ServiceError> {
        let id = self.core.node_id;
        let hostname = self.machine.hostname();
        let management_ip = self.machine.management_ip();
        let facts = self.machine.facts();
        let now = Moment::now();
        self.registry.commit(|tx, known, edits| {
            // Another node that came under the name which this host has now is this host.
            if let Some(other) =
                known.nodes.values().find(|node| node.record.hostname == hostname && node.record.id != id)
            {
                tx.node_delete(other.record.id)?;
                edits.remove(other.record.id);
                tx.event_append(&Self::event(
                    other.record.id,
                    "node.decommissioned",
                    format!("node \"{hostname}\" was forgotten: this host has that name"),
                    Severity::Warning,
                    "system",
                ))?;
            }
            match known.nodes.get(&id) {
                Some(known) => {
                    let mut node = NodeView::clone(known);
                    let record = &mut node.record;
                    record.hostname = hostname;
                    record.management_ip = management_ip;
                    record.facts = keep_hypervisor(facts, &record.facts);
                    OUR_VERSION.clone_into(&mut record.agent_version);
                    record.last_heartbeat = now;
                    tx.node_update(record)?;
                    edits.put(node);
                }
                None => {
                    let record = NodeRecord {
                        role: NodeRole { compute: true, storage: true, control_plane: true },
                        phase: NodePhase::Ready,
                        last_heartbeat: now,
                        agent_version: OUR_VERSION.to_owned(),
                        ..blank(id, hostname, management_ip, facts, now)
                    };
                    tx.node_create(&record)?;
                    tx.event_append(&Self::event(
                        id,
                        "node.registered",
                        format!("this host registered itself as \"{}\"", record.hostname),
                        Severity::Info,
                        "system",
                    ))?;
                    edits.put(NodeView::of_record(record, Place::Here));
                }
            }
            Ok(())
        })
    }

    /// Let another host in, or renew what is known of it.
    ///
    /// # Errors
    /// `Invalid` with every broken rule; `AlreadyExists` for this host's own name.
    pub async fn register(
        self: &Arc<Self>,
        caller: &Caller,
        wanted: RegisterNode,
    ) -> Result<Arc<NodeView>, ServiceError> {
        let mut violations: Vec<Violation> = Vec::new();
        let hostname = rules::hostname(&wanted.hostname).map_err(|violation| violations.push(violation));
        let address = rules::management_ip(&wanted.management_ip).map_err(|violation| violations.push(violation));
        violations.extend(validate::labels(&wanted.labels));
        let (Ok(hostname), Ok(address), []) = (hostname, address, violations.as_slice()) else {
            return Err(ServiceError::Invalid(violations));
        };
        let service = Arc::clone(self);
        let caller = caller.clone();
        let id = blocking(move || service.upsert(hostname, address, wanted, &caller)).await?;
        self.get(id)
    }

    fn upsert(
        &self,
        hostname: String,
        management_ip: String,
        wanted: RegisterNode,
        caller: &Caller,
    ) -> Result<NodeId, ServiceError> {
        let now = Moment::now();
        self.registry.commit_with(|known, edits| {
            let same = known.nodes.values().find(|node| node.record.hostname.eq_ignore_ascii_case(&hostname));
            if let Some(same) = same
                && same.place == Place::Here
            {
                return Err(ServiceError::AlreadyExists(format!(
                    "\"{hostname}\" is this host ({}), which registers itself; give another host's name",
                    same.record.id
                )));
            }
            let (mut record, message) = match same {
                Some(same) => (same.record.clone(), format!("node \"{}\" registered again", same.record.hostname)),
                None => (
                    NodeRecord {
                        role: NodeRole { compute: true, ..NodeRole::default() },
                        phase: NodePhase::Pending,
                        phase_reason: "it registered and has not reported yet".to_owned(),
                        ..blank(NodeId::random(), hostname.clone(), String::new(), NodeFacts::default(), now)
                    },
                    format!("node \"{hostname}\" registered"),
                ),
            };
            record.management_ip = management_ip;
            record.agent_endpoint = wanted.agent_endpoint;
            if let Some(role) = wanted.role {
                record.role = role;
            }
            if !wanted.labels.is_empty() {
                record.labels = wanted.labels;
            }
            if !wanted.taints.is_empty() {
                record.scheduling.taints = wanted.taints;
            }
            renew(&mut record.facts, wanted.facts);
            let id = record.id;
            if same.is_some_and(|same| same.record == record) {
                return Ok(id);
            }
            record.updated_at = now;
            let event = Self::event(id, "node.registered", message, Severity::Info, &caller.user);
            self.core.store.commit(|tx| {
                begun(tx, caller.idempotency)?;
                match same {
                    Some(_) => tx.node_update(&record)?,
                    None => tx.node_create(&record)?,
                }
                tx.event_append(&event)?;
                Ok::<(), ServiceError>(())
            })?;
            edits.put(match same {
                Some(same) => NodeView { record, ..NodeView::clone(same) },
                None => NodeView::of_record(record, Place::Elsewhere),
            });
            Ok(id)
        })
    }
}

/// What is sent replaces what was known, part by part.
fn renew(known: &mut NodeFacts, sent: NodeFacts) {
    let none = NodeFacts::default();
    if sent.cpu != none.cpu {
        known.cpu = sent.cpu;
    }
    if sent.memory != none.memory {
        known.memory = sent.memory;
    }
    if !sent.storage.is_empty() {
        known.storage = sent.storage;
    }
    if !sent.network.is_empty() {
        known.network = sent.network;
    }
    if !sent.gpus.is_empty() {
        known.gpus = sent.gpus;
    }
    if sent.system != none.system {
        known.system = sent.system;
    }
}

/// Until libvirt answers, what it last said of itself stands.
fn keep_hypervisor(mut facts: NodeFacts, before: &NodeFacts) -> NodeFacts {
    if facts.system.hypervisor.is_empty() {
        facts.system.hypervisor.clone_from(&before.system.hypervisor);
        facts.system.hypervisor_version.clone_from(&before.system.hypervisor_version);
    }
    facts
}

/// A record of a node that was just met.
pub(in super::super) fn blank(
    id: NodeId,
    hostname: String,
    management_ip: String,
    facts: NodeFacts,
    now: Moment,
) -> NodeRecord {
    NodeRecord {
        id,
        hostname,
        management_ip,
        labels: std::collections::BTreeMap::new(),
        annotations: std::collections::BTreeMap::new(),
        cluster_id: String::new(),
        role: NodeRole::default(),
        scheduling: Scheduling::default(),
        facts,
        phase: NodePhase::Unknown,
        phase_reason: String::new(),
        load: NodeLoad::default(),
        created_at: now,
        updated_at: now,
        last_heartbeat: Moment::default(),
        agent_endpoint: String::new(),
        agent_version: String::new(),
    }
}
