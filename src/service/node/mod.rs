//! Nodes: this host, which registers itself, and others that register and report. Reading is here;
//! each way of changing has a file of its own.
//!
//! ```text
//!   (remote) register ──► PENDING ──heartbeat──► READY ◄──heartbeat── OFFLINE
//!                                                 │  ▲                   ▲
//!   (this host) start ───────────────────────────►│  │ enable            │ 90 s of silence
//!                                     disable,    ▼  │                   │
//!                                     drain    MAINTENANCE      READY ───┘
//!   READY ──drain──► DRAINING ──► MAINTENANCE      this host's READY is shown as NOT_READY
//!                                                  while libvirt or the store fails
//! ```

mod drain;
mod heartbeat;
mod machine;
mod manage;
mod register;
mod registry;
mod rules;
mod this_machine;
mod tick;
mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::model::event::{Event, SequencedEvent, Severity, Subject};
use crate::model::id::NodeId;
use crate::model::node::NodePhase;
use crate::model::operation::{Intent, Operation};
use crate::model::spec::VmSpec;
use crate::model::vm::Moment;
use crate::store::{EventFilter, Store, Transaction};

use super::admission::{self, Capacity, Promised};
use super::core::{Core, blocking};
use super::error::ServiceError;
use super::idempotency::begun;
use super::inventory::{Picture, Vm};
use super::operations::OperationService;
use super::paging;
use super::requests::{IdempotencyKey, ListNodes, Page};

pub use drain::{DrainReport, StopVms};
pub use heartbeat::{HEARTBEAT_INTERVAL, HeartbeatAnswer};
pub use machine::{Machine, complete};
pub use manage::Decommission;
pub(super) use register::blank;
pub use registry::{NodeChange, NodePicture};
pub use this_machine::ThisMachine;
pub use view::{NodeMetricsView, NodeView, Place};

/// The word of the state file under which this host's id is kept.
const NODE_ID: &str = "node_id";
/// Events listed where the request does not say.
const EVENTS_DEFAULT: usize = 100;
/// Events listed at most.
const EVENTS_MAX: usize = 1000;

/// Whether this host's id was chosen already.
///
/// # Errors
/// The store's.
pub fn has_local_node_id(store: &Store) -> Result<bool, ServiceError> {
    Ok(store.setting(NODE_ID)?.is_some())
}

/// This host's id: the one that the store keeps; else libvirt's host UUID where it is known, else a
/// random one, kept from then on. (Without DMI libvirt's changes at each start.) Blocks.
///
/// # Errors
/// The store's.
pub fn local_node_id(store: &Store, host_uuid: Option<uuid::Uuid>) -> Result<NodeId, ServiceError> {
    if let Some(kept) = store.setting(NODE_ID)? {
        return kept.as_slice().try_into().map(NodeId::from_bytes).map_err(|_| {
            ServiceError::Internal(format!("the state file's {NODE_ID} has {} bytes instead of 16", kept.len()))
        });
    }
    let id = host_uuid.filter(|id| !id.is_nil()).map_or_else(NodeId::random, NodeId);
    store.commit(|tx| keep_local_node_id(tx, id))?;
    Ok(id)
}

/// Keep this host's id.
pub(super) fn keep_local_node_id(tx: &mut Transaction<'_>, id: NodeId) -> Result<(), ServiceError> {
    Ok(tx.setting_put(NODE_ID, id.as_bytes())?)
}

/// What a host can still promise to VMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub memory_free_bytes: u64,
    pub threads: u32,
}

/// The use cases of nodes.
pub struct NodeService {
    core: Arc<Core>,
    operations: Arc<OperationService>,
    machine: Arc<dyn Machine>,
    /// Where the state file is; `None`: in memory.
    data_dir: Option<PathBuf>,
    registry: registry::Registry,
    /// Version of the VMs' picture at which they were counted last.
    counted: AtomicU64,
    heard: heartbeat::Heard,
    looks: tick::Looks,
    promising: Mutex<()>,
}

