//! Measured use of running VMs, and their addresses. One bulk call a tick, off every request's
//! path. A call that is silent for two seconds is left to its thread and the next tick uses
//! another; a VM whose statistics stay away while the others come is shown as not responding.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::hypervisor::AgentChannel;
use crate::model::id::VmId;
use crate::model::operation::{Operation, Verb};
use crate::model::vm::{Moment, PowerState, VmCounters};

use super::core::{Core, blocking};
use super::inventory::{Usage, Vm};

const TICK: Duration = Duration::from_secs(2);
const SILENT_AFTER: Duration = Duration::from_secs(2);
/// Addresses change rarely: every third tick.
const ADDRESSES_EVERY: u32 = 3;
/// Guest agents are asked every so many ticks, a few at a time: each is a question to a guest.
const AGENTS_EVERY: u32 = 5;
const AGENTS_A_TIME: usize = 20;

/// Measure until `stop`.
pub async fn measure(core: Arc<Core>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last: HashMap<VmId, (Instant, VmCounters)> = HashMap::new();
    let mut round = 0_u32;
    let mut asked_up_to = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let any_on = core.inventory.picture().vms.values().any(|vm| vm.record.state.holds_resources());
        if !any_on {
            last.clear();
            let never = core.inventory.measured().borrow().is_none();
            if never || !core.inventory.usage().is_empty() {
                core.inventory.set_usage(BTreeMap::new());
            }
            continue;
        }
        let asking = Arc::clone(&core);
        let call = tokio::spawn(async move { asking.ask(|h| h.counters()).await });
        match tokio::time::timeout(SILENT_AFTER, call).await {
            Ok(Ok(Ok(counters))) => {
                take(&core, &mut last, counters);
            }
            Ok(Ok(Err(error))) => tracing::debug!(%error, "no statistics this time"),
            Ok(Err(error)) => tracing::error!(%error, "measuring panicked"),
            Err(_) => tracing::warn!("libvirt's statistics are silent; this call is left to its thread"),
        }
        round = round.wrapping_add(1);
        if round % ADDRESSES_EVERY == 1 {
            addresses(&core).await;
        }
        if round % AGENTS_EVERY == 1 {
            let next = next_agents(&core, asked_up_to);
            asked_up_to = next.last().copied();
            tokio::spawn(agents(Arc::clone(&core), next));
        }
    }
}

