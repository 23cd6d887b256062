//! The one live picture: record and last observed state of every VM, in memory. One writer at a
//! time, lock-free readers. Lists, gets, watches and metrics read only it; no request asks libvirt.
//!
//! A [`Vm`] is immutable: a change makes a new one with a higher version and tells the watchers.
//! That lets the wire's bytes of a VM be kept inside it, made once however often it is listed.

use std::collections::BTreeMap;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use imbl::{OrdMap, OrdSet};
use tokio::sync::{broadcast, watch};

use crate::model::definition::DefinitionText;
use crate::model::id::VmId;
use crate::model::lifecycle::{AllowedAction, Pending, Situation, allowed_actions};
use crate::model::operation::Operation;
use crate::model::spec::VmSpec;
use crate::model::spec_diff::{SpecChange, spec_changes};
use crate::model::vm::{Autostart, DescribedVm, Lifetime, Moment, VmRecord};

/// How many changes a watcher may lag behind before it is told to resync.
const WATCH_BUFFER: usize = 4096;

/// Measured use of a running VM.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Of all its vCPUs together, 0-100.
    pub cpu_usage_percent: f64,
    pub counters: crate::model::vm::VmCounters,
    /// Operations a second over the last tick.
    pub disk_read_iops: u64,
    pub disk_write_iops: u64,
}

/// One VM as it is known now.
#[derive(Debug)]
pub struct Vm {
    pub record: VmRecord,
    pub lifetime: Lifetime,
    pub autostart: Autostart,
    /// Read from the definition when first asked for.
    spec: OnceLock<Arc<VmSpec>>,
    /// Differences between what runs and what the next start will run.
    pub pending_changes: Vec<SpecChange>,
    pub operation: Option<Arc<Operation>>,
    /// Since when the hypervisor process has not answered.
    pub unresponsive_since: Option<Moment>,
    /// By the DHCP leases of the host's networks.
    pub ip_addresses: Vec<String>,
    /// As the guest agent tells them.
    pub agent_addresses: Vec<String>,
    /// libvirt is away: this is what was last known.
    pub stale: bool,
    /// The picture's version at which this VM changed last.
    pub version: u64,
    /// Bytes of this VM on the wire, filled by the rpc room.
    pub wire: WireCache,
}

/// A VM's bytes on the wire by codec; empty until the rpc room makes them.
#[derive(Debug, Default)]
pub struct WireCache {
    pub json: OnceLock<bytes::Bytes>,
    pub proto: OnceLock<bytes::Bytes>,
}

/// How a definition's text is read: the hypervisor's pure `read`.
pub type ReadSpec = Arc<dyn Fn(&DefinitionText) -> VmSpec + Send + Sync>;

impl Vm {
    /// A VM known from its record alone.
    #[must_use]
    pub fn of_record(record: VmRecord) -> Self {
        Self {
            record,
            lifetime: Lifetime::Persistent,
            autostart: Autostart::Off,
            spec: OnceLock::new(),
            pending_changes: Vec::new(),
            operation: None,
            unresponsive_since: None,
            ip_addresses: Vec::new(),
            agent_addresses: Vec::new(),
            stale: false,
            version: 0,
            wire: WireCache::default(),
        }
    }

    /// A copy to change; its bytes on the wire are forgotten.
    #[must_use]
    pub fn edit(&self) -> Self {
        Self {
            record: self.record.clone(),
            lifetime: self.lifetime,
            autostart: self.autostart,
            spec: self.spec.clone(),
            pending_changes: self.pending_changes.clone(),
            operation: self.operation.clone(),
            unresponsive_since: self.unresponsive_since,
            ip_addresses: self.ip_addresses.clone(),
            agent_addresses: self.agent_addresses.clone(),
            stale: self.stale,
            version: self.version,
            wire: WireCache::default(),
        }
    }

    /// Put a specification that was just read from `record.definition`.
    pub fn set_spec(&mut self, spec: VmSpec) {
        self.spec = OnceLock::from(Arc::new(spec));
    }

    /// Take over what libvirt says of its definitions, and what of it the running guest lacks.
    pub fn set_described(&mut self, described: DescribedVm) {
        let running = described.running_spec.as_ref();
        self.pending_changes = running.map(|running| spec_changes(running, &described.spec)).unwrap_or_default();
        self.record.definition = described.persistent;
        self.set_spec(described.spec);
    }

    /// Replace the definition; the specification is read from it when next asked for.
    pub fn set_definition(&mut self, definition: DefinitionText) {
        if self.record.definition != definition {
            self.record.definition = definition;
            self.spec = OnceLock::new();
        }
    }

