//! VMs: what can be asked of them. Reading is here; each way of changing has a file of its own.

mod adopt;
mod begin;
mod create;
mod delete;
mod delete_plan;
mod files;
mod list;
mod media;
mod options;
mod power;
mod preflight;
mod quota;
mod resolve;
mod show;
mod update;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::event::Subject;
use crate::model::id::{ProjectId, VmId};
use crate::store::EventFilter;

use super::core::Core;
use super::error::ServiceError;
use super::inventory::{Picture, Vm};
use super::node::NodeService;
use super::operations::OperationService;
use super::requests::{ListEvents, WatchVms};

pub use create::CreatePlan;
#[cfg(test)]
pub(crate) use create::identity as identity_of;
pub use delete_plan::{DeletionPlan, Item as DeletionItem};
pub use media::{ChangeMedia, Tray};
pub use options::{CreateOptions, Medium, MediumKind};
pub use power::Reboot;
pub use preflight::{Check, Outcome as CheckOutcome};
pub(crate) use update::follow_now;

/// The steps that recovery repeats after a crash: the very ones of the use cases.
pub(crate) mod recovery {
    pub(crate) use super::begin::ended;
    pub(crate) use super::create::{forget_created, undo as undo_create};
    pub(crate) use super::delete::{forget_deleted, remove as remove_from_host};
    pub(crate) use super::media::change as change_medium;
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

    /// Events of VMs, newest first. Those of a deleted VM stay readable by its id.
    ///
    /// # Errors
    /// `Invalid` for a limit out of bounds.
    pub fn events(&self, wanted: &ListEvents) -> Result<Vec<crate::model::event::SequencedEvent>, ServiceError> {
        // Outside changes wait a moment before they are kept; a reader must not miss them.
        self.core.keep_if_possible();
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

/// A VM with this name in this project, other than `except`.
fn same_name(picture: &Picture, project: ProjectId, name: &str, except: Option<VmId>) -> Option<VmId> {
    picture
        .named(name)
        .find(|vm| vm.record.project_id == project && Some(vm.record.id) != except)
        .map(|vm| vm.record.id)
}
