//! Signs of life of other hosts. Silence is measured with the monotonic clock: a wall clock that
//! jumps takes no node offline.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::event::Severity;
use crate::model::id::NodeId;
use crate::model::node::{NodeLoad, NodePhase};
use crate::model::units::Mib;
use crate::model::vm::Moment;

use super::super::conditions::{self, Filesystem, Verdict};
use super::super::core::blocking;
use super::super::error::ServiceError;
use super::super::requests::Heartbeat;
use super::view::{NodeView, Place};
use super::{NodeService, rules};
use crate::model::node::{ConditionKind, ConditionStatus};

/// How often a heartbeat is wished for.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);
/// Silence after which a node is offline.
pub(super) const SILENCE: Duration = Duration::from_secs(90);
/// A heartbeat that changes no phase is kept at most this often: the file is not written for
/// every sign of life.
pub(super) const KEEP_EVERY: Duration = Duration::from_secs(60);

/// What the server makes of a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    pub server_time: Moment,
    /// Seconds until the next is wished for.
    pub interval_sec: u32,
}

/// When which node was heard last.
#[derive(Default)]
pub(super) struct Heard {
    nodes: Mutex<HashMap<NodeId, Times>>,
}

#[derive(Clone, Copy)]
struct Times {
    heard: Instant,
    kept: Option<Instant>,
}

impl Heard {
    fn nodes(&self) -> std::sync::MutexGuard<'_, HashMap<NodeId, Times>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodeService {
    /// Take a heartbeat. It brings `PENDING` and `OFFLINE` to `READY` and never lifts
    /// `MAINTENANCE`.
    ///
    /// # Errors
    /// `NotFound`: the node should register again; `Precondition` for this host; `Invalid`.
    pub async fn heartbeat(self: &Arc<Self>, id: NodeId, beat: Heartbeat) -> Result<HeartbeatAnswer, ServiceError> {
        let violations = rules::heartbeat(&beat);
        if !violations.is_empty() {
            return Err(ServiceError::Invalid(violations));
        }
        let service = Arc::clone(self);
        blocking(move || service.take_heartbeat(id, &beat, Instant::now())).await?;
        Ok(HeartbeatAnswer {
            server_time: Moment::now(),
            interval_sec: u32::try_from(HEARTBEAT_INTERVAL.as_secs()).unwrap_or(30),
        })
    }

    /// As [`heartbeat`](Self::heartbeat), at this moment. Blocks.
    pub(super) fn take_heartbeat(&self, id: NodeId, beat: &Heartbeat, now: Instant) -> Result<(), ServiceError> {
        let wall = Moment::now();
        self.registry.commit_with(|nodes, edits| {
            let known = nodes.nodes.get(&id).ok_or_else(|| ServiceError::no_node(id))?;
            if known.place == Place::Here {
                return Err(ServiceError::Precondition {
                    reason: "LOCAL_NODE",
                    subject: id.to_string(),
                    message: format!("node \"{}\" is this host, which measures itself", known.record.hostname),
                });
            }
            let mut next = NodeView::clone(known);
            next.record.load = load(beat);
            next.record.last_heartbeat = wall;
            let comes = match known.record.phase {
                NodePhase::Pending | NodePhase::Offline | NodePhase::Unknown | NodePhase::NotReady => true,
                NodePhase::Ready | NodePhase::Maintenance | NodePhase::Draining => false,
            };
            if comes {
                next.record.phase = NodePhase::Ready;
                next.record.phase_reason.clear();
            }
            self.judge_remote(&mut next, wall);
            let kept = self.heard.nodes().get(&id).and_then(|times| times.kept);
            let keep = comes || kept.is_none_or(|kept| now.duration_since(kept) >= KEEP_EVERY);
            if keep {
                let event = comes.then(|| {
                    let message = format!("node \"{}\" reports", known.record.hostname);
                    Self::event(id, "node.ready", message, Severity::Info, "system")
                });
                self.core.store.commit(|tx| {
                    tx.node_update(&next.record)?;
                    if let Some(event) = &event {
                        tx.event_append(event)?;
                    }
                    Ok::<(), ServiceError>(())
                })?;
            }
            self.heard.nodes().insert(id, Times { heard: now, kept: if keep { Some(now) } else { kept } });
            edits.put(next);
            Ok(())
        })
    }

    /// At start: nobody could be heard while nothing listened, so every node is given one interval
    /// to report before its silence is complete.
    pub(super) fn expect_heartbeats(&self) {
        let now = Instant::now();
        let heard = now.checked_sub(SILENCE - HEARTBEAT_INTERVAL).unwrap_or(now);
        let mut nodes = self.heard.nodes();
        for node in self.registry.picture().nodes.values() {
            if node.place == Place::Elsewhere && node.record.last_heartbeat != Moment::default() {
                nodes.insert(node.record.id, Times { heard, kept: None });
            }
        }
    }

