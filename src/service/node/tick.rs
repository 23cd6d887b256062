//! The node's own clockwork: measure this host, judge its conditions, refresh its facts, keep its
//! heartbeat, and notice who has fallen silent. No request waits for any of it.
//!
//! What may hang (libvirt, a dead network mount) is looked at on a thread that is left behind when
//! it takes too long: the next tick uses what was last known, and starts no second look while the
//! first one hangs.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::hypervisor::{HostOffer, Hypervisor, NetworkInfo};
use crate::model::definition::{PoolFacts, VolumeRef};
use crate::model::event::{Event, Severity};
use crate::model::node::{NodeFacts, NodeLoad, NodeRecord};
use crate::model::vm::Moment;
use crate::store::BackupStatus;

use super::super::conditions::{self, BackupEvidence, Evidence, Filesystem, Turn};
use super::super::core::blocking;
use super::super::error::ServiceError;
use super::NodeService;
use super::heartbeat::KEEP_EVERY;
use super::machine::complete;
use super::view::NodeView;

/// How often nodes are looked after at all.
const TICK: Duration = Duration::from_secs(1);
/// How often this host is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// How often its facts are read.
const FACTS_EVERY: Duration = Duration::from_secs(60);
/// How long a look at what may hang is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is due when, and what was last seen.
#[derive(Default)]
pub(super) struct Looks {
    due: Mutex<Due>,
    asked: AtomicBool,
    wake: Notify,
    libvirt: Glimpse<LibvirtSight>,
    filesystems: Glimpse<Vec<Filesystem>>,
}

#[derive(Default)]
struct Due {
    measured: Option<Instant>,
    facts: Option<Instant>,
    kept: Option<Instant>,
    /// libvirt's words were in the facts when they were last read.
    with_offer: bool,
}

/// What libvirt says of the host.
#[derive(Debug, Clone)]
struct LibvirtSight {
    health: Result<(), String>,
    offer: Option<Arc<HostOffer>>,
    pools: Option<Vec<PoolFacts>>,
    networks: Option<Vec<NetworkInfo>>,
    /// Directories of the active pools, by their names.
    directories: Vec<(String, PathBuf)>,
}

/// A look at something that may hang: at most one at a time, and never waited for long.
struct Glimpse<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    /// Since when a look is under way.
    since: Mutex<Option<Instant>>,
    last: Mutex<Option<T>>,
}

impl<T> Default for Glimpse<T> {
    fn default() -> Self {
        Self { shared: Arc::new(Shared { since: Mutex::new(None), last: Mutex::new(None) }) }
    }
}

/// Ends a look, also one that panics.
struct Ending<T>(Arc<Shared<T>>);

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        *self.0.since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl<T: Clone + Send + 'static> Glimpse<T> {
    /// Look, and answer with what was seen last; beside it since when the present look hangs.
    async fn look(&self, work: impl FnOnce() -> T + Send + 'static) -> (Option<T>, Option<Instant>) {
        let begins = {
            let mut since = self.shared.since.lock().unwrap_or_else(PoisonError::into_inner);
            let free = since.is_none();
            if free {
                *since = Some(Instant::now());
            }
            free
        };
        if begins {
            let ending = Ending(Arc::clone(&self.shared));
            let job = tokio::task::spawn_blocking(move || {
                let seen = work();
                *ending.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
            });
            // Too late or panicked: what was last seen stands, and the time tells.
            let _ = tokio::time::timeout(PATIENCE, job).await;
        }
        let last = self.shared.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let since = *self.shared.since.lock().unwrap_or_else(PoisonError::into_inner);
        (last, since)
    }
}