impl NodeService {
    /// Over the shared core: reads the nodes that are known and registers this host. Blocks.
    ///
    /// # Errors
    /// The store's.
    pub fn open(
        core: Arc<Core>,
        operations: Arc<OperationService>,
        machine: Arc<dyn Machine>,
        data_dir: Option<PathBuf>,
    ) -> Result<Self, ServiceError> {
        let service = Self {
            registry: registry::Registry::open(core.store.clone(), core.node_id)?,
            core,
            operations,
            machine,
            data_dir,
            counted: AtomicU64::new(u64::MAX),
            heard: heartbeat::Heard::default(),
            looks: tick::Looks::default(),
            promising: Mutex::new(()),
        };
        service.register_local()?;
        service.settle_interrupted_drains()?;
        service.expect_heartbeats();
        Ok(service)
    }

    /// All nodes, with the VMs on them counted anew where any has changed.
    #[must_use]
    pub fn picture(&self) -> Arc<NodePicture> {
        self.recount();
        self.registry.picture()
    }

    /// Count the VMs of each node again, where any VM has changed since.
    fn recount(&self) {
        if self.counted.load(Ordering::Acquire) != self.core.inventory.picture().version {
            self.registry.write(|now, edits| {
                // Read under the writer's lock: a later count is never overwritten by an earlier.
                let vms = self.core.inventory.picture();
                for node in now.nodes.values() {
                    let mut node = NodeView::clone(node);
                    node.count(&vms, &self.core.inventory);
                    edits.put(node);
                }
                self.counted.store(vms.version, Ordering::Release);
            });
        }
    }

