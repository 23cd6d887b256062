//! `VMService.WatchVMUsage`: each measurement of the VMs that run, as often as its reader wants it.
//! A reader that is slow gets the newest, not all that it missed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use connectrpc::ConnectError;
use futures::Stream;
use quantixkvm_proto::Quantixkvm::compute::v1 as wire;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::id::VmId;
use crate::model::vm::Moment;
use crate::service::core::Core;
use crate::service::error::ServiceError;

use super::read::Reader;
use super::watch::{HEARTBEAT, stopping};
use super::{RpcState, vm_out};

/// Seconds between two messages at most.
const INTERVAL_MAX: u32 = 60;

/// The messages of `WatchVMUsage`: the first as soon as anything was measured at all, then each
/// measurement. Where nothing runs that is said once, and again as a sign of life.
pub(super) fn watched(
    state: &RpcState,
    sent: &wire::WatchVMUsageRequest,
) -> Result<impl Stream<Item = Result<wire::VMUsageUpdate, ConnectError>> + Send + use<>, ServiceError> {
    let mut reader = Reader::default();
    let ids = sent.vm_ids.iter().enumerate();
    let ids = ids.filter_map(|(index, id)| reader.id::<VmId>(&format!("vm_ids[{index}]"), id)).collect();
    if sent.interval_sec > INTERVAL_MAX {
        let sent = sent.interval_sec;
        reader.wrong("interval_sec", format!("must be 0 (each measurement) to {INTERVAL_MAX}; {sent} was sent"));
    }
    let watch = Watch {
        measured: state.core.inventory.measured(),
        core: Arc::clone(&state.core),
        ids,
        interval: Duration::from_secs(u64::from(sent.interval_sec)),
        stop: state.stop.clone(),
        last: None,
    };
    let watch = reader.end(watch)?;
    Ok(futures::stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        match watch.next().await {
            Some(update) => Some((Ok(update), Some(watch))),
            None => Some((Err(stopping()), None)),
        }
    }))
}

struct Watch {
    measured: Receiver<Option<Moment>>,
    core: Arc<Core>,
    /// Empty: all.
    ids: BTreeSet<VmId>,
    interval: Duration,
    stop: CancellationToken,
    last: Option<Last>,
}

/// What was sent last.
struct Last {
    at: Instant,
    was_empty: bool,
}

impl Watch {
    /// `None`: the server stops.
    async fn next(&mut self) -> Option<wire::VMUsageUpdate> {
        let stop = self.stop.clone();
        tokio::select! {
            update = self.due() => update,
            () = stop.cancelled() => None,
        }
    }

    /// `None`: nobody measures any more.
    async fn due(&mut self) -> Option<wire::VMUsageUpdate> {
        let Some(last) = &self.last else {
            self.measured.wait_for(Option::is_some).await.ok()?;
            return Some(self.update());
        };
        let (was_empty, alive_until) = (last.was_empty, last.at + HEARTBEAT.max(self.interval));
        tokio::time::sleep_until(last.at + self.interval).await;
        loop {
            tokio::select! {
                changed = self.measured.changed() => {
                    changed.ok()?;
                    let update = self.update();
                    if !(was_empty && update.vms.is_empty()) {
                        return Some(update);
                    }
                }
                () = tokio::time::sleep_until(alive_until) => return Some(self.update()),
            }
        }
    }

    /// The newest measurement.
    fn update(&mut self) -> wire::VMUsageUpdate {
        let measured_at = *self.measured.borrow_and_update();
        let usage = self.core.inventory.usage();
        let picture = self.core.inventory.picture();
        let runs = |id: &VmId| picture.vms.get(id).is_some_and(|vm| vm.record.state.holds_resources());
        let vms: Vec<wire::VMUsage> = usage
            .iter()
            .filter(|(id, _)| (self.ids.is_empty() || self.ids.contains(id)) && runs(id))
            .map(|(id, usage)| wire::VMUsage {
                vm_id: id.to_string(),
                usage: vm_out::usage(usage).into(),
                ..Default::default()
            })
            .collect();
        self.last = Some(Last { at: Instant::now(), was_empty: vms.is_empty() });
        wire::VMUsageUpdate { vms, measured_at: measured_at.map(vm_out::moment).into(), ..Default::default() }
    }
}
