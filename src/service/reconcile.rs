//! The picture follows libvirt. A notice carries no state: whatever is noticed, the VM is looked
//! at again, so that a lost, doubled or reordered notice leaves nothing wrong. A full comparison
//! follows every connection and runs slowly in the background as a safety net.
//!
//! Nothing that we did not make is ever deleted or redefined here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::hypervisor::Notice;
use crate::model::definition::VmIdentity;
use crate::model::event::Severity;
use crate::model::id::{DEFAULT_PROJECT, VmId};
use crate::model::lifecycle::Seen;
use crate::model::spec::GuestOs;
use crate::model::spec_diff::spec_changes;
use crate::model::vm::{Activity, DeletionProtection, DescribedVm, ListedVm, Moment, Origin, PowerState, VmRecord};
use crate::store::StoreError;

use super::core::{Core, blocking};
use super::error::ServiceError;
use super::inventory::{Edits, Picture, Vm};
use super::node::NodeService;
use super::operations::OperationService;
use super::recover::recover;
use super::vm::{Readiness, follow_now};

/// The safety net: of some outside changes libvirt gives no notice (autostart, and definitions
/// changed by anything but a whole new one). Every tick some definitions are read again,
const NET_TICK: Duration = Duration::from_secs(1);
/// What could not be finished or undone, as where the disk was full, is tried again every 5 s.
const TAKE_UP_EVERY_TICKS: u32 = 5;
/// each of them within this many ticks,
const DEFINITIONS_WITHIN_TICKS: usize = 300;
/// at least this many a tick, so that on a small host all are read within seconds,
const DEFINITIONS_A_TICK: usize = 5;
/// and the list of VMs is compared every so many ticks, on a host with many VMs more seldom: at rest
/// the service is to cost nothing that anyone notices.
const COMPARE_EVERY_TICKS: u32 = 4;
const COMPARE_MANY_EVERY_TICKS: u32 = 20;
const MANY: usize = 250;

/// What was noticed and not yet looked at.
#[derive(Default)]
struct Noticed {
    /// The state may have changed.
    looks: HashSet<VmId>,
    /// The definition may have changed.
    reads: HashSet<VmId>,
    rebooted: HashSet<VmId>,
    connected: bool,
    disconnected: Option<String>,
}

impl Noticed {
    fn add(&mut self, notice: Notice) {
        match notice {
            Notice::Connected => {
                self.connected = true;
                self.disconnected = None;
            }
            Notice::Disconnected(why) => {
                self.connected = false;
                self.disconnected = Some(why);
            }
            Notice::LifeChanged(id) | Notice::Undefined(id) => {
                self.looks.insert(id);
            }
            Notice::DefinitionChanged(id) => {
                self.looks.insert(id);
                self.reads.insert(id);
            }
            Notice::Rebooted(id) => {
                self.rebooted.insert(id);
            }
            Notice::AgentChanged(id, _) => {
                self.looks.insert(id);
            }
            Notice::NetworkChanged => {}
        }
    }
}

/// Follows libvirt until `stop`.
pub struct Reconciler {
    pub core: Arc<Core>,
    pub operations: Arc<OperationService>,
    pub nodes: Arc<NodeService>,
    pub readiness: watch::Sender<Readiness>,
}

