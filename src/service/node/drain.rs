//! Draining: the node takes no more VMs, those on it stop gracefully, four at a time, and then it
//! is in maintenance. An operation of its own, which can be cancelled; each VM's stop is one too.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;

use crate::model::event::Severity;
use crate::model::id::{NodeId, VmId};
use crate::model::node::NodePhase;
use crate::model::operation::{Cancel, Intent, Operation, Verb};

use super::super::admission;
use super::super::core::blocking;
use super::super::error::ServiceError;
use super::super::inventory::Vm;
use super::super::operations::{EndReason, Hold, Running, new_operation};
use super::super::requests::{Caller, DrainNode, StopVm};
use super::super::vm::recovery::ended;
use super::NodeService;
use super::view::{NodeView, Place};

/// VMs that are stopped at the same time.
const AT_A_TIME: usize = 4;
/// Seconds for each VM where the request does not say.
const GRACE_DEFAULT: u32 = 60;
/// Seconds for each VM at most.
const GRACE_MAX: u32 = 3600;

/// Stops VMs: the VMs' service, which knows how.
pub trait StopVms: Send + Sync + 'static {
    /// Stop a VM; resolves when it is off.
    fn stop<'a>(
        &'a self,
        caller: &'a Caller,
        id: VmId,
        how: StopVm,
    ) -> Pin<Box<dyn Future<Output = Result<(), ServiceError>> + Send + 'a>>;
}

/// What became of the VMs of a drained node.
#[derive(Debug, Clone)]
pub struct DrainReport {
    pub node: Arc<NodeView>,
    /// None, until migration exists.
    pub migrated: Vec<VmId>,
    pub stopped: Vec<VmId>,
    /// VMs that did not stop, with why.
    pub failed: Vec<(VmId, String)>,
}

/// What became of one VM.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Stopped,
    Failed(String),
}

/// What a drain asks of each VM.
#[derive(Debug, Clone, Copy)]
struct Demand {
    grace_sec: u32,
    /// What follows a graceful stop that failed.
    after: After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    PowerOff,
    LeaveRunning,
}

impl NodeService {
    /// Stop a node's VMs and put it into maintenance.
    ///
    /// # Errors
    /// `Unimplemented` for a target; `Precondition` while it is drained already; `Unavailable`
    /// where libvirt cannot be reached; `Cancelled`; `NotFound`; `Invalid`.
    pub async fn drain(
        self: &Arc<Self>,
        vms: Arc<dyn StopVms>,
        caller: &Caller,
        id: NodeId,
        wanted: DrainNode,
    ) -> Result<DrainReport, ServiceError> {
        if !wanted.target_node_id.is_empty() {
            return Err(ServiceError::Unimplemented {
                field: "target_node_id".to_owned(),
                message: "VMs cannot be moved to another node yet; leave it out, and they are stopped".to_owned(),
            });
        }
        let demand = demand(&wanted)?;
        let node = self.get(id)?;
        if node.place == Place::Elsewhere {
            return self.drain_elsewhere(caller, id).await;
        }
        self.core.ask(|hypervisor| hypervisor.health()).await?;
        let hold = self.begin_drain(caller, &node).await?;
        let outcome = self.empty(&vms, caller, &hold, demand).await;
        self.end_drain(caller, &hold, outcome).await
    }

    /// Another host's VMs are none of ours.
    async fn drain_elsewhere(self: &Arc<Self>, caller: &Caller, id: NodeId) -> Result<DrainReport, ServiceError> {
        let reason = format!("drained by {}", caller.user);
        let node = self.disable(caller, id, &reason).await?;
        Ok(DrainReport { node, migrated: Vec::new(), stopped: Vec::new(), failed: Vec::new() })
    }

    /// The operation is committed together with the phase: from then on nothing starts here.
    async fn begin_drain(self: &Arc<Self>, caller: &Caller, node: &NodeView) -> Result<Hold, ServiceError> {
        let id = node.record.id;
        let mut operation = new_operation(caller, Verb::Drain, id.to_string(), Intent::Plain);
        operation.cancel = Cancel::Possible;
        let Ok(running) = self.operations.take(operation) else {
            self.not_draining(node)?;
            return Err(ServiceError::Unavailable("the node was being drained a moment ago; try again".to_owned()));
        };
        let service = Arc::clone(self);
        let operation = running.operation();
        let key = caller.idempotency;
        let user = caller.user.clone();
        let committed = blocking(move || {
            service.registry.commit(|tx, now, edits| {
                let mut node = NodeView::clone(now.nodes.get(&id).ok_or_else(|| ServiceError::no_node(id))?);
                node.record.phase = NodePhase::Draining;
                node.record.phase_reason = format!("being drained by {user}");
                node.record.scheduling.schedulable = false;
                node.record.updated_at = crate::model::vm::Moment::now();
                tx.operation_put(&operation)?;
                if let Some(key) = key {
                    tx.idempotency_begin(&key.key, &key.body, operation.id)?;
                }
                tx.node_update(&node.record)?;
                let message = format!("node \"{}\" is being drained", node.record.hostname);
                tx.event_append(&Self::event(id, "node.draining", message, Severity::Info, &user))?;
                edits.put(node);
                Ok(())
            })
        })
        .await;
        if let Err(error) = committed {
            self.operations.release(&running);
            return Err(error);
        }
        self.operations.announce(&running.operation());
        Ok(Hold::new(running, Arc::clone(&self.operations)))
    }