    /// The specification, read from the definition once.
    pub fn spec(&self, read: &ReadSpec) -> &Arc<VmSpec> {
        self.spec.get_or_init(|| Arc::new(read(&self.record.definition)))
    }

    /// What the lifecycle decides by.
    #[must_use]
    pub fn situation(&self) -> Situation {
        Situation {
            state: self.record.state,
            lifetime: self.lifetime,
            origin: self.record.origin,
            protection: self.record.deletion_protection,
            pending: self.operation.as_ref().map(|operation| Pending {
                verb: operation.verb,
                operation_id: operation.id,
                since: operation.created_at,
            }),
        }
    }

    /// Every verb with its answer.
    #[must_use]
    pub fn allowed_actions(&self) -> Vec<AllowedAction> {
        allowed_actions(&self.situation(), &self.record.name)
    }

    /// The present `resource_version`.
    #[must_use]
    pub fn resource_version(&self) -> String {
        self.record.generation.to_string()
    }
}

/// The whole picture at one version.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    pub version: u64,
    pub vms: OrdMap<VmId, Arc<Vm>>,
    /// The orders of lists, kept beside the map by its one writer.
    by_name: OrdSet<(Box<str>, VmId)>,
    by_age: OrdSet<(Moment, VmId)>,
    /// Since when libvirt is away, and why.
    pub stale_since: Option<(Moment, String)>,
}

impl Picture {
    /// The VMs in this range of names, in order; ids tell equal names of several projects apart.
    pub fn by_name(&self, range: impl RangeBounds<(Box<str>, VmId)>) -> impl DoubleEndedIterator<Item = &Arc<Vm>> + '_ {
        self.by_name.range(range).filter_map(|(_, id)| self.vms.get(id))
    }

    /// The VMs in this range of moments of creation, in order.
    pub fn by_age(&self, range: impl RangeBounds<(Moment, VmId)>) -> impl DoubleEndedIterator<Item = &Arc<Vm>> + '_ {
        self.by_age.range(range).filter_map(|(_, id)| self.vms.get(id))
    }

    /// The VMs of this name, of whatever project.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<Vm>> + 'a {
        self.by_name((Box::from(name), VmId(uuid::Uuid::nil()))..).take_while(move |vm| vm.record.name == name)
    }

    fn insert(&mut self, vm: Arc<Vm>) -> Option<Arc<Vm>> {
        let id = vm.record.id;
        let (name, created_at) = (Box::from(vm.record.name.as_str()), vm.record.created_at);
        let before = self.vms.insert(id, vm);
        if let Some(before) = &before {
            self.forget_order(before, |old| old.name == *name && old.created_at == created_at);
        }
        self.by_name.insert((name, id));
        self.by_age.insert((created_at, id));
        before
    }

    fn remove(&mut self, id: VmId) -> Option<Arc<Vm>> {
        let last = self.vms.remove(&id)?;
        self.forget_order(&last, |_| false);
        Some(last)
    }

    /// Take a VM's places away, unless they are still its places.
    fn forget_order(&mut self, vm: &Vm, is_same: impl FnOnce(&VmRecord) -> bool) {
        let record = &vm.record;
        if !is_same(record) {
            self.by_name.remove(&(Box::from(record.name.as_str()), record.id));
            self.by_age.remove(&(record.created_at, record.id));
        }
    }
}

/// What a watcher hears.
#[derive(Debug, Clone)]
pub enum Change {
    Added(Arc<Vm>),
    Modified(Arc<Vm>),
    /// The last of it that was known, with the version of its going.
    Deleted(Arc<Vm>, u64),
}

impl Change {
    /// The picture's version of this change.
    #[must_use]
    pub fn version(&self) -> u64 {
        match self {
            Self::Added(vm) | Self::Modified(vm) => vm.version,
            Self::Deleted(_, version) => *version,
        }
    }

    /// The VM that changed.
    #[must_use]
    pub fn vm(&self) -> &Arc<Vm> {
        match self {
            Self::Added(vm) | Self::Modified(vm) | Self::Deleted(vm, _) => vm,
        }
    }
}

/// The picture and its watchers.
pub struct Inventory {
    current: ArcSwap<Picture>,
    writer: Mutex<()>,
    changes: broadcast::Sender<Change>,
    usage: ArcSwap<BTreeMap<VmId, Usage>>,
    /// When use was last measured; `None`: never yet.
    measured: watch::Sender<Option<Moment>>,
    read: ReadSpec,
}