impl Reconciler {
    /// Run until `stop`.
    pub async fn run(self, mut notices: mpsc::UnboundedReceiver<Notice>, stop: CancellationToken) {
        let mut net = tokio::time::interval(NET_TICK);
        net.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ticks = 0_u32;
        let mut read_up_to = None;
        let mut connected = false;
        loop {
            let mut noticed = Noticed::default();
            tokio::select! {
                notice = notices.recv() => match notice {
                    Some(notice) => noticed.add(notice),
                    None => return,
                },
                _ = net.tick(), if connected => {
                    ticks = ticks.wrapping_add(1);
                    if ticks.is_multiple_of(TAKE_UP_EVERY_TICKS) && self.core.store.healthy().is_ok() {
                        self.take_up().await;
                    }
                    noticed.reads = self.next_to_read(&mut read_up_to);
                    let many = self.core.inventory.picture().vms.len() > MANY;
                    if ticks.is_multiple_of(if many { COMPARE_MANY_EVERY_TICKS } else { COMPARE_EVERY_TICKS }) {
                        let core = Arc::clone(&self.core);
                        // Where libvirt goes away meanwhile, the next connection compares everything.
                        if let Ok(Err(error)) = self.core.host(move || compare(&core)).await {
                            tracing::debug!(%error, "the comparison with libvirt failed");
                        }
                    }
                }
                () = stop.cancelled() => return,
            }
            // An event storm is one look a VM.
            while let Ok(notice) = notices.try_recv() {
                noticed.add(notice);
            }
            if let Some(why) = noticed.disconnected.take() {
                connected = false;
                self.disconnected(why).await;
                continue;
            }
            if noticed.connected {
                connected = self.connected().await;
            }
            for id in noticed.rebooted {
                self.core.sighted(id, Seen::Rebooted);
            }
            if connected && !(noticed.looks.is_empty() && noticed.reads.is_empty()) {
                let core = Arc::clone(&self.core);
                // Where libvirt goes away meanwhile, the next connection compares everything.
                let _ = self.core.host(move || look_again(&core, &noticed.looks, &noticed.reads)).await;
            }
        }
    }

    /// The VMs whose definitions are read again at this tick: round and round, by id.
    fn next_to_read(&self, read_up_to: &mut Option<VmId>) -> HashSet<VmId> {
        let picture = self.core.inventory.picture();
        let settled = |vm: &Vm| vm.operation.is_none() && vm.record.state != PowerState::Lost;
        let count = picture.vms.len().div_ceil(DEFINITIONS_WITHIN_TICKS).max(DEFINITIONS_A_TICK);
        let after = read_up_to.map_or(Bound::Unbounded, Bound::Excluded);
        let next: Vec<VmId> = picture
            .vms
            .range((after, Bound::Unbounded))
            .filter(|(_, vm)| settled(vm))
            .map(|(id, _)| *id)
            .take(count)
            .collect();
        *read_up_to = if next.len() < count { None } else { next.last().copied() };
        next.into_iter().collect()
    }

    async fn disconnected(&self, why: String) {
        tracing::warn!(%why, "libvirt is away");
        self.readiness.send_replace(Readiness::NotReady(format!("libvirt cannot be reached: {why}")));
        let core = Arc::clone(&self.core);
        blocking(move || {
            core.inventory.write(|picture, edits| {
                if picture.stale_since.is_none() {
                    edits.stale(Some((Moment::now(), why)));
                    for vm in picture.vms.values() {
                        let mut vm = vm.edit();
                        vm.stale = true;
                        edits.put(vm);
                    }
                }
            });
        })
        .await;
        self.nodes.look_again();
    }

    /// Finish what was interrupted, compare everything, and serve verbs.
    async fn connected(&self) -> bool {
        self.take_up().await;
        let core = Arc::clone(&self.core);
        let compared = self.core.host(move || compare(&core)).await.map_err(ServiceError::from).flatten();
        match compared {
            Ok(unread) => {
                let was_ready = *self.readiness.borrow() == Readiness::Ready;
                self.readiness.send_replace(Readiness::Ready);
                if !was_ready {
                    tracing::info!("the picture agrees with libvirt");
                    self.nodes.look_again();
                }
                let core = Arc::clone(&self.core);
                // Definitions are read behind the first answer, a few at a time.
                tokio::task::spawn_blocking(move || {
                    for id in unread {
                        look_again(&core, &HashSet::new(), &HashSet::from([id]));
                    }
                });
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the comparison with libvirt failed");
                self.readiness.send_replace(Readiness::NotReady(error.to_string()));
                false
            }
        }
    }

    /// Finish or undo what waits for it.
    async fn take_up(&self) {
        for running in self.operations.interrupted() {
            if let Err(error) = recover(&self.core, &self.operations, &running).await {
                tracing::error!(operation = %running.operation().id, %error, "an interrupted operation could not be recovered yet");
                self.operations.leave(&running, "recovery failed");
            }
        }
    }
}