    /// Stop all that is on or coming up, until nothing is left that was not tried.
    async fn empty(
        self: &Arc<Self>,
        vms: &Arc<dyn StopVms>,
        caller: &Caller,
        running: &Arc<Running>,
        demand: Demand,
    ) -> Result<Vec<(VmId, Fate)>, ServiceError> {
        let mut fates: Vec<(VmId, Fate)> = Vec::new();
        loop {
            // A start that was under way when the drain began is found here in the next round.
            let left: Vec<VmId> = self
                .core
                .inventory
                .picture()
                .vms
                .values()
                .filter(|vm| vm.record.node_id == self.core.node_id && admission::holds(vm))
                .map(|vm| vm.record.id)
                .filter(|id| fates.iter().all(|(tried, _)| tried != id))
                .collect();
            if left.is_empty() {
                return Ok(fates);
            }
            let total = fates.len() + left.len();
            let mut stops = futures::stream::iter(left)
                .map(|id| {
                    let (service, vms, caller) = (Arc::clone(self), Arc::clone(vms), caller.clone());
                    // A task of its own: a cancelled drain leaves a stop that has begun alone.
                    let stop = tokio::spawn(async move { service.stop_one(vms.as_ref(), &caller, id, demand).await });
                    async move {
                        let fate = stop.await.unwrap_or_else(|error| {
                            tracing::error!(vm = %id, %error, "the stop of a VM panicked");
                            Fate::Failed("internal error while it was being stopped".to_owned())
                        });
                        (id, fate)
                    }
                })
                .buffer_unordered(AT_A_TIME);
            loop {
                tokio::select! {
                    fate = stops.next() => match fate {
                        Some(fate) => fates.push(fate),
                        None => break,
                    },
                    reason = running.ended() => return Err(cancelled(&reason)),
                }
                let percent = u8::try_from(fates.len() * 100 / total).unwrap_or(100);
                let step = format!("{} of {total} VMs are done", fates.len());
                self.operations.progress(running, &step, percent);
            }
        }
    }

    /// Stop one VM, after whatever holds it now.
    async fn stop_one(&self, vms: &dyn StopVms, caller: &Caller, id: VmId, demand: Demand) -> Fate {
        let grace = Duration::from_secs(u64::from(demand.grace_sec));
        if let Some(holder) = self.operations.holder(&id.to_string())
            && tokio::time::timeout(grace, holder.released()).await.is_err()
            && demand.after == After::LeaveRunning
        {
            let operation = holder.operation();
            return Fate::Failed(format!(
                "it is held by operation {} ({}) since {}",
                operation.id,
                operation.verb.word(),
                operation.created_at
            ));
        }
        let on = |vm: Option<Arc<Vm>>| vm.is_some_and(|vm| vm.record.state.holds_resources());
        if !on(self.core.inventory.get(id)) {
            return Fate::Stopped;
        }
        let graceful = StopVm { force: false, timeout_sec: i32::try_from(demand.grace_sec).unwrap_or(i32::MAX) };
        let refused = match vms.stop(caller, id, graceful).await {
            Ok(()) => return Fate::Stopped,
            // It went off by itself, or by another's hand.
            Err(_) if !on(self.core.inventory.get(id)) => return Fate::Stopped,
            Err(error) => error,
        };
        match demand.after {
            After::LeaveRunning => Fate::Failed(refused.to_string()),
            After::PowerOff => match vms.stop(caller, id, StopVm { force: true, timeout_sec: 0 }).await {
                Ok(()) => Fate::Stopped,
                Err(error) => Fate::Failed(format!("{refused}; then, powering off: {error}")),
            },
        }
    }