impl Inventory {
    /// An empty picture; `read` reads definitions.
    #[must_use]
    pub fn new(read: ReadSpec) -> Self {
        Self {
            current: ArcSwap::default(),
            writer: Mutex::new(()),
            changes: broadcast::channel(WATCH_BUFFER).0,
            usage: ArcSwap::default(),
            measured: watch::Sender::new(None),
            read,
        }
    }

    /// The picture now.
    #[must_use]
    pub fn picture(&self) -> Arc<Picture> {
        self.current.load_full()
    }

    /// One VM.
    #[must_use]
    pub fn get(&self, id: VmId) -> Option<Arc<Vm>> {
        self.current.load().vms.get(&id).cloned()
    }

    /// The specification of a VM of this picture.
    #[must_use]
    pub fn spec(&self, vm: &Vm) -> Arc<VmSpec> {
        Arc::clone(vm.spec(&self.read))
    }

    /// How definitions are read.
    #[must_use]
    pub fn reader(&self) -> ReadSpec {
        Arc::clone(&self.read)
    }

    /// The picture and every change after it, with nothing between lost.
    #[must_use]
    pub fn watch(&self) -> (Arc<Picture>, broadcast::Receiver<Change>) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        (self.current.load_full(), self.changes.subscribe())
    }

    /// Measured use of the running VMs.
    #[must_use]
    pub fn usage(&self) -> Arc<BTreeMap<VmId, Usage>> {
        self.usage.load_full()
    }

    /// Replace the measured use.
    pub fn set_usage(&self, usage: BTreeMap<VmId, Usage>) {
        self.usage.store(Arc::new(usage));
        self.measured.send_replace(Some(Moment::now()));
    }

    /// When use was last measured, and each time that it is.
    #[must_use]
    pub fn measured(&self) -> watch::Receiver<Option<Moment>> {
        self.measured.subscribe()
    }

    /// Change many VMs in one step: `edit` sees the picture and says what becomes of which VM.
    /// Each change is a version of its own, published in order.
    pub fn write<T>(&self, edit: impl FnOnce(&Picture, &mut Edits) -> T) -> T {
        match self.try_write(|picture, edits| Ok::<T, std::convert::Infallible>(edit(picture, edits))) {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }

    /// As [`write`](Self::write); nothing changes where `edit` fails.
    ///
    /// # Errors
    /// `edit`'s own.
    pub fn try_write<T, E>(&self, edit: impl FnOnce(&Picture, &mut Edits) -> Result<T, E>) -> Result<T, E> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.current.load_full();
        let mut edits = Edits::default();
        let answer = edit(&now, &mut edits)?;
        if !edits.is_empty() {
            self.publish(&now, edits);
        }
        Ok(answer)
    }

    fn publish(&self, now: &Picture, edits: Edits) {
        let mut picture = now.clone();
        let mut told = Vec::with_capacity(edits.vms.len());
        if let Some(stale_since) = edits.stale_since {
            picture.stale_since = stale_since;
        }
        for (id, vm) in edits.vms {
            picture.version += 1;
            match vm {
                Some(mut vm) => {
                    vm.version = picture.version;
                    let vm = Arc::new(vm);
                    told.push(match picture.insert(Arc::clone(&vm)) {
                        Some(_) => Change::Modified(vm),
                        None => Change::Added(vm),
                    });
                }
                None => {
                    if let Some(last) = picture.remove(id) {
                        told.push(Change::Deleted(last, picture.version));
                    }
                }
            }
        }
        self.current.store(Arc::new(picture));
        for change in told {
            // No watcher is no error.
            let _ = self.changes.send(change);
        }
    }

    /// Change one VM that is known; `None` where it is not.
    pub fn edit<T>(&self, id: VmId, edit: impl FnOnce(&mut Vm) -> T) -> Option<T> {
        self.write(|picture, edits| {
            let mut vm = picture.vms.get(&id)?.edit();
            let answer = edit(&mut vm);
            edits.put(vm);
            Some(answer)
        })
    }
}

/// What a writer wants changed.
#[derive(Default)]
pub struct Edits {
    vms: Vec<(VmId, Option<Vm>)>,
    stale_since: Option<Option<(Moment, String)>>,
}

impl Edits {
    /// This VM is so from now on.
    pub fn put(&mut self, vm: Vm) {
        self.vms.push((vm.record.id, Some(vm)));
    }

    /// This VM is gone.
    pub fn remove(&mut self, id: VmId) {
        self.vms.push((id, None));
    }

    /// libvirt is away (since when and why), or back.
    pub fn stale(&mut self, since: Option<(Moment, String)>) {
        self.stale_since = Some(since);
    }

    fn is_empty(&self) -> bool {
        self.vms.is_empty() && self.stale_since.is_none()
    }
}