/// Turn counters into use a second.
fn take(core: &Arc<Core>, last: &mut HashMap<VmId, (Instant, VmCounters)>, counters: HashMap<VmId, VmCounters>) {
    let now = Instant::now();
    let mut usage = BTreeMap::new();
    let known = core.inventory.usage();
    for (id, counters) in &counters {
        if counters.is_silent
            && let Some(last) = known.get(id)
        {
            // What is known of it stays what was last known.
            let counters = VmCounters { is_silent: true, ..last.counters };
            usage.insert(*id, Usage { counters, ..*last });
            continue;
        }
        let mut used = Usage { counters: *counters, ..Usage::default() };
        if let Some((then, before)) = last.get(id) {
            let seconds = now.duration_since(*then).as_secs_f64().max(0.001);
            let a_second = |new: u64, old: u64| -> f64 {
                #[allow(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
                let delta = new.saturating_sub(old) as f64;
                delta / seconds
            };
            let whole = f64::from(counters.vcpus.max(1)) * 1e9;
            used.cpu_usage_percent =
                (a_second(counters.cpu_time_ns, before.cpu_time_ns) * 100.0 / whole).clamp(0.0, 100.0);
            used.disk_read_iops = rounded(a_second(counters.disk_read_ops, before.disk_read_ops));
            used.disk_write_iops = rounded(a_second(counters.disk_write_ops, before.disk_write_ops));
        }
        usage.insert(*id, used);
    }
    *last = counters.into_iter().map(|(id, counters)| (id, (now, counters))).collect();
    silent(core, &usage);
    core.inventory.set_usage(usage);
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are small and positive")]
fn rounded(rate: f64) -> u64 {
    rate.round() as u64
}

/// A running VM whose QEMU was not heard by libvirt, and that no verb keeps busy for good reason:
/// it is busy or hung. Said so at the second tick in a row, and unsaid at the first answer.
fn silent(core: &Arc<Core>, usage: &BTreeMap<VmId, Usage>) {
    let picture = core.inventory.picture();
    let last = core.inventory.usage();
    let is_silent = |usage: &BTreeMap<VmId, Usage>, id| usage.get(&id).is_some_and(|usage| usage.counters.is_silent);
    let changed: Vec<(VmId, bool)> = picture
        .vms
        .values()
        .filter_map(|vm| {
            let id = vm.record.id;
            let silent = vm.record.state == PowerState::Running
                && is_silent(usage, id)
                && is_silent(&last, id)
                && !vm.operation.as_deref().is_some_and(keeps_busy);
            (silent != vm.unresponsive_since.is_some()).then_some((id, silent))
        })
        .collect();
    for (id, silent) in changed {
        core.inventory.edit(id, |vm| vm.unresponsive_since = silent.then(Moment::now));
    }
}

/// Whether a verb may hold QEMU for as long as it takes: a save writes the whole memory. The others
/// are done in a moment, or QEMU does not answer them.
fn keeps_busy(operation: &Operation) -> bool {
    match operation.verb {
        Verb::Suspend | Verb::Start | Verb::Resume | Verb::Create => true,
        Verb::Stop
        | Verb::ForceStop
        | Verb::Reboot
        | Verb::Reset
        | Verb::Pause
        | Verb::Update
        | Verb::Delete
        | Verb::ForceDelete
        | Verb::Adopt
        | Verb::Redefine
        | Verb::Drain
        | Verb::MountIso
        | Verb::EjectIso
        | Verb::Console
        | Verb::Screenshot
        | Verb::SendKeys => false,
    }
}

/// The running VMs with an agent's channel that are asked next: round and round, by id.
fn next_agents(core: &Core, after: Option<VmId>) -> Vec<VmId> {
    let picture = core.inventory.picture();
    let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
    let may_answer =
        |vm: &Vm| vm.record.state == PowerState::Running && vm.operation.is_none() && vm.unresponsive_since.is_none();
    picture
        .vms
        .range((begin, Bound::Unbounded))
        .filter(|(_, vm)| may_answer(vm) && core.inventory.spec(vm).agent == Some(true))
        .map(|(id, _)| *id)
        .take(AGENTS_A_TIME)
        .collect()
}

/// Addresses as these guests' agents tell them. One that does not answer holds up the next ones of
/// this round alone.
async fn agents(core: Arc<Core>, ids: Vec<VmId>) {
    for id in ids {
        let told = core.ask(move |h| match h.agent_channel(id)? {
            AgentChannel::Connected => h.agent_addresses(id).map(Some),
            AgentChannel::Disconnected => Ok(None),
        });
        // A guest whose agent has gone keeps the addresses that it told, until it stops.
        if let Ok(Some(told)) = told.await {
            let core = Arc::clone(&core);
            blocking(move || {
                if core.inventory.get(id).is_some_and(|vm| vm.agent_addresses != told.ips) {
                    core.inventory.edit(id, |vm| vm.agent_addresses = told.ips);
                }
            })
            .await;
        }
    }
}

/// Addresses by lease for every running VM that is on a network of the host's.
async fn addresses(core: &Arc<Core>) {
    let Ok(leases) = core.ask(|h| h.leases()).await else {
        return;
    };
    let core = Arc::clone(core);
    blocking(move || {
        let picture = core.inventory.picture();
        for vm in picture.vms.values().filter(|vm| vm.record.state.holds_resources()) {
            let spec = core.inventory.spec(vm);
            let mut ips: Vec<String> = spec
                .nics
                .iter()
                .filter_map(|nic| leases.get(&nic.mac.to_ascii_lowercase()))
                .flat_map(|addresses| addresses.ips.iter().cloned())
                .collect();
            ips.dedup();
            // A lease that ran out is not the end of an address: keep what was seen while it runs.
            if !ips.is_empty() && ips != vm.ip_addresses {
                core.inventory.edit(vm.record.id, |vm| vm.ip_addresses = ips);
            }
        }
    })
    .await;
}
