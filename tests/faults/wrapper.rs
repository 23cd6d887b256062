//! The one wrapper that is allowed: the real hypervisor, with a fault at one chosen effect.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use quantixkvm::hypervisor::{
    Addresses, AgentChannel, Consoles, GuestRequest, HostOffer, Hypervisor, HypervisorError, MediaSide, NetworkInfo,
    Notice, Picture, Result, SerialHold, SerialPort, SerialSink, StartFrom, Undefine,
};
use quantixkvm::model::definition::{
    Belongings, DefinitionText, NewVolume, PoolFacts, ShownDefinition, VmDefinition, VmIdentity, VolumeFacts, VolumeRef,
};
use quantixkvm::model::id::VmId;
use quantixkvm::model::spec::VmSpec;
use quantixkvm::model::vm::{Autostart, DescribedVm, Lifetime, ListedVm, VmCounters};

/// What goes wrong at the chosen effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It is refused before it happened.
    Fails,
    /// It happens, and its answer is lost with the connection.
    FailsAfter,
    /// It and every effect after it happen twice: a step, or an undo, that is repeated.
    Twice,
    /// It is refused, and every effect after it, which is the undoing, happens twice.
    FailsThenUndoneTwice,
    /// It happens, and the VM is started at once: by another's hand, or late, by a call of a process
    /// that was killed. Of powering off alone.
    StartedAfter,
    /// The process is killed just before it: it never happens, and nobody hears of it.
    KilledBefore,
    /// The process is killed just after it.
    KilledAfter,
}

/// When which fault happens.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub fault: Fault,
    /// Effects before it.
    pub at: usize,
}

type Sink = Arc<dyn Fn(Notice) + Send + Sync>;

/// The real hypervisor behind a fault. It outlives the service that it is killed under.
pub struct Faulty {
    inner: Arc<dyn Hypervisor>,
    plan: Mutex<Plan>,
    effects: AtomicUsize,
    /// What was done, for messages and for counting the steps.
    log: Mutex<Vec<&'static str>>,
    killed: tokio::sync::watch::Sender<bool>,
    sink: Mutex<Option<Sink>>,
    ended: std::sync::atomic::AtomicBool,
}

impl Faulty {
    pub fn new(inner: Arc<dyn Hypervisor>) -> Arc<Self> {
        let faulty = Arc::new(Self {
            inner,
            plan: Mutex::new(Plan { fault: Fault::None, at: 0 }),
            effects: AtomicUsize::new(0),
            log: Mutex::default(),
            killed: tokio::sync::watch::channel(false).0,
            sink: Mutex::default(),
            ended: std::sync::atomic::AtomicBool::new(false),
        });
        let told = Arc::downgrade(&faulty);
        faulty.inner.run(Box::new(move |notice| {
            let sink = told.upgrade().and_then(|faulty| faulty.sink.lock().expect("the sink").clone());
            if let Some(sink) = sink {
                sink(notice);
            }
        }));
        faulty
    }

    /// From now on.
    pub fn plan(&self, plan: Plan) {
        *self.plan.lock().expect("the plan") = plan;
        self.effects.store(0, Ordering::SeqCst);
        self.log.lock().expect("the log").clear();
        self.killed.send_replace(false);
    }

