//! A serial port with its viewers: one stream of libvirt's a VM, however many look at it.
//!
//! ```text
//! libvirt's thread ──► ring (the last 256 KiB) ──► viewer, viewer, … each from its own position
//! viewer, viewer ──► a short queue ──► one write at a time
//! ```
//!
//! The port is never waited for by anyone: what it says goes into the ring at once, and a viewer that
//! falls behind by more than the ring holds is dropped. What is typed waits where the guest does not
//! read it, and with it only those who type. When the stream ends, the port is opened again: what
//! comes of that says why it ended (the VM is off; another program has the port) better than libvirt's
//! words do, and where it opens, nothing happened.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ring::Ring;
use super::{Over, is_there};
use crate::hypervisor::{self, HypervisorError, SerialHold, SerialPort, SerialSaid, SerialSink};
use crate::model::vm::PowerState;
use crate::service::core::blocking;

/// Bytes that a viewer is given at a time at most.
const CHUNK: usize = 16 << 10;
/// Pieces of input that wait for the guest.
const TYPED: usize = 16;
/// How long a port stays open after its last viewer.
pub(super) const LINGER: Duration = Duration::from_secs(10);
/// How long it is tried to find out why a stream ended.
const WHY_WITHIN: Duration = Duration::from_millis(800);
const WHY_AGAIN: Duration = Duration::from_millis(40);
/// Openings of a port whose stream ends at once, before that is told.
const REOPENINGS: u32 = 5;

/// Where a port comes from: the host, or a test. Blocks.
pub(super) trait Source: Send + Sync + 'static {
    fn open(&self, hold: SerialHold, sink: SerialSink) -> hypervisor::Result<Box<dyn SerialPort>>;
    /// The VM's state; `None`: it is gone.
    fn state(&self) -> hypervisor::Result<Option<PowerState>>;
    /// `VM "web-1"`.
    fn name(&self) -> String;
}

/// What viewers are told.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    end: u64,
    over: Option<Over>,
}

/// A port, as its viewers share it.
pub(super) struct Line {
    ring: Mutex<Ring>,
    told: watch::Sender<Told>,
    typed: mpsc::Sender<Bytes>,
    viewers: AtomicUsize,
    keep_until: Mutex<Instant>,
    changed: Notify,
    /// The port is closed and may be opened anew.
    pub closed: CancellationToken,
}

/// What keeps a line open.
pub(super) struct Driver {
    line: Arc<Line>,
    source: Arc<dyn Source>,
    port: Option<Arc<dyn SerialPort>>,
    typed: mpsc::Receiver<Bytes>,
    ended: mpsc::UnboundedReceiver<(u64, String)>,
    end: mpsc::UnboundedSender<(u64, String)>,
    /// Which opening it is.
    opening: u64,
    reopened: (Instant, u32),
}

/// Why a driver returns.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Returned {
    /// Nobody has looked for a while.
    Unwatched,
    Over(Over),
}

/// Open a port; what it says is numbered from `base` on.
///
/// # Errors
/// The source's.
pub(super) async fn open(
    source: Arc<dyn Source>,
    hold: SerialHold,
    base: u64,
) -> hypervisor::Result<(Arc<Line>, Driver)> {
    let (typed, waiting) = mpsc::channel(TYPED);
    let (end, ended) = mpsc::unbounded_channel();
    let now = Instant::now();
    let line = Arc::new(Line::new(base, typed));
    let mut driver = Driver {
        line: Arc::clone(&line),
        source,
        port: None,
        typed: waiting,
        ended,
        end,
        opening: 0,
        reopened: (now, 0),
    };
    driver.connect(hold).await?;
    Ok((line, driver))
}

impl Line {
    fn new(base: u64, typed: mpsc::Sender<Bytes>) -> Self {
        Self {
            ring: Mutex::new(Ring::at(base)),
            told: watch::channel(Told { end: base, over: None }).0,
            typed,
            viewers: AtomicUsize::new(0),
            keep_until: Mutex::new(Instant::now() + LINGER),
            changed: Notify::new(),
            closed: CancellationToken::new(),
        }
    }

    fn heard(&self, said: &[u8]) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.push(said);
        let end = ring.end();
        // Under the lock, so that positions never go back.
        self.told.send_modify(|told| told.end = end);
    }

    pub fn end(&self) -> u64 {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).end()
    }

    pub fn is_over(&self) -> bool {
        self.told.borrow().over.is_some()
    }

    pub fn is_watched(&self) -> bool {
        self.viewers.load(Ordering::Acquire) > 0 || self.keep_until() > Instant::now()
    }

    fn keep_until(&self) -> Instant {
        *self.keep_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stay open until then at least, viewers or not.
    pub fn keep(&self, time: Duration) {
        let mut until = self.keep_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = (*until).max(Instant::now() + time);
        drop(until);
        self.changed.notify_one();
    }

    /// Tell every viewer that it is over; what was said before is read first.
    pub fn tell_over(&self, over: Over) {
        self.told.send_modify(|told| told.over = Some(over));
    }

    /// One more viewer, from this position where that is still known, else from the oldest byte.
    pub fn viewer(self: &Arc<Self>, from: Option<u64>) -> Viewer {
        self.viewers.fetch_add(1, Ordering::AcqRel);
        let told = self.told.subscribe();
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let known = ring.start()..=ring.end();
        let next = from.filter(|from| known.contains(from)).unwrap_or(ring.start());
        drop(ring);
        Viewer { line: Arc::clone(self), told, next }
    }
}