    /// One node.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, id: NodeId) -> Result<Arc<NodeView>, ServiceError> {
        self.picture().nodes.get(&id).cloned().ok_or_else(|| ServiceError::no_node(id))
    }

    /// This host.
    ///
    /// # Errors
    /// `NotFound`, which cannot be once the service is open.
    pub fn local(&self) -> Result<Arc<NodeView>, ServiceError> {
        self.get(self.core.node_id)
    }

    /// A page of the nodes that match, by hostname.
    ///
    /// # Errors
    /// `Invalid` for a page size or token that is not one of ours.
    pub fn list(&self, wanted: &ListNodes) -> Result<Page<Arc<NodeView>>, ServiceError> {
        list(&self.picture(), wanted)
    }

    /// All nodes, and every change after it, with nothing between lost. Measurements alone are no
    /// changes.
    #[must_use]
    pub fn watch(&self) -> (Arc<NodePicture>, broadcast::Receiver<NodeChange>) {
        self.recount();
        self.registry.watch()
    }

    /// What a node does now; of another host, as it last reported.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn metrics(&self, id: NodeId) -> Result<NodeMetricsView, ServiceError> {
        Ok(self.get(id)?.metrics())
    }

    /// Events of a node, newest first; `severities` empty: all. Those of a node that is gone stay
    /// readable.
    ///
    /// # Errors
    /// `Invalid` for a limit out of bounds; `NotFound` for a node that never was.
    pub fn events(&self, id: NodeId, severities: &[Severity], limit: i32) -> Result<Vec<SequencedEvent>, ServiceError> {
        self.core.keep_if_possible();
        let limit = match usize::try_from(limit) {
            Ok(0) => EVENTS_DEFAULT,
            Ok(limit) if limit <= EVENTS_MAX => limit,
            Ok(_) | Err(_) => {
                return Err(ServiceError::invalid(
                    "limit",
                    format!("must be 0 (meaning {EVENTS_DEFAULT}) to {EVENTS_MAX}; {limit} was sent"),
                ));
            }
        };
        let filter = |severity| EventFilter {
            subject: Some(Subject::Node),
            resource_id: Some(id.to_string()),
            severity,
            limit,
            ..EventFilter::default()
        };
        let mut found = Vec::new();
        if severities.is_empty() {
            found = self.core.store.event_list(&filter(None))?;
        }
        for (index, severity) in severities.iter().enumerate() {
            if !severities[..index].contains(severity) {
                found.extend(self.core.store.event_list(&filter(Some(*severity)))?);
            }
        }
        found.sort_by_key(|event| std::cmp::Reverse(event.sequence));
        found.truncate(limit);
        if found.is_empty() && self.core.store.event_list(&EventFilter { limit: 1, ..filter(None) })?.is_empty() {
            self.get(id)?;
        }
        Ok(found)
    }

    /// May VMs be made and started on this node.
    ///
    /// # Errors
    /// `Precondition`, naming the node, its phase and why; `NotFound`.
    pub fn ensure_schedulable(&self, id: NodeId) -> Result<(), ServiceError> {
        let node = self.registry.get(id)?;
        ensure_schedulable(&node)
    }

    /// Whether a new VM of this specification fits on this host.
    ///
    /// # Errors
    /// `Exhausted`, naming what is needed and what is free.
    pub fn admit(&self, spec: &VmSpec) -> Result<(), ServiceError> {
        self.fits(spec, None)
    }

    /// Whether a VM that is known fits on this host; what it holds already counts for it.
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub fn admit_start(&self, vm: &Vm) -> Result<(), ServiceError> {
        self.fits(&self.core.inventory.spec(vm), Some(vm.record.id))
    }

    fn fits(&self, spec: &VmSpec, except: Option<crate::model::id::VmId>) -> Result<(), ServiceError> {
        let node = self.registry.get(self.core.node_id)?;
        admission::admit(&Capacity::of(&node.record), self.promised(except), Promised::to(spec))
    }

    /// What this host's VMs hold, those that are just being started included.
    fn promised(&self, except: Option<crate::model::id::VmId>) -> Promised {
        let inventory = &self.core.inventory;
        // First these: what ends meanwhile is then in the picture.
        let starting = self.operations.in_flight();
        let picture = inventory.picture();
        starting
            .iter()
            .filter(|operation| admission::starts(operation))
            .filter_map(|operation| self.unseen(operation, &picture, except))
            .fold(Promised::of(&picture, inventory, self.core.node_id, except), Promised::plus)
    }

    /// What this host can still promise.
    ///
    /// # Errors
    /// `NotFound`, before the host is known.
    pub fn room(&self) -> Result<Room, ServiceError> {
        let node = self.registry.get(self.core.node_id)?;
        let memory = Capacity::of(&node.record).memory();
        Ok(Room {
            memory_free_bytes: memory.saturating_sub(self.promised(None).memory_bytes),
            threads: node.record.facts.cpu.total_threads,
        })
    }

    /// Names of the host's bridges.
    #[must_use]
    pub fn bridges(&self) -> Vec<String> {
        self.machine.bridges()
    }

    /// What a start that has been taken, and is not in the picture yet, was promised.
    fn unseen(
        &self,
        operation: &Operation,
        picture: &Picture,
        except: Option<crate::model::id::VmId>,
    ) -> Option<Promised> {
        let inventory = &self.core.inventory;
        let id = operation.resource_id.parse().ok().filter(|id| Some(*id) != except)?;
        match (picture.vms.get(&id), &operation.intent) {
            (Some(vm), _) if admission::holds(vm) => None,
            (Some(vm), _) => Some(Promised::to(&inventory.spec(vm))),
            (None, Intent::Create(intent)) => Some(Promised::to(&inventory.reader()(&intent.vm.definition))),
            (
                None,
                Intent::Plain | Intent::Delete(_) | Intent::Redefine | Intent::Update { .. } | Intent::Media { .. },
            ) => None,
        }
    }

    /// Held from the check of room to the taking of the operation that was promised it: two that
    /// fit alone must not both be let in.
    pub(super) fn promising(&self) -> MutexGuard<'_, ()> {
        self.promising.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An event of a node.
    fn event(id: NodeId, kind: &str, message: String, severity: Severity, user: &str) -> Event {
        Event {
            subject: Subject::Node,
            resource_id: id.to_string(),
            kind: kind.to_owned(),
            message,
            user: user.to_owned(),
            severity,
            at: Moment::now(),
            metadata: BTreeMap::new(),
        }
    }

    /// Change one node's record: committed with its event, then shown. Nothing is written where
    /// nothing changes.
    async fn change(
        self: &Arc<Self>,
        id: NodeId,
        key: Option<IdempotencyKey>,
        edit: impl FnOnce(&mut NodeView) -> Result<Option<Event>, ServiceError> + Send + 'static,
    ) -> Result<Arc<NodeView>, ServiceError> {
        let service = Arc::clone(self);
        blocking(move || service.change_now(id, key, edit)).await
    }

    /// As [`change`](Self::change). Blocks.
    fn change_now(
        &self,
        id: NodeId,
        key: Option<IdempotencyKey>,
        edit: impl FnOnce(&mut NodeView) -> Result<Option<Event>, ServiceError>,
    ) -> Result<Arc<NodeView>, ServiceError> {
        self.registry.commit_with(|now, edits| {
            let known = now.nodes.get(&id).ok_or_else(|| ServiceError::no_node(id))?;
            let mut next = NodeView::clone(known);
            let event = edit(&mut next)?;
            if next.record == known.record {
                return Ok(());
            }
            next.record.updated_at = Moment::now();
            self.core.store.commit(|tx| {
                tx.node_update(&next.record)?;
                begun(tx, key)?;
                if let Some(event) = &event {
                    tx.event_append(event)?;
                }
                Ok::<(), ServiceError>(())
            })?;
            edits.put(next);
            Ok(())
        })?;
        self.get(id)
    }
}