/// Compare the whole host with the picture. Answers with the VMs whose definition should be read
/// in the background.
pub(super) fn compare(core: &Core) -> Result<Vec<VmId>, ServiceError> {
    let earlier = core.inventory.picture();
    let listed = core.hypervisor.list()?;
    let present: HashMap<VmId, &ListedVm> = listed.iter().map(|vm| (vm.id, vm)).collect();
    let picture = core.inventory.picture();
    if agrees(&picture, &listed, &present) {
        return Ok(Vec::new());
    }
    // What changed after the list was asked for is known better than the list knows it.
    let overtaken = |vm: &Vm| earlier.vms.get(&vm.record.id).is_none_or(|before| before.version != vm.version);
    let mut described = HashMap::new();
    for vm in &listed {
        // A VM without a known definition cannot be shown at all before it is read.
        if picture.vms.get(&vm.id).is_none_or(|known| known.record.definition.0.is_empty())
            && let Some(read) = core.hypervisor.describe(vm.id)?
        {
            described.insert(vm.id, read);
        }
    }
    let unread = listed.iter().map(|vm| vm.id).filter(|id| !described.contains_key(id)).collect();
    core.transact(|tx, picture, edits| {
        edits.stale(None);
        let mut events = Vec::new();
        for vm in &listed {
            let mut next = match (picture.vms.get(&vm.id), described.remove(&vm.id)) {
                (Some(known), read) => {
                    let mut known = known.edit();
                    if let Some(read) = read {
                        apply_description(&mut known, read, picture);
                    }
                    known
                }
                (None, Some(read)) => {
                    let found = found(core, picture, vm, read);
                    events.push(core.vm_event(
                        vm.id,
                        "vm.found",
                        format!("VM \"{}\" was found on the host", found.record.name),
                        Severity::Info,
                        "host",
                    ));
                    found
                }
                // Undefined between the list and the look.
                (None, None) => continue,
            };
            let before = picture.vms.get(&vm.id).map(|known| known.record.state);
            next.stale = false;
            if !picture.vms.get(&vm.id).is_some_and(|known| overtaken(known)) {
                apply_listing(&mut next, vm, picture);
            }
            if before.is_some_and(|before| before != next.record.state) && next.operation.is_none() {
                events.push(outside_event(core, &next));
            }
            let changed = match picture.vms.get(&vm.id) {
                Some(known) => {
                    if known.record != next.record {
                        tx.vm_put(&next.record)?;
                    }
                    known.record != next.record
                        || known.stale
                        || known.autostart != next.autostart
                        || known.lifetime != next.lifetime
                }
                None => {
                    match tx.vm_put(&next.record) {
                        // Found together with another of its name: one of them stays the host's.
                        Err(StoreError::AlreadyExists { .. }) => {
                            next.record.origin = Origin::HostDiscovered;
                            tx.vm_put(&next.record)?;
                        }
                        put => put?,
                    }
                    true
                }
            };
            if changed {
                edits.put(next);
            }
        }
        for vm in picture.vms.values().filter(|vm| !present.contains_key(&vm.record.id)) {
            // An operation in flight knows better where its VM is.
            if vm.operation.is_none() && !overtaken(vm) {
                events.extend(absent(core, tx, edits, vm)?);
            }
        }
        for event in &events {
            tx.event_append(event)?;
        }
        Ok(unread)
    })
}

/// Whether nothing has to be done, and so nothing is written.
fn agrees(picture: &Picture, listed: &[ListedVm], present: &HashMap<VmId, &ListedVm>) -> bool {
    picture.stale_since.is_none()
        && listed.iter().all(|vm| {
            picture.vms.get(&vm.id).is_some_and(|known| {
                !known.stale
                    && !known.record.definition.0.is_empty()
                    && (vm.state == known.record.state || is_cleared(known.record.state, vm.state))
                    && vm.hypervisor_name == known.record.hypervisor_name
                    && vm.autostart == known.autostart
                    && vm.lifetime == known.lifetime
            })
        })
        && picture.vms.values().all(|vm| {
            present.contains_key(&vm.record.id) || vm.record.state == PowerState::Lost || vm.operation.is_some()
        })
}