    /// Maintenance, result and event in one commit.
    async fn end_drain(
        self: &Arc<Self>,
        caller: &Caller,
        running: &Arc<Running>,
        outcome: Result<Vec<(VmId, Fate)>, ServiceError>,
    ) -> Result<DrainReport, ServiceError> {
        let id = self.core.node_id;
        let last = Arc::new(ended(&running.operation(), &outcome));
        let (told, severity) = tell(&outcome);
        let reason = match &outcome {
            Ok(_) => format!("drained by {}", caller.user),
            Err(error) => format!("draining it was ended: {error}"),
        };
        let service = Arc::clone(self);
        let kept = Arc::clone(&last);
        let user = caller.user.clone();
        let committed = blocking(move || {
            service.registry.commit(|tx, now, edits| {
                let mut node = NodeView::clone(now.nodes.get(&id).ok_or_else(|| ServiceError::no_node(id))?);
                node.record.phase = NodePhase::Maintenance;
                node.record.phase_reason = reason;
                node.record.updated_at = crate::model::vm::Moment::now();
                tx.operation_put(&kept)?;
                tx.node_update(&node.record)?;
                let message = format!("node \"{}\" is in maintenance: {told}", node.record.hostname);
                tx.event_append(&Self::event(id, "node.drained", message, severity, &user))?;
                edits.put(node);
                Ok(())
            })
        })
        .await;
        self.operations.settle(running, Operation::clone(&last));
        self.operations.announce(&last);
        self.operations.release(running);
        let fates = outcome?;
        committed?;
        let mut report =
            DrainReport { node: self.get(id)?, migrated: Vec::new(), stopped: Vec::new(), failed: Vec::new() };
        for (vm, fate) in fates {
            match fate {
                Fate::Stopped => report.stopped.push(vm),
                Fate::Failed(why) => report.failed.push((vm, why)),
            }
        }
        Ok(report)
    }

    /// A node that was being drained when the process ended is in maintenance: what of its VMs had
    /// stopped is off, the rest runs on. Blocks.
    pub(super) fn settle_interrupted_drains(&self) -> Result<(), ServiceError> {
        for node in self.registry.picture().nodes.values() {
            if node.record.phase != NodePhase::Draining {
                continue;
            }
            let id = node.record.id;
            self.change_now(id, None, |node| {
                node.record.phase = NodePhase::Maintenance;
                "draining it was interrupted by a restart of the service; drain it again, or enable it"
                    .clone_into(&mut node.record.phase_reason);
                let message =
                    format!("node \"{}\" is in maintenance: {}", node.record.hostname, node.record.phase_reason);
                Ok(Some(Self::event(id, "node.maintenance", message, Severity::Warning, "system")))
            })?;
        }
        Ok(())
    }
}

fn demand(wanted: &DrainNode) -> Result<Demand, ServiceError> {
    let grace_sec = match wanted.grace_period_sec {
        0 => GRACE_DEFAULT,
        seconds @ 1..=GRACE_MAX => seconds,
        other => {
            return Err(ServiceError::invalid(
                "grace_period_sec",
                format!("must be 0 (meaning {GRACE_DEFAULT}) to {GRACE_MAX}; {other} was sent"),
            ));
        }
    };
    Ok(Demand { grace_sec, after: if wanted.force { After::PowerOff } else { After::LeaveRunning } })
}

fn cancelled(reason: &EndReason) -> ServiceError {
    ServiceError::Cancelled(match reason {
        EndReason::Cancelled { by } => format!("cancelled by {by}; VMs whose stop had begun go on stopping"),
        EndReason::Preempted => "another operation took the node".to_owned(),
    })
}

/// The event's words, and how much it matters.
fn tell(outcome: &Result<Vec<(VmId, Fate)>, ServiceError>) -> (String, Severity) {
    match outcome {
        Ok(fates) => {
            let failed = fates.iter().filter(|(_, fate)| matches!(fate, Fate::Failed(_))).count();
            let stopped = fates.len() - failed;
            let severity = if failed == 0 { Severity::Info } else { Severity::Warning };
            (format!("drained, {stopped} VMs stopped, {failed} did not"), severity)
        }
        Err(error) => (format!("draining ended early: {error}"), Severity::Warning),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(grace_period_sec: u32) -> DrainNode {
        DrainNode { grace_period_sec, force: false, target_node_id: String::new() }
    }

    #[test]
    fn grace_has_a_default_and_bounds() {
        assert_eq!(demand(&wanted(0)).map(|demand| demand.grace_sec), Ok(60));
        assert_eq!(demand(&wanted(3600)).map(|demand| demand.grace_sec), Ok(3600));
        assert!(demand(&wanted(3601)).is_err());
    }

    #[test]
    fn a_drain_that_left_something_running_is_a_warning() {
        let id = VmId::random();
        assert_eq!(tell(&Ok(vec![(id, Fate::Stopped)])).1, Severity::Info);
        let (told, severity) = tell(&Ok(vec![(id, Fate::Failed("no".to_owned()))]));
        assert_eq!((told.as_str(), severity), ("drained, 0 VMs stopped, 1 did not", Severity::Warning));
    }
}