    pub(super) fn forget_heartbeats(&self, id: NodeId) {
        self.heard.nodes().remove(&id);
    }

    /// What a node is when it leaves maintenance.
    pub(super) fn phase_when_enabled(&self, node: &NodeView, now: Instant) -> (NodePhase, String) {
        if node.place == Place::Here {
            return (NodePhase::Ready, String::new());
        }
        match self.heard.nodes().get(&node.record.id) {
            Some(times) if now.duration_since(times.heard) < SILENCE => (NodePhase::Ready, String::new()),
            Some(_) => (NodePhase::Offline, silent(node)),
            None => (NodePhase::Pending, "it has not reported yet".to_owned()),
        }
    }

    /// Nodes that were silent for too long are offline. Blocks.
    pub(super) fn mark_silent(&self, now: Instant) -> Result<(), ServiceError> {
        let silent_ids: Vec<NodeId> = self
            .heard
            .nodes()
            .iter()
            .filter(|(_, times)| now.duration_since(times.heard) >= SILENCE)
            .map(|(id, _)| *id)
            .collect();
        for id in silent_ids {
            let Ok(node) = self.registry.get(id) else {
                self.forget_heartbeats(id);
                continue;
            };
            if node.record.phase != NodePhase::Ready {
                continue;
            }
            self.change_now(id, None, |node| {
                // It may have been heard or disabled since.
                let still = self.heard.nodes().get(&id).is_some_and(|times| now.duration_since(times.heard) >= SILENCE);
                if !still || node.record.phase != NodePhase::Ready {
                    return Ok(None);
                }
                node.record.phase = NodePhase::Offline;
                node.record.phase_reason = silent(node);
                self.judge_remote(node, Moment::now());
                let message = format!("node \"{}\" is offline: {}", node.record.hostname, node.record.phase_reason);
                Ok(Some(Self::event(id, "node.offline", message, Severity::Warning, "system")))
            })?;
        }
        Ok(())
    }

    /// Conditions of another host, as far as its reports tell.
    fn judge_remote(&self, node: &mut NodeView, now: Moment) {
        let load = &node.record.load;
        let ready = match node.record.phase {
            NodePhase::Offline => (ConditionStatus::False, "Silent", node.record.phase_reason.clone()),
            NodePhase::Pending | NodePhase::Unknown => {
                (ConditionStatus::Unknown, "NeverHeard", "it has not reported yet".to_owned())
            }
            NodePhase::Ready | NodePhase::NotReady | NodePhase::Maintenance | NodePhase::Draining => {
                (ConditionStatus::True, "Reports", "it reports".to_owned())
            }
        };
        let disk = Filesystem {
            what: "its storage".to_owned(),
            device: 0,
            used_bytes: load.storage_used_bytes,
            total_bytes: load.storage_total_bytes,
        };
        let verdicts = vec![
            Verdict { kind: ConditionKind::Ready, status: ready.0, reason: ready.1, message: ready.2 },
            conditions::memory_pressure(load),
            conditions::disk_pressure(&[disk]),
        ];
        let (merged, turns) = conditions::merge(&node.conditions, verdicts, now);
        node.conditions = merged;
        for turn in turns {
            // Coming and going have events of their own.
            if turn.kind != ConditionKind::Ready {
                self.core.keep_later(None, Some(self.turned(&node.record, &turn)));
            }
        }
    }
}

fn silent(node: &NodeView) -> String {
    format!(
        "no heartbeat for {} s, the last at {}; see whether the host runs and reaches this server",
        SILENCE.as_secs(),
        node.record.last_heartbeat
    )
}

/// What a heartbeat says, as a load.
fn load(beat: &Heartbeat) -> NodeLoad {
    let total = Mib(beat.memory_total_mib).bytes();
    let used = Mib(beat.memory_used_mib).bytes();
    NodeLoad {
        cpu_usage_percent: beat.cpu_usage_percent,
        memory_used_bytes: used,
        memory_total_bytes: total,
        memory_available_bytes: total.saturating_sub(used),
        storage_used_bytes: beat.disk_used_bytes,
        storage_total_bytes: beat.disk_total_bytes,
        load_1m: beat.load_1m,
        load_5m: beat.load_5m,
        load_15m: beat.load_15m,
        running_vms: beat.running_vm_count,
        ..NodeLoad::default()
    }
}