impl NodeService {
    /// Look after the nodes until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut beat = tokio::time::interval(TICK);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = self.looks.wake.notified() => {}
                () = stop.cancelled() => break,
            }
            if let Err(error) = self.tick().await {
                tracing::error!(%error, "the nodes could not be looked after");
            }
        }
    }

    /// Measure and judge this host again at once: something about it has changed.
    pub fn look_again(&self) {
        self.looks.asked.store(true, Ordering::Release);
        self.looks.wake.notify_one();
    }

    /// Do what is due.
    ///
    /// # Errors
    /// The store's.
    pub async fn tick(self: &Arc<Self>) -> Result<(), ServiceError> {
        let now = Instant::now();
        let service = Arc::clone(self);
        blocking(move || service.mark_silent(now)).await?;
        let due = |last: Option<Instant>, every| last.is_none_or(|last| now.duration_since(last) >= every);
        let asked = self.looks.asked.swap(false, Ordering::AcqRel);
        let (measure, facts) = {
            let known = self.due();
            (asked || due(known.measured, MEASURE_EVERY), due(known.facts, FACTS_EVERY))
        };
        if measure {
            // Also where it fails: what cannot be kept is not tried at every beat.
            self.due().measured = Some(now);
            let offer = self.measure().await?;
            if facts || (offer.is_some() && !self.due().with_offer) {
                self.refresh_facts(offer.as_deref()).await?;
                let mut due = self.due();
                due.facts = Some(now);
                due.with_offer = offer.is_some();
            }
        }
        // Watchers hear of VMs that came and went.
        self.recount();
        Ok(())
    }

    fn due(&self) -> std::sync::MutexGuard<'_, Due> {
        self.looks.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Measure this host, judge its conditions, keep its heartbeat where that is due.
    async fn measure(self: &Arc<Self>) -> Result<Option<Arc<HostOffer>>, ServiceError> {
        let machine = Arc::clone(&self.machine);
        let (load, kvm_device, bridges) =
            blocking(move || (machine.load(), machine.kvm_device(), machine.bridges())).await;
        let libvirt = self.see_libvirt().await;
        let filesystems = self.see_filesystems(&libvirt.directories).await;
        let load = with_storage(load, &filesystems);
        let store = self.core.store.healthy().map_err(|error| error.to_string());
        let pools = libvirt.pools.clone();
        let evidence = Evidence {
            store,
            offer: libvirt.offer.as_deref().cloned(),
            libvirt: libvirt.health,
            kvm_device,
            load,
            filesystems,
            pools: libvirt.pools,
            networks: libvirt.networks,
            bridges,
            backup: backup_evidence(&self.core.store.backup_status()),
        };
        self.show(&evidence, pools);
        self.keep_heartbeat().await?;
        Ok(libvirt.offer)
    }

    fn show(&self, evidence: &Evidence, pools: Option<Vec<PoolFacts>>) {
        let now = Moment::now();
        let id = self.core.node_id;
        let (record, turns) = self
            .registry
            .write(|known, edits| {
                let known = known.nodes.get(&id)?;
                let mut node = NodeView::clone(known);
                let (conditions, turns) = conditions::merge(&node.conditions, conditions::judge(evidence), now);
                node.conditions = conditions;
                node.record.load = NodeLoad { running_vms: node.vm_running_count, ..evidence.load };
                node.record.last_heartbeat = now;
                if let Some(pools) = pools {
                    node.pools = pools;
                }
                let record = node.record.clone();
                edits.put(node);
                Some((record, turns))
            })
            .unzip();
        for turn in turns.into_iter().flatten() {
            if let Some(record) = &record {
                self.core.keep_later(None, Some(self.turned(record, &turn)));
            }
        }
    }

    /// The event of a condition that turned.
    pub(super) fn turned(&self, node: &NodeRecord, turn: &Turn) -> Event {
        let word = match turn.severity {
            Severity::Info => "is well again",
            Severity::Warning | Severity::Error => "needs attention",
        };
        Self::event(
            node.id,
            "node.condition",
            format!("{} of node \"{}\" {word}: {}", turn.kind.word(), node.hostname, turn.message),
            turn.severity,
            "system",
        )
    }

    /// Keep this host's load and time of report, seldom.
    async fn keep_heartbeat(self: &Arc<Self>) -> Result<(), ServiceError> {
        let now = Instant::now();
        if self.due().kept.is_some_and(|kept| now.duration_since(kept) < KEEP_EVERY) {
            return Ok(());
        }
        let node = self.registry.get(self.core.node_id)?;
        let store = self.core.store.clone();
        // A store that refuses writes is a condition, shown already; ticking goes on.
        let kept = blocking(move || {
            store.commit(|tx| tx.node_update_heartbeat(node.record.id, node.record.load, node.record.last_heartbeat))
        })
        .await;
        if let Err(error) = kept {
            tracing::warn!(%error, "this host's heartbeat could not be kept");
        }
        self.due().kept = Some(now);
        Ok(())
    }

    /// Read the facts again; what changed is kept and told.
    async fn refresh_facts(self: &Arc<Self>, offer: Option<&HostOffer>) -> Result<(), ServiceError> {
        let machine = Arc::clone(&self.machine);
        let facts: NodeFacts = blocking(move || machine.facts()).await;
        let mut facts = complete(facts, offer);
        self.change(self.core.node_id, None, move |node| {
            if facts.system.hypervisor.is_empty() {
                facts.system.hypervisor.clone_from(&node.record.facts.system.hypervisor);
                facts.system.hypervisor_version.clone_from(&node.record.facts.system.hypervisor_version);
            }
            node.record.facts = facts;
            Ok(None)
        })
        .await
        .map(drop)
    }

    async fn see_libvirt(&self) -> LibvirtSight {
        let hypervisor = Arc::clone(&self.core.hypervisor);
        let (last, hangs_since) = self.looks.libvirt.look(move || look_at_libvirt(hypervisor.as_ref())).await;
        let mut sight = last.unwrap_or_else(|| LibvirtSight {
            health: Err("libvirt has not answered yet".to_owned()),
            offer: None,
            pools: None,
            networks: None,
            directories: Vec::new(),
        });
        if let Some(since) = hangs_since {
            sight.health = Err(format!("libvirt has not answered for {} s", since.elapsed().as_secs()));
        }
        sight
    }

    async fn see_filesystems(&self, directories: &[(String, PathBuf)]) -> Vec<Filesystem> {
        let machine = Arc::clone(&self.machine);
        let mut wanted: Vec<(String, PathBuf)> =
            self.data_dir.iter().map(|path| (format!("the data directory {}", path.display()), path.clone())).collect();
        wanted.extend(
            directories
                .iter()
                .map(|(pool, path)| (format!("storage pool \"{pool}\" in {}", path.display()), path.clone())),
        );
        let (last, _) = self
            .looks
            .filesystems
            .look(move || wanted.into_iter().filter_map(|(what, path)| machine.filesystem(what, &path)).collect())
            .await;
        last.unwrap_or_default()
    }
}