/// What becomes of a VM that libvirt no longer has: ours is lost, the host's is gone.
fn absent(
    core: &Core,
    tx: &mut crate::store::Transaction<'_>,
    edits: &mut Edits,
    vm: &Vm,
) -> Result<Option<crate::model::event::Event>, ServiceError> {
    if vm.record.state == PowerState::Lost {
        if vm.stale {
            let mut vm = vm.edit();
            vm.stale = false;
            edits.put(vm);
        }
        return Ok(None);
    }
    let name = &vm.record.name;
    if vm.record.origin.is_managed() {
        let mut lost = vm.edit();
        let reason =
            format!("undefined outside; last seen {} as \"{}\"", vm.record.last_seen_at, vm.record.hypervisor_name);
        let event = core.vm_event(
            vm.record.id,
            "vm.lost",
            format!("VM \"{name}\" is no longer defined on the host"),
            Severity::Warning,
            "host",
        );
        lost.record.state = PowerState::Lost;
        lost.record.state_changed_at = Moment::now();
        lost.record.lost_reason = reason;
        lost.stale = false;
        lost.ip_addresses.clear();
        lost.agent_addresses.clear();
        lost.pending_changes.clear();
        tx.vm_put(&lost.record)?;
        edits.put(lost);
        Ok(Some(event))
    } else {
        tx.vm_delete(vm.record.id)?;
        edits.remove(vm.record.id);
        Ok(Some(core.vm_event(
            vm.record.id,
            "vm.gone",
            format!("VM \"{name}\" is gone from the host"),
            Severity::Info,
            "host",
        )))
    }
}

/// A VM seen for the first time: ours where its metadata says so for this very id and node, else
/// the host's.
fn found(core: &Core, picture: &Picture, listed: &ListedVm, read: DescribedVm) -> Vm {
    let now = Moment::now();
    let mine = read
        .identity
        .clone()
        .filter(|identity| identity.vm_id == listed.id && identity.node_id == core.node_id)
        .filter(|identity| {
            // A name that was given to another VM meanwhile is not taken from it.
            !picture
                .vms
                .values()
                .any(|vm| vm.record.project_id == identity.project_id && vm.record.name == identity.name)
        });
    let record = match mine {
        Some(identity) => record_of(listed, identity, now),
        None => VmRecord {
            id: listed.id,
            name: listed.hypervisor_name.clone(),
            hypervisor_name: listed.hypervisor_name.clone(),
            project_id: DEFAULT_PROJECT,
            node_id: core.node_id,
            labels: BTreeMap::new(),
            description: String::new(),
            origin: Origin::HostDiscovered,
            created_by: "host".to_owned(),
            created_at: now,
            updated_at: now,
            generation: 1,
            start_order: None,
            start_delay_sec: None,
            deletion_protection: DeletionProtection::Off,
            guest_os: read.spec.guest_os.clone(),
            owned_volumes: Vec::new(),
            disk_sizes: BTreeMap::new(),
            definition: read.persistent.clone(),
            state: listed.state,
            state_changed_at: now,
            last_seen_at: now,
            error_message: listed.reason.clone(),
            lost_reason: String::new(),
        },
    };
    let mut vm = Vm::of_record(record);
    apply_description(&mut vm, read, picture);
    vm
}

/// The record that a definition's metadata remembers.
pub(super) fn record_of(listed: &ListedVm, identity: VmIdentity, now: Moment) -> VmRecord {
    VmRecord {
        id: listed.id,
        name: identity.name,
        hypervisor_name: listed.hypervisor_name.clone(),
        project_id: identity.project_id,
        node_id: identity.node_id,
        labels: identity.labels.into_iter().collect(),
        description: identity.description,
        origin: Origin::ControlPlane,
        created_by: identity.created_by,
        created_at: Moment(identity.created_at_us),
        updated_at: now,
        generation: identity.generation,
        start_order: identity.start_order,
        start_delay_sec: identity.start_delay_sec,
        deletion_protection: identity.deletion_protection,
        guest_os: GuestOs { family: identity.guest_os_family, variant: identity.guest_os_variant },
        owned_volumes: identity.owned_volumes,
        disk_sizes: BTreeMap::new(),
        definition: crate::model::definition::DefinitionText::default(),
        state: listed.state,
        state_changed_at: now,
        last_seen_at: now,
        error_message: listed.reason.clone(),
        lost_reason: String::new(),
    }
}