/// A page of a picture of nodes.
fn list(picture: &NodePicture, wanted: &ListNodes) -> Result<Page<Arc<NodeView>>, ServiceError> {
    let size = paging::size(wanted.page_size)?;
    let fingerprint = paging::fingerprint(&(
        &wanted.labels,
        &wanted.phases,
        wanted.compute_only,
        wanted.storage_only,
        wanted.control_plane_only,
    ));
    let after = paging::read_token(&wanted.page_token, &fingerprint)?;
    let mut matching: Vec<&Arc<NodeView>> = picture.nodes.values().filter(|node| matches(wanted, node)).collect();
    let total_count = matching.len();
    matching.sort_by(|left, right| left.record.hostname.cmp(&right.record.hostname));
    if let Some(after) = after {
        // Hostnames are unique: the page begins exactly after the last one sent, whatever came or
        // went meanwhile.
        matching.retain(|node| node.record.hostname > after);
    }
    let more = matching.len() > size;
    matching.truncate(size);
    let next_page_token = match matching.last() {
        Some(last) if more => paging::write_token(&last.record.hostname, &fingerprint),
        Some(_) | None => String::new(),
    };
    Ok(Page { items: matching.into_iter().map(Arc::clone).collect(), next_page_token, total_count })
}

fn matches(wanted: &ListNodes, node: &NodeView) -> bool {
    let role = node.record.role;
    (wanted.phases.is_empty() || wanted.phases.contains(&node.phase))
        && has_labels(node, &wanted.labels)
        && (!wanted.compute_only || role.compute)
        && (!wanted.storage_only || role.storage)
        && (!wanted.control_plane_only || role.control_plane)
}

/// Whether a node has all of these labels.
#[must_use]
pub fn has_labels(node: &NodeView, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| node.record.labels.get(key) == Some(value))
}

fn ensure_schedulable(node: &NodeView) -> Result<(), ServiceError> {
    let hostname = &node.record.hostname;
    let refused = |message: String| {
        Err(ServiceError::Precondition { reason: "NODE_NOT_SCHEDULABLE", subject: node.record.id.to_string(), message })
    };
    match node.record.phase {
        NodePhase::Ready => {}
        phase @ (NodePhase::Unknown
        | NodePhase::Pending
        | NodePhase::NotReady
        | NodePhase::Maintenance
        | NodePhase::Draining
        | NodePhase::Offline) => {
            let why = if node.record.phase_reason.is_empty() {
                String::new()
            } else {
                format!(" ({})", node.record.phase_reason)
            };
            let remedy = match phase {
                NodePhase::Maintenance => "; enable it first",
                NodePhase::Draining => "; wait until it is drained, then enable it",
                NodePhase::Unknown
                | NodePhase::Pending
                | NodePhase::Ready
                | NodePhase::NotReady
                | NodePhase::Offline => "; wait until it reports again",
            };
            return refused(format!(
                "node \"{hostname}\" is {}{why}: no VM is made or started on it{remedy}",
                phase.word()
            ));
        }
    }
    if node.record.scheduling.schedulable {
        return Ok(());
    }
    refused(format!(
        "node \"{hostname}\" is set to take no VMs (scheduling.schedulable is false): enable it, or change that setting"
    ))
}
