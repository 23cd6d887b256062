//! The connections to libvirtd: one that carries events and the calls that never ask QEMU, one
//! that only pings, and a small pool for the calls that may hang with a hung QEMU. A connection
//! that broke never comes back; all are opened anew, with backoff, for ever.
//!
//! A pooled connection carries one call at a time. libvirt's client lets one thread read for all;
//! while that thread's own call hangs, answers to the others are read only when something else
//! happens on the connection (measured with 9.0: up to two seconds late, each time). And libvirtd
//! serves five calls of a client at most: a sixth behind five hung ones would wait for ever.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use virt::connect::Connect;
use virt::error::Error;

use super::error;
use super::ffi::{self, EventSink, RawEvent, Registered};
use super::sockets;
use crate::hypervisor::{AgentChannel, HypervisorError, Notice, Result};
use crate::model::id::VmId;

/// The directory of managed saves of the system's libvirt.
const SAVED: &str = "/var/lib/libvirt/qemu/save";
/// Pooled connections, and so calls in flight, at most. libvirtd has 20 workers for them.
const CONNECTIONS: usize = 32;
/// Pooled connections that are kept open while nothing is asked.
const KEPT: usize = 4;
const PING_EVERY: Duration = Duration::from_secs(1);
/// Without an answer for this long, libvirtd is hung.
const HUNG_AFTER: Duration = Duration::from_secs(3);
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_MOST: Duration = Duration::from_secs(1);
/// How long a close waits for the connections to be gone; a hung libvirtd keeps nobody.
const CLOSED_WITHIN: Duration = Duration::from_millis(60);

/// Calls made, by class: tests prove with it that a list asks nothing.
#[derive(Debug, Default)]
pub struct Calls {
    pub quick: AtomicU64,
    pub asking: AtomicU64,
}

/// How things stand with libvirtd.
struct State {
    /// The connection for events and quick calls, while it is thought good.
    quick: Option<Connect>,
    /// What was registered on it; it outlives `quick` while libvirtd hangs.
    events: Option<(Connect, Registered)>,
    /// Why there is none.
    why: String,
    /// A ping is out since.
    ping_since: Option<Instant>,
    /// Grows with each set of connections.
    generation: u64,
    /// Pooled connections without a call.
    idle: Vec<Connect>,
    /// Pooled connections with one.
    busy: usize,
    /// A pooled connection is being opened.
    opening: bool,
    /// How many were opened or tried, and why the last could not be.
    tries: u64,
    refused: Option<(u64, HypervisorError)>,
}

/// Whether it was said already that the connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Already,
    NotYet,
}

/// The link to one libvirtd.
pub(super) struct Link {
    uri: String,
    state: Mutex<State>,
    /// Woken when a pooled call ends, the connection breaks, or the link closes.
    changed: Condvar,
    broken: AtomicBool,
    closed: AtomicBool,
    /// Threads that hold or close connections.
    threads: AtomicUsize,
    no_space: Mutex<HashSet<VmId>>,
    /// `Connected` was said: what comes before it is covered by the listing that follows it.
    announced: Mutex<bool>,
    pub calls: Calls,
}

static EVENT_LOOP: Once = Once::new();