/// Whether no other VM of its project has this name.
fn name_is_free(picture: &Picture, record: &VmRecord, name: &str) -> bool {
    !picture.vms.values().any(|other| {
        other.record.id != record.id && other.record.project_id == record.project_id && other.record.name == name
    })
}

/// Put what was read from the definitions into a VM.
fn apply_description(vm: &mut Vm, read: DescribedVm, picture: &Picture) {
    vm.pending_changes =
        read.running_spec.as_ref().map(|running| spec_changes(running, &read.spec)).unwrap_or_default();
    vm.record.definition = read.persistent;
    vm.set_spec(read.spec);
    // A crash between the tagging and the record of an adoption: the metadata was the promise. With
    // a name that another VM has it stays the host's: adopting it says so.
    if vm.record.origin == Origin::HostDiscovered
        && name_is_free(picture, &vm.record, &vm.record.name)
        && read.identity.is_some_and(|identity| identity.vm_id == vm.record.id && identity.node_id == vm.record.node_id)
    {
        vm.record.origin = Origin::Imported;
    }
}

/// Whether this is a crash that was taken note of: libvirt goes on telling of it until the next start.
fn is_cleared(known: PowerState, listed: PowerState) -> bool {
    known == PowerState::Stopped && listed == PowerState::Crashed(Activity::Inactive)
}

/// Put what a list or a look says into a VM.
pub(crate) fn apply_listing(vm: &mut Vm, listed: &ListedVm, picture: &Picture) {
    let now = Moment::now();
    let record = &mut vm.record;
    if record.state != listed.state && !is_cleared(record.state, listed.state) {
        record.state = listed.state;
        record.state_changed_at = now;
        record.last_seen_at = now;
        record.error_message.clone_from(&listed.reason);
        record.lost_reason.clear();
        if !listed.state.holds_resources() {
            vm.ip_addresses.clear();
            vm.agent_addresses.clear();
            vm.pending_changes.clear();
            vm.unresponsive_since = None;
        }
    }
    if record.hypervisor_name != listed.hypervisor_name {
        // Renamed outside: theirs wins. (Our own renames put the name that libvirt then has.)
        // A name that another VM has cannot become ours: then we keep the one that we know it by.
        if record.origin == Origin::HostDiscovered
            || (record.name == record.hypervisor_name && name_is_free(picture, record, &listed.hypervisor_name))
        {
            record.name.clone_from(&listed.hypervisor_name);
            record.generation += 1;
            record.updated_at = now;
        }
        record.hypervisor_name.clone_from(&listed.hypervisor_name);
    }
    vm.autostart = listed.autostart;
    vm.lifetime = listed.lifetime;
}

/// The event of a change that nobody asked us for.
fn outside_event(core: &Core, vm: &Vm) -> crate::model::event::Event {
    let name = &vm.record.name;
    let (kind, what, severity) = match vm.record.state {
        PowerState::Running => ("vm.started", "runs", Severity::Info),
        PowerState::Stopped => ("vm.stopped", "stopped", Severity::Info),
        PowerState::Paused(_) => ("vm.paused", "is paused", Severity::Warning),
        PowerState::Suspended => ("vm.suspended", "was saved", Severity::Info),
        PowerState::Crashed(_) => ("vm.crashed", "crashed", Severity::Error),
        PowerState::Migrating => ("vm.migrating", "is migrating", Severity::Info),
        PowerState::Lost => ("vm.lost", "is lost", Severity::Warning),
        PowerState::Provisioning | PowerState::Unknown => ("vm.changed", "changed", Severity::Info),
    };
    let mut message = format!("VM \"{name}\" {what}");
    if !vm.record.error_message.is_empty() {
        message.push_str(": ");
        message.push_str(&vm.record.error_message);
    }
    core.vm_event(vm.record.id, kind, message, severity, "host")
}

/// How often a look that was overtaken is repeated before it is believed.
const LOOKS: u32 = 8;