/// What libvirt says of the host, in a handful of quick calls.
fn look_at_libvirt(hypervisor: &dyn Hypervisor) -> LibvirtSight {
    let health = hypervisor.health().map_err(|error| error.to_string());
    if health.is_err() {
        return LibvirtSight { health, offer: None, pools: None, networks: None, directories: Vec::new() };
    }
    let pools = hypervisor.pools().ok();
    let directories = pools
        .iter()
        .flatten()
        .filter(|pool| pool.active)
        .filter_map(|pool| {
            // Where a volume would lie tells where the pool lies.
            let at = VolumeRef { pool: pool.name.clone(), volume: "any".to_owned() };
            let path = hypervisor.volume_path(&at).ok()?;
            let directory = Path::new(&path).parent()?.to_owned();
            // Volume groups and the like have no file system of their own.
            (!directory.starts_with("/dev")).then(|| (pool.name.clone(), directory))
        })
        .collect();
    LibvirtSight { health, offer: hypervisor.offer().ok(), pools, networks: hypervisor.networks().ok(), directories }
}

/// Storage of a node: the file systems of its pools, each counted once.
fn with_storage(mut load: NodeLoad, filesystems: &[Filesystem]) -> NodeLoad {
    if filesystems.is_empty() {
        return load;
    }
    let mut counted = std::collections::HashSet::new();
    let (mut used, mut total) = (0_u64, 0_u64);
    for filesystem in filesystems {
        if counted.insert(filesystem.device) {
            used = used.saturating_add(filesystem.used_bytes);
            total = total.saturating_add(filesystem.total_bytes);
        }
    }
    load.storage_used_bytes = used;
    load.storage_total_bytes = total;
    load
}

/// Backups, as of now.
fn backup_evidence(status: &BackupStatus) -> BackupEvidence {
    match status {
        BackupStatus::NotKept => BackupEvidence::NotKept,
        BackupStatus::Kept { newest, failure } => BackupEvidence::Kept {
            age_seconds: newest.map(|at| Moment::now().seconds_since(at)),
            failure: failure.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_counted_once() {
        let on = |device, used| Filesystem { what: String::new(), device, used_bytes: used, total_bytes: 100 };
        let load = with_storage(NodeLoad::default(), &[on(1, 10), on(2, 20), on(1, 10)]);
        assert_eq!((load.storage_used_bytes, load.storage_total_bytes), (30, 200));
        let measured = NodeLoad { storage_used_bytes: 7, ..NodeLoad::default() };
        assert_eq!(with_storage(measured, &[]), measured);
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_left_behind_and_not_doubled() {
        let glimpse = Glimpse::<u32>::default();
        assert_eq!(glimpse.look(|| 1).await, (Some(1), None));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let begun = Instant::now();
        let (last, since) = glimpse
            .look(move || {
                // Ends when the test lets it, or is gone.
                let _ = held.recv();
                2
            })
            .await;
        assert_eq!(last, Some(1));
        assert!(since.is_some() && begun.elapsed() >= PATIENCE);
        // While it hangs no other look begins: this one would answer 3.
        assert_eq!(glimpse.look(|| 3).await.0, Some(1));
        drop(release);
        let deadline = Instant::now() + Duration::from_secs(10);
        while glimpse.shared.since.lock().expect("nothing panics holding it").is_some() {
            assert!(Instant::now() < deadline, "the look never ended");
            tokio::task::yield_now().await;
        }
        assert_eq!(*glimpse.shared.last.lock().expect("nothing panics holding it"), Some(2));
    }
}
