//! The live picture of nodes, and the one way in which their records change: committed first, then
//! shown, in the same order, because one writer at a time does both. Readers take no lock.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use imbl::OrdMap;
use tokio::sync::broadcast;

use crate::model::id::NodeId;
use crate::store::{NodeFilter, Store, Transaction};

use super::super::error::ServiceError;
use super::view::{NodeView, Place};

/// How many changes a watcher may lag behind before it is told to resync.
const WATCH_BUFFER: usize = 1024;

/// All nodes at one version.
#[derive(Debug, Clone, Default)]
pub struct NodePicture {
    pub version: u64,
    pub nodes: OrdMap<NodeId, Arc<NodeView>>,
}

/// What a watcher hears.
#[derive(Debug, Clone)]
pub enum NodeChange {
    Added(Arc<NodeView>),
    Modified(Arc<NodeView>),
    /// The last of it that was known, with the version of its going.
    Deleted(Arc<NodeView>, u64),
}

impl NodeChange {
    /// The picture's version of this change.
    #[must_use]
    pub fn version(&self) -> u64 {
        match self {
            Self::Added(node) | Self::Modified(node) => node.version,
            Self::Deleted(_, version) => *version,
        }
    }

    /// The node that changed.
    #[must_use]
    pub fn node(&self) -> &Arc<NodeView> {
        match self {
            Self::Added(node) | Self::Modified(node) | Self::Deleted(node, _) => node,
        }
    }
}

/// What a writer wants changed.
#[derive(Default)]
pub(super) struct Edits {
    nodes: Vec<(NodeId, Option<NodeView>)>,
}

impl Edits {
    /// This node is so from now on.
    pub fn put(&mut self, node: NodeView) {
        self.nodes.push((node.record.id, Some(node)));
    }

    /// This node is gone.
    pub fn remove(&mut self, id: NodeId) {
        self.nodes.push((id, None));
    }
}

/// The nodes that are known.
pub(super) struct Registry {
    store: Store,
    local: NodeId,
    current: ArcSwap<NodePicture>,
    writer: Mutex<()>,
    changes: broadcast::Sender<NodeChange>,
}

impl Registry {
    /// The nodes that the store knows. Blocks.
    pub fn open(store: Store, local: NodeId) -> Result<Self, ServiceError> {
        let registry = Self {
            store,
            local,
            current: ArcSwap::default(),
            writer: Mutex::new(()),
            changes: broadcast::channel(WATCH_BUFFER).0,
        };
        let records = registry.store.node_list(&NodeFilter::default())?;
        registry.write(|_, edits| {
            for record in records {
                let place = registry.place(record.id);
                edits.put(NodeView::of_record(record, place));
            }
        });
        Ok(registry)
    }

    /// Whether a node is this host.
    pub fn place(&self, id: NodeId) -> Place {
        if id == self.local { Place::Here } else { Place::Elsewhere }
    }

    /// The picture now.
    pub fn picture(&self) -> Arc<NodePicture> {
        self.current.load_full()
    }

    /// One node.
    pub fn get(&self, id: NodeId) -> Result<Arc<NodeView>, ServiceError> {
        self.current.load().nodes.get(&id).cloned().ok_or_else(|| ServiceError::no_node(id))
    }

    /// The picture and every change after it, with nothing between lost.
    pub fn watch(&self) -> (Arc<NodePicture>, broadcast::Receiver<NodeChange>) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        (self.current.load_full(), self.changes.subscribe())
    }

    /// Commit, then show. Nothing changes where `change` or the commit fails. Blocks.
    pub fn commit<T>(
        &self,
        change: impl FnOnce(&mut Transaction<'_>, &NodePicture, &mut Edits) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        self.commit_with(|now, edits| self.store.commit(|tx| change(tx, now, edits)))
    }

    /// As [`commit`](Self::commit), where `change` brings a transaction of its own.
    pub fn commit_with<T>(
        &self,
        change: impl FnOnce(&NodePicture, &mut Edits) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.current.load_full();
        let mut edits = Edits::default();
        let answer = change(&now, &mut edits)?;
        self.publish(&now, edits);
        Ok(answer)
    }

    /// Show what need not be kept.
    pub fn write<T>(&self, change: impl FnOnce(&NodePicture, &mut Edits) -> T) -> T {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.current.load_full();
        let mut edits = Edits::default();
        let answer = change(&now, &mut edits);
        self.publish(&now, edits);
        answer
    }

    fn publish(&self, now: &NodePicture, edits: Edits) {
        let mut picture = now.clone();
        let mut told = Vec::new();
        for (id, node) in edits.nodes {
            match (node, picture.nodes.get(&id).cloned()) {
                (Some(mut node), before) => {
                    node.derive();
                    let changed = before.as_ref().is_none_or(|before| node.differs(before));
                    node.version = match &before {
                        Some(before) if !changed => before.version,
                        Some(_) | None => {
                            picture.version += 1;
                            picture.version
                        }
                    };
                    let node = Arc::new(node);
                    picture.nodes.insert(id, Arc::clone(&node));
                    match before {
                        None => told.push(NodeChange::Added(node)),
                        Some(_) if changed => told.push(NodeChange::Modified(node)),
                        Some(_) => {}
                    }
                }
                (None, Some(last)) => {
                    picture.version += 1;
                    picture.nodes.remove(&id);
                    told.push(NodeChange::Deleted(last, picture.version));
                }
                (None, None) => {}
            }
        }
        self.current.store(Arc::new(picture));
        for change in told {
            // No watcher is no error.
            let _ = self.changes.send(change);
        }
    }
}