/// libvirt's own event loop: registered before the first connection, run for ever.
fn start_event_loop() {
    EVENT_LOOP.call_once(|| {
        ffi::silence();
        if virt::event::event_register_default_impl().is_err() {
            tracing::error!("libvirt's event loop could not be registered");
            return;
        }
        let looped = std::thread::Builder::new().name("libvirt-events".to_owned()).spawn(|| {
            loop {
                if virt::event::event_run_default_impl().is_err() {
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        });
        if let Err(error) = looped {
            tracing::error!(%error, "libvirt's event loop could not be started");
        }
    });
}

impl Link {
    pub fn new(uri: String) -> Self {
        Self {
            uri,
            state: Mutex::new(State {
                quick: None,
                events: None,
                why: "not connected yet".to_owned(),
                ping_since: None,
                generation: 0,
                idle: Vec::new(),
                busy: 0,
                opening: false,
                tries: 0,
                refused: None,
            }),
            changed: Condvar::new(),
            broken: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            threads: AtomicUsize::new(0),
            no_space: Mutex::default(),
            announced: Mutex::new(false),
            calls: Calls::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A `test:` URI: every connection to it is another world, so there is one.
    pub fn is_test(&self) -> bool {
        self.uri.starts_with("test:")
    }

    /// Where the system's libvirt keeps the memory of a VM that was saved: no call of it says so.
    pub fn saved_memory_path(&self, hypervisor_name: &str) -> Option<String> {
        let is_system = self.uri.starts_with("qemu") && self.uri.contains(":///system");
        (is_system && !hypervisor_name.contains('/')).then(|| format!("{SAVED}/{hypervisor_name}.save"))
    }

    pub fn uri(&self) -> &str {
        &self.uri
    }

    pub fn generation(&self) -> u64 {
        self.state().generation
    }

    pub fn ran_out_of_space(&self, id: VmId) -> bool {
        self.no_space.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    fn up(&self) -> Result<(Connect, u64)> {
        let state = self.state();
        match &state.quick {
            Some(connect) => Ok((connect.clone(), state.generation)),
            None => Err(HypervisorError::Unreachable(state.why.clone())),
        }
    }

    /// Whether libvirtd answers.
    pub fn health(&self) -> Result<()> {
        self.up().map(drop)
    }

    /// A call that never asks QEMU.
    pub fn quick<T>(
        &self,
        vm: Option<VmId>,
        call: impl FnOnce(&Connect) -> std::result::Result<T, Error>,
    ) -> Result<T> {
        self.calls.quick.fetch_add(1, Ordering::Relaxed);
        let (connect, generation) = self.up()?;
        call(&connect).map_err(|error| self.failed((&connect, generation), &error, vm))
    }

    /// A call that may hang with a hung QEMU.
    pub fn asking<T>(
        self: &Arc<Self>,
        vm: Option<VmId>,
        call: impl FnOnce(&Connect) -> std::result::Result<T, Error>,
    ) -> Result<T> {
        if self.is_test() {
            return self.quick(vm, call);
        }
        self.calls.asking.fetch_add(1, Ordering::Relaxed);
        let (connect, generation) = self.checkout()?;
        let answer = call(&connect);
        let answer = answer.map_err(|error| self.failed((&connect, generation), &error, vm));
        self.checkin(connect, generation);
        answer
    }

    /// A connection that is of no use any more ends its whole set, but not the set that came after.
    fn failed(&self, (connect, generation): (&Connect, u64), failure: &Error, vm: Option<VmId>) -> HypervisorError {
        if !error::is_of_the_link(failure) || connect.is_alive().unwrap_or(false) {
            return error::map(failure, vm);
        }
        let state = self.state();
        if state.generation == generation {
            self.broken.store(true, Ordering::Release);
            self.changed.notify_all();
        }
        HypervisorError::Unreachable(failure.message().to_owned())
    }

    /// A pooled connection of its own for one call; waits where there is none. Another thread
    /// opens one: no caller waits on a libvirtd that takes connections and does not answer. With
    /// it the generation to which it belongs.
    fn checkout(self: &Arc<Self>) -> Result<(Connect, u64)> {
        let mut state = self.state();
        let begun = state.tries;
        loop {
            if state.quick.is_none() {
                return Err(HypervisorError::Unreachable(state.why.clone()));
            }
            let generation = state.generation;
            if let Some(connect) = state.idle.pop() {
                state.busy += 1;
                return Ok((connect, generation));
            }
            if let Some((tried, error)) = &state.refused
                && *tried > begun
            {
                return Err(error.clone());
            }
            if state.busy < CONNECTIONS && !state.opening {
                state.opening = true;
                let link = Arc::clone(self);
                let opener = std::thread::Builder::new().name("libvirt-open".to_owned());
                if let Err(error) = opener.spawn(move || link.open_pooled(generation)) {
                    state.opening = false;
                    return Err(HypervisorError::Failed(format!("no thread could be started: {error}")));
                }
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn open_pooled(&self, generation: u64) {
        let opened = open(&self.uri);
        let mut state = self.state();
        if state.generation == generation {
            state.opening = false;
            state.tries += 1;
            match opened {
                Ok(connect) => state.idle.push(connect),
                Err(error) => state.refused = Some((state.tries, error::map(&error, None))),
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    fn checkin(&self, connect: Connect, generation: u64) {
        // Closed behind the lock, where it is one too many.
        drop(self.put_back(connect, generation));
    }

    /// One call fewer; answers with the connection where it is not kept.
    fn put_back(&self, connect: Connect, generation: u64) -> Option<Connect> {
        let mut state = self.state();
        let mut surplus = Some(connect);
        if state.generation == generation {
            state.busy -= 1;
            if state.idle.len() < KEPT {
                state.idle.extend(surplus.take());
            }
        }
        drop(state);
        self.changed.notify_all();
        surplus
    }

    /// Connect, ping, reconnect, until closed. Runs on a thread of its own.
    pub fn run(self: Arc<Self>, sink: Arc<dyn Fn(Notice) + Send + Sync>) {
        self.threads.fetch_add(1, Ordering::AcqRel);
        self.follow(sink);
        self.thread_ended();
    }

    fn follow(self: &Arc<Self>, sink: Arc<dyn Fn(Notice) + Send + Sync>) {
        start_event_loop();
        let watcher = Arc::clone(self);
        let told = Arc::clone(&sink);
        let watching = std::thread::Builder::new()
            .name("libvirt-watch".to_owned())
            .spawn(move || watcher.watch_pings(told.as_ref()));
        if let Err(error) = watching {
            tracing::error!(%error, "a hung libvirtd will not be noticed");
        }
        let mut backoff = BACKOFF_FIRST;
        while !self.closed.load(Ordering::Acquire) {
            match self.connect(&sink) {
                Ok(ping) => {
                    backoff = BACKOFF_FIRST;
                    {
                        // An event of this moment waits, and is told after.
                        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
                        sink(Notice::Connected);
                        *announced = true;
                    }
                    let why = self.hold(ping.as_ref());
                    if self.tear_down(&why, ping) == Told::NotYet {
                        sink(Notice::Disconnected(why));
                    }
                }
                Err(error) => {
                    let why = error.message().to_owned();
                    let first = {
                        let mut state = self.state();
                        let first = state.why != why;
                        state.why.clone_from(&why);
                        first
                    };
                    if first {
                        sink(Notice::Disconnected(why));
                    }
                    self.sleep(backoff);
                    backoff = (backoff * 2).min(BACKOFF_MOST);
                }
            }
        }
        self.tear_down("the service is stopping", None);
    }

    /// End all connections and threads.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.broken.store(true, Ordering::Release);
        self.changed.notify_all();
        // A process that ends while libvirt closes a connection may crash in its last moment.
        let deadline = Instant::now() + CLOSED_WITHIN;
        let mut state = self.state();
        while self.threads.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
            state = match self.changed.wait_timeout(state, Duration::from_millis(5)) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn thread_ended(&self) {
        self.threads.fetch_sub(1, Ordering::AcqRel);
        self.changed.notify_all();
    }

    fn sleep(&self, time: Duration) {
        let state = self.state();
        if !self.closed.load(Ordering::Acquire) {
            let _ = self.changed.wait_timeout(state, time);
        }
    }

    /// Open the connection for events and quick calls, and, but for tests, the one for pings.
    fn connect(
        self: &Arc<Self>,
        sink: &Arc<dyn Fn(Notice) + Send + Sync>,
    ) -> std::result::Result<Option<Connect>, Error> {
        let quick = open(&self.uri)?;
        self.broken.store(false, Ordering::Release);
        let link = Arc::downgrade(self);
        let told = Arc::clone(sink);
        let events: EventSink = Arc::new(move |event| {
            if let Some(link) = link.upgrade() {
                link.heard(event, &|notice| {
                    if *link.announced.lock().unwrap_or_else(PoisonError::into_inner) {
                        told(notice);
                    }
                });
            }
        });
        let registered = ffi::register(&quick, &events)?;
        let others =
            if self.is_test() { Ok(None) } else { open(&self.uri).and_then(|ping| Ok(Some((ping, open(&self.uri)?)))) };
        let others = match others {
            Ok(others) => others,
            Err(error) => {
                registered.unregister(&quick);
                return Err(error);
            }
        };
        let mut state = self.state();
        state.generation += 1;
        state.busy = 0;
        state.opening = false;
        state.refused = None;
        state.ping_since = None;
        state.events = Some((quick.clone(), registered));
        state.quick = Some(quick);
        let (ping, pooled) = others.unzip();
        state.idle = pooled.into_iter().collect();
        Ok(ping)
    }

    /// Ping until the connection breaks; answers with why.
    fn hold(&self, ping: Option<&Connect>) -> String {
        loop {
            let waited = {
                let state = self.state();
                if self.broken.load(Ordering::Acquire) {
                    return "the connection to libvirtd was closed".to_owned();
                }
                self.changed.wait_timeout(state, PING_EVERY).map_or(true, |(_, timeout)| timeout.timed_out())
            };
            if self.broken.load(Ordering::Acquire) {
                return "the connection to libvirtd was closed".to_owned();
            }
            let Some(ping) = ping else { continue };
            if !waited {
                continue;
            }
            self.state().ping_since = Some(Instant::now());
            let answer = ping.lib_version();
            let was_hung = {
                let mut state = self.state();
                state.ping_since = None;
                state.quick.is_none()
            };
            match answer {
                // Hung, and back: what happened meanwhile is looked at anew on new connections.
                Ok(_) if was_hung => return "libvirtd did not answer for a while".to_owned(),
                Ok(_) => {}
                Err(error) => return error.message().to_owned(),
            }
        }
    }

    /// A ping that is out for too long: libvirtd is hung. Calls fail at once from then on.
    fn watch_pings(&self, sink: &(dyn Fn(Notice) + Send + Sync)) {
        while !self.closed.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(250));
            let hung = {
                let mut state = self.state();
                let hung = state.ping_since.is_some_and(|since| since.elapsed() >= HUNG_AFTER) && state.quick.is_some();
                if hung {
                    state.quick = None;
                    format!("libvirtd has not answered for {} s", HUNG_AFTER.as_secs()).clone_into(&mut state.why);
                }
                hung.then(|| state.why.clone())
            };
            if let Some(why) = hung {
                self.changed.notify_all();
                sink(Notice::Disconnected(why));
                sockets::cut(&self.uri);
            }
        }
    }

    /// Give the connections up.
    fn tear_down(self: &Arc<Self>, why: &str, ping: Option<Connect>) -> Told {
        let (quick, events, pool) = {
            let mut state = self.state();
            why.clone_into(&mut state.why);
            state.generation += 1;
            state.busy = 0;
            (state.quick.take(), state.events.take(), std::mem::take(&mut state.idle))
        };
        *self.announced.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.changed.notify_all();
        let told = if quick.is_some() { Told::NotYet } else { Told::Already };
        // Closing may talk to a dead or hung daemon: not under the lock, and not on this thread.
        self.threads.fetch_add(1, Ordering::AcqRel);
        let link = Arc::clone(self);
        let closer = std::thread::Builder::new().name("libvirt-close".to_owned()).spawn(move || {
            if let Some((connect, registered)) = events {
                registered.unregister(&connect);
            }
            drop((quick, pool, ping));
            link.thread_ended();
        });
        if closer.is_err() {
            self.thread_ended();
        }
        told
    }

    fn heard(&self, event: RawEvent, sink: &(dyn Fn(Notice) + Send + Sync)) {
        let no_space = || self.no_space.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            // Defined, undefined; the rest are changes of state.
            RawEvent::Lifecycle { id, event: 0 } => sink(Notice::DefinitionChanged(id)),
            RawEvent::Lifecycle { id, event: 1 } => sink(Notice::Undefined(id)),
            RawEvent::Lifecycle { id, event } => {
                // Resumed, started or stopped: whatever was full is no longer what stops it.
                if matches!(event, 2 | 4 | 5) {
                    no_space().remove(&id);
                }
                sink(Notice::LifeChanged(id));
            }
            RawEvent::Reboot(id) => sink(Notice::Rebooted(id)),
            RawEvent::DefinitionOrDevices(id) => sink(Notice::DefinitionChanged(id)),
            RawEvent::Agent { id, state } => sink(Notice::AgentChanged(
                id,
                if state == 1 { AgentChannel::Connected } else { AgentChannel::Disconnected },
            )),
            RawEvent::IoError { id, no_space: full } => {
                if full {
                    no_space().insert(id);
                }
                sink(Notice::LifeChanged(id));
            }
            RawEvent::StateMayHaveChanged(id) => sink(Notice::LifeChanged(id)),
            RawEvent::Network => sink(Notice::NetworkChanged),
            RawEvent::Closed { reason } => {
                tracing::info!(reason, "libvirt closed the connection");
                self.broken.store(true, Ordering::Release);
                self.changed.notify_all();
            }
        }
    }
}

/// A connection, with libvirt's event loop running for it.
pub(super) fn open(uri: &str) -> std::result::Result<Connect, Error> {
    start_event_loop();
    let connect = Connect::open(Some(uri))?;
    if !uri.starts_with("test:") {
        // For a daemon that is gone without a word, far away; the ping is quicker.
        let _ = connect.set_keep_alive(5, 3);
    }
    Ok(connect)
}
