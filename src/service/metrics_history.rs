//! How measured use went: each ten seconds what the VMs and the nodes use is kept, and read back as
//! a range. It samples what was measured anyway: nobody is asked for it.
//!
//! Rates come from counters, between the two measurements that stand behind two samples, so that
//! what happened between them is in the average. Where nothing new was measured there is a gap.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::host;
use crate::model::event::Subject;
use crate::model::id::{NodeId, VmId};
use crate::model::metric::{NOTHING, Range, Resolution, Resource, Sample};
use crate::model::vm::{Moment, VmCounters};
use crate::store::{EventFilter, MetricStore};

use super::core::{Core, blocking};
use super::error::ServiceError;
use super::inventory::Usage;
use super::node::{NodeService, NodeView};

/// A range that does not say where it begins.
const DEFAULT_RANGE: i64 = 3600 * 1_000_000;
/// A node's report that is older says nothing of now; other nodes report each 30 s.
const REPORT_MAX: i64 = 45 * 1_000_000;
/// Two measurements that lie further apart have no rate between them.
const APART_MAX: f64 = 60.0;

/// A range of the past.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    pub range: Range,
    /// One a step.
    pub samples: Vec<Sample>,
}

/// The past of everything on this host.
pub struct History {
    core: Arc<Core>,
    nodes: Arc<NodeService>,
    store: MetricStore,
    last: Mutex<Last>,
}

/// What rates are reckoned from.
#[derive(Default)]
struct Last {
    vms: HashMap<VmId, (Moment, VmCounters)>,
    nodes: HashMap<NodeId, (Moment, Traffic)>,
}

/// What a node's counters said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Traffic {
    disk_read: u64,
    disk_written: u64,
    received: u64,
    sent: u64,
}

impl History {
    #[must_use]
    pub fn new(core: Arc<Core>, nodes: Arc<NodeService>, store: MetricStore) -> Self {
        Self { core, nodes, store, last: Mutex::default() }
    }

    /// Keep what is measured until `stop`, at each whole ten seconds of the clock.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let step = i64::from(Resolution::Fine.step()) * 1_000_000;
        loop {
            let left = step - Moment::now().0.rem_euclid(step);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_micros(u64::try_from(left).unwrap_or_default())) => {}
                () = stop.cancelled() => return,
            }
            let history = Arc::clone(&self);
            blocking(move || history.sample(Moment::now())).await;
        }
    }

    /// Keep what the ten seconds before `now` were like. Blocks.
    pub fn sample(&self, now: Moment) {
        let step = i64::from(Resolution::Fine.step());
        let begun = (now.0.div_euclid(1_000_000).div_euclid(step) - 1) * step;
        let Ok(begun) = u32::try_from(begun) else { return };
        let mut measured = BTreeMap::new();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.sample_vms(&mut last, &mut measured);
        self.sample_nodes(&mut last, now, &mut measured);
        drop(last);
        self.store.record(begun, &measured);
    }

    fn sample_vms(&self, last: &mut Last, measured: &mut BTreeMap<Resource, Sample>) {
        let at = *self.core.inventory.measured().borrow();
        let (Some(at), usage) = (at, self.core.inventory.usage()) else { return };
        for (id, Usage { counters, .. }) in usage.iter().filter(|(_, usage)| !usage.counters.is_silent) {
            let before = last.vms.get(id).copied();
            if before.is_some_and(|(then, _)| then == at) {
                continue;
            }
            measured.insert(Resource::Vm(*id), of_vm(at, counters, before));
        }
        last.vms = usage.iter().map(|(id, usage)| (*id, (at, usage.counters))).collect();
    }

    fn sample_nodes(&self, last: &mut Last, now: Moment, measured: &mut BTreeMap<Resource, Sample>) {
        let (picture, _) = self.nodes.watch();
        last.nodes.retain(|id, _| picture.nodes.contains_key(id));
        for (id, node) in &picture.nodes {
            let at = node.record.last_heartbeat;
            if now.0 - at.0 > REPORT_MAX {
                continue;
            }
            let is_here = *id == self.core.node_id;
            let traffic = is_here.then(|| {
                let (disk_read, disk_written) = host::disk_traffic().unwrap_or_default();
                let load = &node.record.load;
                Traffic { disk_read, disk_written, received: load.network_rx_bytes, sent: load.network_tx_bytes }
            });
            let before = last.nodes.get(id).copied();
            measured.insert(Resource::Node(*id), of_node(node, at, traffic, before));
            if let Some(traffic) = traffic {
                last.nodes.insert(*id, (at, traffic));
            }
        }
    }

    /// The past of a VM. One that is gone keeps its past until it is too old. Blocks.
    ///
    /// # Errors
    /// `NotFound` for one that never was; `Invalid` for a range that ends before it begins.
    pub fn of_vm(&self, id: VmId, start: Option<Moment>, end: Option<Moment>) -> Result<Past, ServiceError> {
        if self.core.inventory.get(id).is_none() {
            let events = EventFilter {
                subject: Some(Subject::Vm),
                resource_id: Some(id.to_string()),
                limit: 1,
                ..EventFilter::default()
            };
            self.core.keep_if_possible();
            if self.core.store.event_list(&events)?.is_empty() {
                return Err(ServiceError::no_vm(id));
            }
        }
        self.past(Resource::Vm(id), start, end)
    }

    /// The past of a node. Blocks.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` as of a VM.
    pub fn of_node(&self, id: NodeId, start: Option<Moment>, end: Option<Moment>) -> Result<Past, ServiceError> {
        self.nodes.get(id)?;
        self.past(Resource::Node(id), start, end)
    }

    fn past(&self, resource: Resource, start: Option<Moment>, end: Option<Moment>) -> Result<Past, ServiceError> {
        let now = Moment::now();
        let end = end.unwrap_or(now);
        let start = start.unwrap_or(Moment(end.0.saturating_sub(DEFAULT_RANGE)));
        if end < start {
            return Err(ServiceError::invalid("end", format!("must not be before start; {start} to {end} was sent")));
        }
        let range = Range::of(start, end, now);
        Ok(Past { range, samples: self.store.read(resource, range) })
    }
}