    pub fn effects(&self) -> Vec<&'static str> {
        self.log.lock().expect("the log").clone()
    }

    /// Resolves when the process would have died.
    pub async fn killed(&self) {
        let mut killed = self.killed.subscribe();
        let _ = killed.wait_for(|killed| *killed).await;
    }

    /// Hear notices as a process that has just started does.
    pub fn listen(&self, sink: Sink) {
        *self.sink.lock().expect("the sink") = Some(Arc::clone(&sink));
        sink(Notice::Connected);
    }

    /// Threads that died in here may go.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    pub fn deafen(&self) {
        *self.sink.lock().expect("the sink") = None;
    }

    /// A thread of a process that is dead does nothing any more.
    fn die(&self) -> ! {
        self.killed.send_replace(true);
        while !self.ended.load(Ordering::SeqCst) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        std::panic::panic_any("the test has ended, and its dead threads with it");
    }

    fn effect<T>(&self, name: &'static str, act: impl Fn(&dyn Hypervisor) -> Result<T>) -> Result<T> {
        if *self.killed.borrow() {
            self.die();
        }
        let plan = *self.plan.lock().expect("the plan");
        let number = self.effects.fetch_add(1, Ordering::SeqCst);
        self.log.lock().expect("the log").push(name);
        let act = || act(self.inner.as_ref());
        let refused = || Err(HypervisorError::Failed(format!("{name} was made to fail")));
        if number < plan.at {
            return act();
        }
        let here = number == plan.at;
        match plan.fault {
            Fault::None => act(),
            Fault::Fails if here => refused(),
            Fault::FailsAfter if here => {
                act()?;
                Err(HypervisorError::Failed(format!("the answer to {name} was lost")))
            }
            Fault::FailsThenUndoneTwice if here => refused(),
            Fault::Twice | Fault::FailsThenUndoneTwice => {
                act()?;
                act()
            }
            Fault::KilledBefore if here => self.die(),
            Fault::KilledAfter if here => {
                let _ = act();
                self.die()
            }
            Fault::Fails | Fault::FailsAfter | Fault::StartedAfter | Fault::KilledBefore | Fault::KilledAfter => act(),
        }
    }
}