/// Look at these VMs again, and read the definitions of those. Blocks.
pub(crate) fn look_again(core: &Core, looks: &HashSet<VmId>, reads: &HashSet<VmId>) {
    for &id in looks.union(reads) {
        if let Err(error) = look_at(core, id, reads.contains(&id)) {
            // The connection's own notice follows, and with it a full comparison.
            tracing::debug!(vm = %id, %error, "could not look at a VM");
        }
    }
}

/// One look. Where the VM changed in the picture meanwhile, the look may be from before that change:
/// it is repeated.
fn look_at(core: &Core, id: VmId, read: bool) -> Result<(), ServiceError> {
    for _ in 1..LOOKS {
        if look_once(core, id, read, Overtaken::Repeat)? {
            return Ok(());
        }
    }
    look_once(core, id, read, Overtaken::Believe).map(drop)
}

/// What becomes of a look at a VM that changed in the picture meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overtaken {
    Repeat,
    Believe,
}

/// Whether the look counted.
fn look_once(core: &Core, id: VmId, mut read: bool, overtaken: Overtaken) -> Result<bool, ServiceError> {
    let version = core.inventory.get(id).map(|vm| vm.version);
    let counts =
        |picture: &Picture| overtaken == Overtaken::Believe || picture.vms.get(&id).map(|vm| vm.version) == version;
    let Some(listed) = core.hypervisor.look(id)? else {
        core.sighted(id, Seen::Gone);
        return core.transact(|tx, picture, edits| {
            if !counts(picture) {
                return Ok(false);
            }
            if let Some(vm) = picture.vms.get(&id)
                && vm.operation.is_none()
                && let Some(event) = absent(core, tx, edits, vm)?
            {
                tx.event_append(&event)?;
            }
            Ok(true)
        });
    };
    let known = core.inventory.get(id);
    read |= known.as_ref().is_none_or(|vm| vm.record.definition.0.is_empty());
    let description = if read { core.hypervisor.describe(id)? } else { None };
    let tagged = description.as_ref().map(|read| read.identity.as_ref().map(|identity| identity.generation));
    let told = core.inventory.write(|picture, edits| {
        if !counts(picture) {
            return Err(());
        }
        let (mut vm, before) = match (picture.vms.get(&id), &description) {
            (Some(known), _) => (known.edit(), Some(Arc::clone(known))),
            (None, Some(read)) => (found(core, picture, &listed, read.clone()), None),
            (None, None) => return Ok(None),
        };
        apply_listing(&mut vm, &listed, picture);
        if let (Some(_), Some(read)) = (&before, description) {
            apply_description(&mut vm, read, picture);
        }
        vm.stale = false;
        let event = match &before {
            None => Some(core.vm_event(
                id,
                "vm.found",
                format!("VM \"{}\" was found on the host", vm.record.name),
                Severity::Info,
                "host",
            )),
            Some(before) if before.record.state != vm.record.state && vm.operation.is_none() => {
                Some(outside_event(core, &vm))
            }
            Some(_) => None,
        };
        let changed = before.is_none_or(|before| {
            before.record != vm.record
                || before.autostart != vm.autostart
                || before.lifetime != vm.lifetime
                || before.pending_changes != vm.pending_changes
                || before.stale
        });
        if changed {
            edits.put(vm);
        }
        Ok(Some((changed, event)))
    });
    let Ok(told) = told else {
        return Ok(false);
    };
    core.sighted(id, Seen::State(listed.state));
    if let Some((changed, event)) = told
        && (changed || event.is_some())
    {
        core.keep_later(changed.then_some(id), event);
    }
    // Metadata that does not say what our record says is written again: a write of it may have
    // failed, or someone has replaced the definition.
    if let (Some(tagged), Some(vm)) = (tagged, core.inventory.get(id))
        && vm.record.origin.is_managed()
        && vm.operation.is_none()
        && tagged != Some(vm.record.generation)
    {
        follow_now(core, id)?;
    }
    Ok(true)
}

/// Look at one VM again soon, in the background.
pub(crate) fn fold_in(core: &Arc<Core>, id: VmId) {
    let core = Arc::clone(core);
    tokio::task::spawn_blocking(move || look_again(&core, &HashSet::from([id]), &HashSet::new()));
}