/// Seconds between two measurements, where a rate can be reckoned from them.
fn apart(then: Moment, at: Moment) -> Option<f64> {
    #[allow(clippy::cast_precision_loss, reason = "microseconds of a minute")]
    let seconds = (at.0 - then.0) as f64 / 1e6;
    (seconds > 0.0 && seconds <= APART_MAX).then_some(seconds)
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a chart needs no more than 24 bits")]
fn value(bytes: u64) -> f32 {
    bytes as f32
}

/// What a counter gained a second; one that was begun anew has no rate.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a chart needs no more than 24 bits")]
fn rate(before: u64, now: u64, seconds: f64) -> f32 {
    now.checked_sub(before).map_or(f32::NAN, |gained| (gained as f64 / seconds) as f32)
}

fn of_vm(at: Moment, now: &VmCounters, before: Option<(Moment, VmCounters)>) -> Sample {
    let mut sample = NOTHING;
    sample[1] = value(now.memory_used_bytes);
    if let Some((then, before)) = before.filter(|(_, before)| !before.is_silent)
        && let Some(seconds) = apart(then, at)
    {
        // Nanoseconds of all vCPUs together in a second; a percent is ten million of them.
        let whole = 1e7 * f64::from(now.vcpus.max(1));
        sample[0] = rate(before.cpu_time_ns, now.cpu_time_ns, seconds * whole).clamp(0.0, 100.0);
        sample[2] = rate(before.disk_read_bytes, now.disk_read_bytes, seconds);
        sample[3] = rate(before.disk_write_bytes, now.disk_write_bytes, seconds);
        sample[4] = rate(before.network_rx_bytes, now.network_rx_bytes, seconds);
        sample[5] = rate(before.network_tx_bytes, now.network_tx_bytes, seconds);
    }
    sample
}

fn of_node(node: &NodeView, at: Moment, traffic: Option<Traffic>, before: Option<(Moment, Traffic)>) -> Sample {
    let load = &node.record.load;
    let mut sample = NOTHING;
    #[allow(clippy::cast_possible_truncation, reason = "a percentage")]
    let cpu = load.cpu_usage_percent as f32;
    sample[0] = cpu;
    sample[1] = value(load.memory_used_bytes);
    if let (Some(now), Some((then, before))) = (traffic, before)
        && let Some(seconds) = apart(then, at)
    {
        sample[2] = rate(before.disk_read, now.disk_read, seconds);
        sample[3] = rate(before.disk_written, now.disk_written, seconds);
        sample[4] = rate(before.received, now.received, seconds);
        sample[5] = rate(before.sent, now.sent, seconds);
    }
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Moment {
        Moment(seconds * 1_000_000)
    }

    #[test]
    fn rates_are_between_two_measurements() {
        let before = VmCounters {
            cpu_time_ns: 0,
            vcpus: 2,
            disk_read_bytes: 1000,
            network_rx_bytes: 9000,
            ..Default::default()
        };
        let now = VmCounters {
            cpu_time_ns: 5_000_000_000,
            memory_used_bytes: 1 << 30,
            disk_read_bytes: 2000,
            network_rx_bytes: 10,
            ..before
        };
        let sample = of_vm(at(110), &now, Some((at(100), before)));
        // Five seconds of CPU in ten, on two vCPUs.
        assert!((sample[0] - 25.0).abs() < 0.01, "{sample:?}");
        assert_eq!((sample[1], sample[2], sample[3]), (1_073_741_824.0, 100.0, 0.0));
        assert!(sample[4].is_nan(), "a counter that was begun anew has no rate");
        for (then, before) in [
            (at(110), before),
            (at(10), before),
            (at(120), before),
            (at(100), VmCounters { is_silent: true, ..before }),
        ] {
            let sample = of_vm(at(110), &now, Some((then, before)));
            assert!(sample[0].is_nan() && sample[1] > 0.0, "{then}: {sample:?}");
        }
        assert!(of_vm(at(110), &now, None)[0].is_nan());
    }
}
