//! VMs: what can be asked of them. Reading is here; each way of changing has a file of its own.

mod adopt;
mod begin;
mod create;
mod delete;
mod delete_plan;
mod files;
mod media;
mod options;
mod power;
mod preflight;
mod resolve;
mod show;
mod update;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::event::Subject;
use crate::model::id::{ProjectId, VmId};
use crate::model::vm::PowerState;
use crate::store::EventFilter;

use super::core::Core;
use super::error::ServiceError;
use super::inventory::{Picture, Vm};
use super::node::NodeService;
use super::operations::OperationService;
use super::paging;
use super::requests::{ListEvents, ListVms, OrderBy, Page, StateFilter, WatchVms};

pub use create::CreatePlan;
#[cfg(test)]
pub(crate) use create::identity as identity_of;
pub use delete_plan::{DeletionPlan, Item as DeletionItem};
pub use media::ChangeMedia;
pub use options::{CreateOptions, Medium, MediumKind};
pub use power::Reboot;
pub use preflight::{Check, Outcome as CheckOutcome};
pub(crate) use update::follow_now;

/// The steps that recovery repeats after a crash: the very ones of the use cases.
pub(crate) mod recovery {
    pub(crate) use super::begin::ended;
    pub(crate) use super::create::{forget_created, undo as undo_create};
    pub(crate) use super::delete::{forget_deleted, remove as remove_from_host};
}

/// Whether the picture has been compared with libvirt since the last connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Verbs are served.
    Ready,
    /// Not yet, or not any more; the sentence says why.
    NotReady(String),
}

/// The use cases of VMs.
pub struct VmService {
    core: Arc<Core>,
    operations: Arc<OperationService>,
    nodes: Arc<NodeService>,
    readiness: watch::Receiver<Readiness>,
}

impl VmService {
    /// Over the shared core.
    #[must_use]
    pub fn new(
        core: Arc<Core>,
        operations: Arc<OperationService>,
        nodes: Arc<NodeService>,
        readiness: watch::Receiver<Readiness>,
    ) -> Self {
        Self { core, operations, nodes, readiness }
    }

    /// One VM.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, id: VmId) -> Result<Arc<Vm>, ServiceError> {
        self.core.inventory.get(id).ok_or_else(|| ServiceError::no_vm(id))
    }

    /// A page of the VMs that match, from the picture alone.
    ///
    /// # Errors
    /// `Invalid` for a page size or token that is not one of ours.
    pub fn list(&self, wanted: &ListVms) -> Result<Page<Arc<Vm>>, ServiceError> {
        let size = paging::size(wanted.page_size)?;
        let fingerprint =
            paging::fingerprint(&(wanted.project_id, &wanted.labels, &wanted.states, wanted.node_id, wanted.order_by));
        let after = paging::read_token(&wanted.page_token, &fingerprint)?;
        let picture = self.core.inventory.picture();
        let filter = WatchVms { node_id: wanted.node_id, project_id: wanted.project_id, labels: wanted.labels.clone() };
        let mut matching: Vec<&Arc<Vm>> = picture
            .vms
            .values()
            .filter(|vm| matches(&filter, vm))
            .filter(|vm| {
                wanted.states.is_empty() || wanted.states.iter().any(|state| is_state(vm.record.state, *state))
            })
            .collect();
        let total_count = matching.len();
        let descending = matches!(wanted.order_by, OrderBy::NameDesc | OrderBy::CreatedAtDesc);
        let order = |left: &SortKey, right: &SortKey| if descending { right.cmp(left) } else { left.cmp(right) };
        if let Some(after) = after {
            let after = SortKey::read(wanted.order_by, &after).ok_or_else(paging::bad_token)?;
            matching.retain(|vm| order(&SortKey::of(wanted.order_by, vm), &after).is_gt());
        }
        let more = matching.len() > size;
        if more {
            // By reference: a key of its own for each comparison would be most of the work.
            matching.select_nth_unstable_by(size, |left, right| {
                let (left, right) = (&left.record, &right.record);
                let by_name = || left.name.cmp(&right.name).then(left.id.cmp(&right.id));
                let by_age = || left.created_at.cmp(&right.created_at).then(left.id.cmp(&right.id));
                match wanted.order_by {
                    OrderBy::Name => by_name(),
                    OrderBy::NameDesc => by_name().reverse(),
                    OrderBy::CreatedAt => by_age(),
                    OrderBy::CreatedAtDesc => by_age().reverse(),
                }
            });
            matching.truncate(size);
        }
        matching.sort_by_cached_key(|vm| SortKey::of(wanted.order_by, vm));
        if descending {
            matching.reverse();
        }
        let next_page_token = match matching.last() {
            Some(last) if more => paging::write_token(&SortKey::of(wanted.order_by, last).write(), &fingerprint),
            Some(_) | None => String::new(),
        };
        Ok(Page { items: matching.into_iter().map(Arc::clone).collect(), next_page_token, total_count })
    }

    /// Events of VMs, newest first. Those of a deleted VM stay readable by its id.
    ///
    /// # Errors
    /// `Invalid` for a limit out of bounds.
    pub fn events(&self, wanted: &ListEvents) -> Result<Vec<crate::model::event::SequencedEvent>, ServiceError> {
        // Outside changes wait a moment before they are kept; a reader must not miss them.
        self.core.keep_now()?;
        let limit = match usize::try_from(wanted.limit) {
            Ok(0) => 100,
            Ok(limit) if limit <= 1000 => limit,
            Ok(_) | Err(_) => {
                return Err(ServiceError::invalid(
                    "limit",
                    format!("must be 0 (meaning 100) to 1000; {} was sent", wanted.limit),
                ));
            }
        };
        Ok(self.core.store.event_list(&EventFilter {
            subject: Some(Subject::Vm),
            resource_id: wanted.resource_id.clone(),
            kinds: wanted.kinds.clone(),
            severity: wanted.severity,
            since: wanted.since,
            limit,
            ..EventFilter::default()
        })?)
    }

    /// As [`events`](Self::events), of one VM. Blocks.
    ///
    /// # Errors
    /// As there; `NotFound` for a VM that never was.
    pub fn events_of(
        &self,
        id: VmId,
        wanted: &ListEvents,
    ) -> Result<Vec<crate::model::event::SequencedEvent>, ServiceError> {
        let found = self.events(wanted)?;
        if found.is_empty() && self.core.inventory.get(id).is_none() {
            let any = ListEvents { resource_id: Some(id.to_string()), limit: 1, ..ListEvents::default() };
            if self.events(&any)?.is_empty() {
                return Err(ServiceError::no_vm(id));
            }
        }
        Ok(found)
    }

    /// VMs of a project in the picture.
    #[must_use]
    pub fn count_by_project(&self, project: ProjectId) -> usize {
        let picture = self.core.inventory.picture();
        picture.vms.values().filter(|vm| vm.record.project_id == project).count()
    }

    /// Verbs are served only once the picture was compared with libvirt.
    fn ready(&self) -> Result<(), ServiceError> {
        match &*self.readiness.borrow() {
            Readiness::Ready => Ok(()),
            Readiness::NotReady(why) => Err(ServiceError::Unavailable(why.clone())),
        }
    }
}