impl Hypervisor for Faulty {
    fn run(&self, sink: Box<dyn Fn(Notice) + Send + Sync>) {
        self.listen(Arc::from(sink));
    }
    fn close(&self) {}
    fn health(&self) -> Result<()> {
        self.inner.health()
    }
    fn offer(&self) -> Result<Arc<HostOffer>> {
        self.inner.offer()
    }
    fn list(&self) -> Result<Vec<ListedVm>> {
        self.inner.list()
    }
    fn look(&self, id: VmId) -> Result<Option<ListedVm>> {
        self.inner.look(id)
    }
    fn describe(&self, id: VmId) -> Result<Option<DescribedVm>> {
        self.inner.describe(id)
    }
    fn show(&self, id: VmId) -> Result<Option<ShownDefinition>> {
        self.inner.show(id)
    }
    fn redact(&self, text: &DefinitionText) -> Result<String> {
        self.inner.redact(text)
    }
    fn belongings(&self, id: VmId) -> Result<Option<Belongings>> {
        self.inner.belongings(id)
    }
    fn read(&self, text: &DefinitionText) -> Result<VmSpec> {
        self.inner.read(text)
    }
    fn leases(&self) -> Result<HashMap<String, Addresses>> {
        self.inner.leases()
    }
    fn networks(&self) -> Result<Vec<NetworkInfo>> {
        self.inner.networks()
    }
    fn render(&self, definition: &VmDefinition) -> Result<DefinitionText> {
        self.inner.render(definition)
    }
    fn edit(&self, current: &DefinitionText, spec: &VmSpec, identity: Option<&VmIdentity>) -> Result<DefinitionText> {
        self.inner.edit(current, spec, identity)
    }
    fn define(&self, id: VmId, text: &DefinitionText) -> Result<()> {
        self.effect("define", |inner| inner.define(id, text))
    }
    fn tag(&self, id: VmId, identity: Option<&VmIdentity>, lifetime: Lifetime) -> Result<()> {
        self.inner.tag(id, identity, lifetime)
    }
    fn rename(&self, id: VmId, hypervisor_name: &str) -> Result<()> {
        self.inner.rename(id, hypervisor_name)
    }
    fn set_autostart(&self, id: VmId, autostart: Autostart) -> Result<()> {
        self.effect("set_autostart", |inner| inner.set_autostart(id, autostart))
    }
    fn undefine(&self, id: VmId, what: Undefine) -> Result<()> {
        self.effect("undefine", |inner| inner.undefine(id, what))
    }
    fn start(&self, id: VmId, from: StartFrom) -> Result<()> {
        self.effect("start", |inner| inner.start(id, from))
    }
    fn power_off(&self, id: VmId) -> Result<()> {
        let plan = *self.plan.lock().expect("the plan");
        let here = plan.fault == Fault::StartedAfter && self.effects.load(Ordering::SeqCst) == plan.at;
        self.effect("power_off", |inner| inner.power_off(id))?;
        if here { self.inner.start(id, StartFrom::SavedOrBoot) } else { Ok(()) }
    }
    fn request_shutdown(&self, id: VmId, by: GuestRequest) -> Result<()> {
        self.inner.request_shutdown(id, by)
    }
    fn request_reboot(&self, id: VmId, by: GuestRequest) -> Result<()> {
        self.inner.request_reboot(id, by)
    }
    fn reset(&self, id: VmId) -> Result<()> {
        self.inner.reset(id)
    }
    fn pause(&self, id: VmId) -> Result<()> {
        self.inner.pause(id)
    }
    fn resume(&self, id: VmId) -> Result<()> {
        self.inner.resume(id)
    }
    fn wake(&self, id: VmId) -> Result<()> {
        self.inner.wake(id)
    }
    fn save(&self, id: VmId, progress: &dyn Fn(u8)) -> Result<()> {
        self.inner.save(id, progress)
    }
    fn drop_saved(&self, id: VmId) -> Result<()> {
        self.effect("drop_saved", |inner| inner.drop_saved(id))
    }
    fn apply_live(&self, id: VmId, spec: &VmSpec) -> Result<()> {
        self.inner.apply_live(id, spec)
    }
    fn agent_channel(&self, id: VmId) -> Result<AgentChannel> {
        self.inner.agent_channel(id)
    }
    fn agent_addresses(&self, id: VmId) -> Result<Addresses> {
        self.inner.agent_addresses(id)
    }
    fn consoles(&self, id: VmId) -> Result<Consoles> {
        self.inner.consoles(id)
    }
    fn open_vnc(&self, id: VmId, place: u32) -> Result<std::os::unix::net::UnixStream> {
        self.inner.open_vnc(id, place)
    }
    fn open_serial(&self, id: VmId, hold: SerialHold, sink: SerialSink) -> Result<Box<dyn SerialPort>> {
        self.inner.open_serial(id, hold, sink)
    }
    fn screenshot(&self, id: VmId) -> Result<Picture> {
        self.inner.screenshot(id)
    }
    fn send_keys(&self, id: VmId, codes: &[u16], hold: std::time::Duration) -> Result<()> {
        self.inner.send_keys(id, codes, hold)
    }
    fn change_media(&self, id: VmId, drive: &str, path: Option<&str>, side: MediaSide) -> Result<bool> {
        let name = match side {
            MediaSide::Running(_) => "change_media of what runs",
            MediaSide::Defined => "change_media of the definition",
        };
        self.effect(name, |inner| inner.change_media(id, drive, path, side))
    }
    fn counters(&self) -> Result<HashMap<VmId, VmCounters>> {
        self.inner.counters()
    }
    fn pool(&self, pool: &str) -> Result<PoolFacts> {
        self.inner.pool(pool)
    }
    fn pool_look(&self, pool: &str) -> Result<Option<PoolFacts>> {
        self.inner.pool_look(pool)
    }
    fn pools(&self) -> Result<Vec<PoolFacts>> {
        self.inner.pools()
    }
    fn volume_path(&self, at: &VolumeRef) -> Result<String> {
        self.inner.volume_path(at)
    }
    fn volume_create(&self, volume: &NewVolume) -> Result<VolumeFacts> {
        self.effect("volume_create", |inner| inner.volume_create(volume))
    }
    fn volume(&self, at: &VolumeRef) -> Result<Option<VolumeFacts>> {
        self.inner.volume(at)
    }
    fn volumes(&self, pool: &str) -> Result<Vec<VolumeFacts>> {
        self.inner.volumes(pool)
    }
    fn volume_by_path(&self, path: &str) -> Result<Option<VolumeFacts>> {
        self.inner.volume_by_path(path)
    }
    fn volume_delete(&self, at: &VolumeRef) -> Result<()> {
        self.effect("volume_delete", |inner| inner.volume_delete(at))
    }
}