impl Driver {
    async fn connect(&mut self, hold: SerialHold) -> hypervisor::Result<()> {
        self.opening += 1;
        let (line, end, opening) = (Arc::clone(&self.line), self.end.clone(), self.opening);
        let sink: SerialSink = Box::new(move |said| match said {
            SerialSaid::Bytes(bytes) => line.heard(bytes),
            SerialSaid::Ended(why) => {
                // Nobody hears it where the line is closed already.
                let _ = end.send((opening, why));
            }
        });
        let source = Arc::clone(&self.source);
        self.port = Some(Arc::from(blocking(move || source.open(hold, sink)).await?));
        Ok(())
    }

    /// Close the port, on a thread that may wait for libvirt.
    pub async fn disconnect(&mut self) {
        if let Some(port) = self.port.take() {
            blocking(move || drop(port)).await;
        }
    }

    /// Carry what is said and typed until nobody looks any more or it is over.
    pub async fn run(&mut self, stop: &CancellationToken) -> Returned {
        let mut writing: Option<tokio::task::JoinHandle<hypervisor::Result<()>>> = None;
        loop {
            let quiet = self.line.viewers.load(Ordering::Acquire) == 0;
            let until = self.line.keep_until();
            tokio::select! {
                () = stop.cancelled() => return Returned::Over(Over::ServerStops),
                Some((opening, why)) = self.ended.recv() => {
                    if opening == self.opening && let Some(over) = self.after_end(&why).await {
                        return Returned::Over(over);
                    }
                }
                written = async {
                    match writing.as_mut() {
                        Some(writing) => writing.await,
                        None => std::future::pending().await,
                    }
                } => {
                    writing = None;
                    // The stream's own end says so, too, and says why.
                    if let Ok(Err(error)) = written {
                        tracing::debug!(vm = self.source.name(), %error, "what was typed did not arrive");
                    }
                }
                Some(bytes) = self.typed.recv(), if writing.is_none() => {
                    if let Some(port) = self.port.clone() {
                        writing = Some(tokio::task::spawn_blocking(move || port.write(&bytes)));
                    }
                }
                () = self.line.changed.notified() => {}
                // A write that a guest does not take would outlive its line and keep the port.
                () = tokio::time::sleep_until(until), if quiet && writing.is_none() => return Returned::Unwatched,
            }
        }
    }

    /// The stream has ended: why; `None`: it is open again.
    async fn after_end(&mut self, why: &str) -> Option<Over> {
        self.disconnect().await;
        let now = Instant::now();
        if now.duration_since(self.reopened.0) > WHY_WITHIN * 2 {
            self.reopened = (now, 0);
        }
        let name = self.source.name();
        loop {
            let source = Arc::clone(&self.source);
            let failed = match blocking(move || source.state()).await {
                Ok(state) if !state.is_some_and(is_there) => return Some(Over::stopped(&name, state)),
                Ok(_) if self.reopened.1 >= REOPENINGS => why.to_owned(),
                Ok(_) => match self.connect(SerialHold::IfFree).await {
                    Ok(()) => {
                        self.reopened.1 += 1;
                        return None;
                    }
                    Err(HypervisorError::InUse(_)) => {
                        return Some(Over::TakenOver(format!(
                            "another program has taken the serial port of {name} over"
                        )));
                    }
                    Err(error) => error.to_string(),
                },
                Err(error) => error.to_string(),
            };
            if now.elapsed() >= WHY_WITHIN {
                return Some(Over::Lost(format!("the serial port of {name} cannot be read any more: {failed}")));
            }
            tokio::time::sleep(WHY_AGAIN).await;
        }
    }
}

/// Somebody who looks at a port.
pub struct Viewer {
    line: Arc<Line>,
    told: watch::Receiver<Told>,
    next: u64,
}

impl Viewer {
    /// Position of the next byte.
    #[must_use]
    pub fn from(&self) -> u64 {
        self.next
    }

    /// What the port says next, in pieces of bounded size. Nothing is lost where the future is dropped.
    ///
    /// # Errors
    /// Why there is no more, once everything was read.
    pub async fn read(&mut self) -> Result<Bytes, Over> {
        loop {
            let Told { end, over } = self.told.borrow_and_update().clone();
            if end > self.next {
                let read = self.line.ring.lock().unwrap_or_else(PoisonError::into_inner).read(self.next, CHUNK);
                let Some(bytes) = read else { return Err(Over::TooSlow) };
                self.next += bytes.len() as u64;
                return Ok(bytes);
            }
            if let Some(over) = over {
                return Err(over);
            }
            if self.told.changed().await.is_err() {
                return Err(Over::ServerStops);
            }
        }
    }

    /// Where what is typed goes; waits while the guest does not read.
    #[must_use]
    pub fn typing(&self) -> mpsc::Sender<Bytes> {
        self.line.typed.clone()
    }
}

#[cfg(test)]
impl Viewer {
    /// Of a port that says nothing.
    pub(crate) fn of_silence() -> Self {
        Arc::new(Line::new(0, mpsc::channel(TYPED).0)).viewer(None)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        if self.line.viewers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.line.keep(LINGER);
        }
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