/// Whether a VM passes a watch's or list's filter.
#[must_use]
pub fn matches(filter: &WatchVms, vm: &Vm) -> bool {
    filter.project_id.is_none_or(|project| vm.record.project_id == project)
        && filter.node_id.is_none_or(|node| vm.record.node_id == node)
        && has_labels(&vm.record.labels, &filter.labels)
}

fn has_labels(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn is_state(state: PowerState, wanted: StateFilter) -> bool {
    match wanted {
        StateFilter::Provisioning => state == PowerState::Provisioning,
        StateFilter::Running => state == PowerState::Running,
        StateFilter::Stopped => state == PowerState::Stopped,
        StateFilter::Paused => matches!(state, PowerState::Paused(_)),
        StateFilter::Suspended => state == PowerState::Suspended,
        StateFilter::Crashed => matches!(state, PowerState::Crashed(_)),
        StateFilter::Migrating => state == PowerState::Migrating,
        StateFilter::Lost => state == PowerState::Lost,
        StateFilter::Unknown => state == PowerState::Unknown,
    }
}

/// A VM with this name in this project, other than `except`.
fn same_name(picture: &Picture, project: ProjectId, name: &str, except: Option<VmId>) -> Option<VmId> {
    picture
        .vms
        .values()
        .find(|vm| vm.record.project_id == project && vm.record.name == name && Some(vm.record.id) != except)
        .map(|vm| vm.record.id)
}

/// Where a row stands in its list: total, so that a page begins exactly after the last one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum SortKey {
    Name(String, VmId),
    CreatedAt(i64, VmId),
}

impl SortKey {
    fn of(order: OrderBy, vm: &Vm) -> Self {
        match order {
            OrderBy::Name | OrderBy::NameDesc => Self::Name(vm.record.name.clone(), vm.record.id),
            OrderBy::CreatedAt | OrderBy::CreatedAtDesc => Self::CreatedAt(vm.record.created_at.0, vm.record.id),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Name(name, id) => format!("{id}{name}"),
            Self::CreatedAt(at, id) => format!("{id}{at}"),
        }
    }

    fn read(order: OrderBy, text: &str) -> Option<Self> {
        let (id, key) = text.split_at_checked(36)?;
        let id = id.parse().ok()?;
        match order {
            OrderBy::Name | OrderBy::NameDesc => Some(Self::Name(key.to_owned(), id)),
            OrderBy::CreatedAt | OrderBy::CreatedAtDesc => Some(Self::CreatedAt(key.parse().ok()?, id)),
        }
    }
}
