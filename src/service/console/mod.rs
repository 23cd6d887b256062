//! Consoles: who may open one, and what flows through it. A browser cannot send a header of ours with
//! a WebSocket, so an RPC gives a ticket and the WebSocket brings it back. Nothing here knows HTTP.
//!
//! ```text
//! grant ──► ticket ──► admit ──► vnc: QEMU's own socket, a pipe
//!                            └─► serial: a viewer of the VM's one line (`line`)
//! ```

mod line;
mod ring;
mod ticket;
mod turns;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::hypervisor::{self, Hypervisor, HypervisorError, SerialPort, SerialSink};
use crate::model::id::VmId;
use crate::model::operation::Verb;
use crate::model::vm::{Activity, Moment, PowerState};

use super::auth::{Principal, SIGNED_OUT};
use super::core::Core;
use super::error::ServiceError;
use super::requests::Caller;
use super::vm::VmService;

pub use crate::hypervisor::{Picture, SerialHold};
pub use line::Viewer;
use line::{LINGER, Line, Returned, Source};
use ticket::Tickets;
use turns::Turns;

/// Consoles that are open at once at most.
const MOST: usize = 1000;
/// How long a QEMU may take to show its screen, take a key or open its display.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it is looked whether the VM has stopped when its display has closed.
const WHY_WITHIN: Duration = Duration::from_millis(800);
const WHY_AGAIN: Duration = Duration::from_millis(40);
/// A VM that has just stopped or started is on its way so long: libvirt lets go of the port of its
/// last life a moment late, and would call ours another program.
const ON_ITS_WAY_SEC: u64 = 3;

/// What a ticket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    Vnc,
    Serial(SerialHold),
}

/// A ticket that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    pub secret: String,
    pub expires_at: Moment,
}

/// One who was let in; its place is free again when this is dropped.
#[derive(Debug)]
pub struct Admitted {
    pub vm: VmId,
    pub wanted: Wanted,
    /// Cancelled when whoever was let in may not look any more.
    pub ended: CancellationToken,
    _place: OwnedSemaphorePermit,
}

/// Why one was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    #[error(
        "the ticket is none of ours, was used, is too old, or is another caller's or for another console; ask GetConsole \
         for a new one"
    )]
    BadTicket,
    #[error("{MOST} consoles are open on this host; close some first")]
    Full,
}

/// Who is let in: a ticket for each, and so many places.
struct Door {
    tickets: Tickets,
    places: Arc<Semaphore>,
}

impl Default for Door {
    fn default() -> Self {
        Self { tickets: Tickets::default(), places: Arc::new(Semaphore::new(MOST)) }
    }
}

impl Door {
    fn ticket(&self, id: VmId, wanted: Wanted, to: &Principal) -> Result<String, ServiceError> {
        if self.places.available_permits() == 0 {
            return Err(ServiceError::Exhausted(NotAdmitted::Full.to_string()));
        }
        self.tickets.issue(id, wanted, to)
    }

    fn admit(
        &self,
        id: VmId,
        secret: &str,
        by: Option<&Principal>,
        is_it: fn(Wanted) -> bool,
    ) -> Result<Admitted, NotAdmitted> {
        let redeemed = self.tickets.redeem(secret, id, by).filter(|(wanted, _)| is_it(*wanted));
        let (wanted, ended) = redeemed.ok_or(NotAdmitted::BadTicket)?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| NotAdmitted::Full)?;
        Ok(Admitted { vm: id, wanted, ended, _place: place })
    }
}

/// Why a console has ended; the sentences are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// The VM has stopped.
    Stopped(String),
    /// Another program has the serial port.
    TakenOver(String),
    ServerStops,
    /// Whoever looks may not any more.
    SignedOut,
    /// The viewer fell behind by more than is kept.
    TooSlow,
    /// libvirt or the display failed.
    Lost(String),
}

impl Over {
    fn stopped(name: &str, state: Option<PowerState>) -> Self {
        Self::Stopped(match state {
            Some(state) => format!("{name} is {}", state.word()),
            None => format!("{name} is gone"),
        })
    }

    /// The sentence.
    #[must_use]
    pub fn sentence(&self) -> &str {
        match self {
            Self::Stopped(sentence) | Self::TakenOver(sentence) | Self::Lost(sentence) => sentence,
            Self::ServerStops => "the server stops; the guest runs on",
            Self::SignedOut => SIGNED_OUT,
            Self::TooSlow => "this viewer fell behind by more than is kept; open the console again",
        }
    }
}

/// Whether a VM in this state has a process to look at.
fn is_there(state: PowerState) -> bool {
    match state {
        PowerState::Running
        | PowerState::Paused(_)
        | PowerState::Crashed(Activity::Active)
        | PowerState::Migrating
        | PowerState::Unknown => true,
        PowerState::Provisioning
        | PowerState::Stopped
        | PowerState::Suspended
        | PowerState::Crashed(Activity::Inactive)
        | PowerState::Lost => false,
    }
}

/// The consoles of this host.
pub struct ConsoleService {
    core: Arc<Core>,
    vms: Arc<VmService>,
    door: Door,
    /// Of calls that ask QEMU.
    asking: Turns,
    /// Of opening and closing a serial port.
    opening: Turns,
    lines: Mutex<HashMap<VmId, Arc<Line>>>,
    /// Where the numbering of a port that is closed goes on.
    ends: Mutex<HashMap<VmId, u64>>,
    stop: CancellationToken,
    /// Open consoles: the end of the server waits for them.
    pub tasks: TaskTracker,
}

/// A VM's serial port, from its hypervisor.
struct HostSource {
    core: Arc<Core>,
    vm: VmId,
}

impl Source for HostSource {
    fn open(&self, hold: SerialHold, sink: SerialSink) -> hypervisor::Result<Box<dyn SerialPort>> {
        self.core.hypervisor.open_serial(self.vm, hold, sink)
    }

    fn state(&self) -> hypervisor::Result<Option<PowerState>> {
        Ok(self.core.hypervisor.look(self.vm)?.map(|listed| listed.state))
    }

    fn name(&self) -> String {
        name(&self.core, self.vm)
    }
}

fn name(core: &Core, vm: VmId) -> String {
    core.inventory.get(vm).map_or_else(|| format!("VM {vm}"), |vm| format!("VM \"{}\"", vm.record.name))
}

impl ConsoleService {
    /// Until `stop`, with which every console ends.
    #[must_use]
    pub fn new(core: Arc<Core>, vms: Arc<VmService>, stop: CancellationToken) -> Self {
        Self {
            core,
            vms,
            door: Door::default(),
            asking: Turns::default(),
            opening: Turns::default(),
            lines: Mutex::default(),
            ends: Mutex::default(),
            stop,
            tasks: TaskTracker::new(),
        }
    }

    /// A ticket for a console. The serial port is opened now: whoever gets a ticket gets in.
    ///
    /// # Errors
    /// `Precondition` where the VM is off, has no such console, or another program has the port;
    /// `Unimplemented` where the hypervisor has no consoles or the display is none of VNC's;
    /// `Exhausted`.
    pub async fn grant(self: &Arc<Self>, id: VmId, wanted: Wanted, to: &Principal) -> Result<Granted, ServiceError> {
        let vm = self.vms.permit(id, Verb::Console)?;
        let has = self.core.ask(move |h| h.consoles(id)).await.map_err(|error| unoffered("kind", error))?;
        let without = |what: &str| ServiceError::Precondition {
            reason: "NO_CONSOLE",
            subject: id.to_string(),
            message: format!("VM \"{}\" has no {what}", vm.record.name),
        };
        match wanted {
            Wanted::Vnc if has.vnc.is_some() => {}
            Wanted::Vnc if has.has_other_display => {
                return Err(ServiceError::Unimplemented {
                    field: "type".to_owned(),
                    message: format!(
                        "the display of VM \"{}\" is none of VNC's, and no other is shown",
                        vm.record.name
                    ),
                });
            }
            Wanted::Vnc => return Err(without("display")),
            Wanted::Serial(_) if !has.has_serial => return Err(without("serial port")),
            Wanted::Serial(hold) => {
                let line = self.line(id, hold).await?;
                line.keep(ticket::GOOD_FOR + LINGER);
            }
        }
        let secret = self.door.ticket(id, wanted, to)?;
        let seconds = u32::try_from(ticket::GOOD_FOR.as_secs()).unwrap_or(u32::MAX);
        Ok(Granted { secret, expires_at: Moment::now().plus_seconds(seconds) })
    }

    /// Let in whoever brings a good ticket, once.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(
        &self,
        id: VmId,
        secret: &str,
        by: Option<&Principal>,
        is_it: fn(Wanted) -> bool,
    ) -> Result<Admitted, NotAdmitted> {
        self.door.admit(id, secret, by, is_it)
    }

    /// The VM's display, as a pipe of RFB.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn vnc(&self, id: VmId) -> Result<UnixStream, Over> {
        let turn = self.turn(id).await.map_err(|error| Over::Lost(error.to_string()))?;
        let asked = self.core.ask(move |h| {
            let _turn = turn;
            match h.consoles(id)?.vnc {
                Some(place) => h.open_vnc(id, place),
                None => Err(HypervisorError::NotFound("it has no display".to_owned())),
            }
        });
        let failed = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(socket)) => match socket.set_nonblocking(true).and_then(|()| UnixStream::from_std(socket)) {
                Ok(pipe) => return Ok(pipe),
                Err(error) => error.to_string(),
            },
            Ok(Err(error)) => error.to_string(),
            Err(_) => "its QEMU does not answer".to_owned(),
        };
        Err(self.why_closed(id, &failed).await)
    }

    /// Why the VM's display has closed.
    pub async fn why_closed(&self, id: VmId, failed: &str) -> Over {
        let begun = tokio::time::Instant::now();
        let name = name(&self.core, id);
        loop {
            match self.core.ask(move |h| h.look(id)).await {
                Ok(listed) => {
                    let state = listed.map(|listed| listed.state);
                    if !state.is_some_and(is_there) {
                        return Over::stopped(&name, state);
                    }
                }
                Err(error) => return Over::Lost(format!("the display of {name} has closed: {error}")),
            }
            if begun.elapsed() >= WHY_WITHIN {
                return Over::Lost(format!("the display of {name} has closed: {failed}"));
            }
            tokio::time::sleep(WHY_AGAIN).await;
        }
    }

    /// A viewer of the VM's serial port, from a position on.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn serial(self: &Arc<Self>, id: VmId, hold: SerialHold, from: Option<u64>) -> Result<Viewer, Over> {
        match self.line(id, hold).await {
            Ok(line) => Ok(line.viewer(from)),
            Err(error @ ServiceError::Precondition { reason: "IN_USE", .. }) => Err(Over::TakenOver(error.to_string())),
            Err(error) => {
                let seen = self.core.ask(move |h| h.look(id)).await;
                match seen.map(|listed| listed.map(|listed| listed.state)) {
                    Ok(state) if !state.is_some_and(is_there) => Err(Over::stopped(&name(&self.core, id), state)),
                    Ok(_) | Err(_) => Err(Over::Lost(error.to_string())),
                }
            }
        }
    }

    /// The VM's line, opened where it is not.
    async fn line(self: &Arc<Self>, id: VmId, hold: SerialHold) -> Result<Arc<Line>, ServiceError> {
        // In a task of its own: whoever asked may leave, and a port half open has no owner.
        let service = Arc::clone(self);
        match tokio::spawn(async move { service.open_line(id, hold).await }).await {
            Ok(opened) => opened,
            Err(lost) => Err(ServiceError::Internal(format!("opening a serial port panicked: {lost}"))),
        }
    }

    /// Whether the VM begins or ends a life just now.
    fn is_on_its_way(&self, id: VmId) -> bool {
        self.core.inventory.get(id).is_some_and(|vm| {
            vm.operation.is_some() || Moment::now().seconds_since(vm.record.state_changed_at) < ON_ITS_WAY_SEC
        })
    }

    async fn open_line(self: Arc<Self>, id: VmId, hold: SerialHold) -> Result<Arc<Line>, ServiceError> {
        let begun = tokio::time::Instant::now();
        loop {
            let turn = self.opening.take(id).await;
            let known = self.lines.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
            match known {
                Some(line) if line.is_over() => {
                    drop(turn);
                    line.closed.cancelled().await;
                    continue;
                }
                Some(line) => {
                    // It may be about to close for want of viewers.
                    line.keep(LINGER);
                    return Ok(line);
                }
                None => {}
            }
            let base = self.ends.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied().unwrap_or(0);
            let source = Arc::new(HostSource { core: Arc::clone(&self.core), vm: id });
            let opened = line::open(source, hold, base).await;
            if let Err(HypervisorError::InUse(_)) = &opened {
                if begun.elapsed().as_secs() < ON_ITS_WAY_SEC && self.is_on_its_way(id) {
                    drop(turn);
                    tokio::time::sleep(WHY_AGAIN).await;
                    continue;
                }
                return Err(ServiceError::Precondition {
                    reason: "IN_USE",
                    subject: id.to_string(),
                    message: format!(
                        "the serial port of {} is in use by another program (virsh console, say); \
                         ask again with take_over to take it from there",
                        name(&self.core, id)
                    ),
                });
            }
            let (line, mut driver) = opened?;
            self.lines.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&line));
            drop(turn);
            let service = Arc::clone(&self);
            let kept = Arc::clone(&line);
            self.tasks.spawn(async move {
                loop {
                    let returned = driver.run(&service.stop).await;
                    if let Returned::Over(over) = &returned {
                        tracing::info!(vm = %id, why = over.sentence(), "a serial console is over");
                        kept.tell_over(over.clone());
                    }
                    let _turn = service.opening.take(id).await;
                    if returned == Returned::Unwatched && kept.is_watched() {
                        continue;
                    }
                    driver.disconnect().await;
                    service.remember(id, kept.end());
                    service.lines.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                    kept.closed.cancel();
                    return;
                }
            });
            return Ok(line);
        }
    }

    /// Where the numbering goes on when the port is opened again; of VMs that are gone, nowhere.
    fn remember(&self, id: VmId, end: u64) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if ends.len() >= MOST {
            ends.retain(|known, _| self.core.inventory.get(*known).is_some());
        }
        ends.insert(id, end);
    }

    /// What the VM's screen shows.
    ///
    /// # Errors
    /// `Precondition` where it is off or has no screen; `Unimplemented`.
    pub async fn screenshot(&self, id: VmId) -> Result<Picture, ServiceError> {
        let vm = self.vms.permit(id, Verb::Screenshot)?;
        let taken = self.asked(id, move |h| h.screenshot(id)).await;
        // Where it is not off by now, it has none.
        if let Err(HypervisorError::WrongState(why)) = &taken {
            return Err(ServiceError::Precondition {
                reason: "NO_CONSOLE",
                subject: id.to_string(),
                message: format!("VM \"{}\" shows no screen: {why}", vm.record.name),
            });
        }
        taken.map_err(|error| unoffered("vm_id", error))
    }

    /// Press keys together.
    ///
    /// # Errors
    /// `Precondition` where it does not run.
    pub async fn send_keys(
        &self,
        caller: &Caller,
        id: VmId,
        codes: Vec<u16>,
        hold: Duration,
    ) -> Result<(), ServiceError> {
        self.vms.permit(id, Verb::SendKeys)?;
        tracing::info!(vm = %id, user = caller.user, keys = codes.len(), "keys are pressed");
        Ok(self.asked(id, move |h| h.send_keys(id, &codes, hold)).await?)
    }

    async fn turn(&self, id: VmId) -> hypervisor::Result<tokio::sync::OwnedMutexGuard<()>> {
        tokio::time::timeout(PATIENCE, self.asking.take(id)).await.map_err(|_| self.silent(id))
    }

    fn silent(&self, id: VmId) -> HypervisorError {
        HypervisorError::TimedOut(format!(
            "the QEMU of {} has not answered for {} s",
            name(&self.core, id),
            PATIENCE.as_secs()
        ))
    }

    /// A call that asks QEMU, one at a time a VM; it is left to its thread when it takes too long.
    async fn asked<T: Send + 'static>(
        &self,
        id: VmId,
        call: impl FnOnce(&dyn Hypervisor) -> hypervisor::Result<T> + Send + 'static,
    ) -> hypervisor::Result<T> {
        let turn = self.turn(id).await?;
        let asked = self.core.ask(move |h| {
            let _turn = turn;
            call(h)
        });
        tokio::time::timeout(PATIENCE, asked).await.map_err(|_| self.silent(id))?
    }

    /// Cancelled when the server stops.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.stop
    }
}

/// What this hypervisor does not have at all is said of the field that asks for it.
fn unoffered(field: &str, error: HypervisorError) -> ServiceError {
    if let HypervisorError::Unsupported(message) = error {
        ServiceError::Unimplemented { field: field.to_owned(), message }
    } else {
        ServiceError::from(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn so_many_are_let_in_and_one_more_is_told_what_to_do() {
        let vm = VmId(uuid::Uuid::from_u128(1));
        let door = Door::default();
        let any = |_: Wanted| true;
        let root = Principal::by_connection(super::super::auth::Who::LocalRoot, "");
        // One whose ticket was good when the last place was still free.
        let late = door.ticket(vm, Wanted::Vnc, &root).expect("there is room");
        let mut inside: Vec<Admitted> = (0..MOST)
            .map(|_| {
                let secret = door.ticket(vm, Wanted::Vnc, &root).expect("there is room");
                door.admit(vm, &secret, None, any).expect("there is a place")
            })
            .collect();
        let refusal = "1000 consoles are open on this host; close some first";
        let refused = door.ticket(vm, Wanted::Vnc, &root);
        assert!(matches!(&refused, Err(ServiceError::Exhausted(why)) if why == refusal), "{refused:?}");
        assert_eq!(door.admit(vm, &late, None, any).expect_err("it is full").to_string(), refusal);
        // Whoever leaves makes room.
        inside.pop();
        let secret = door.ticket(vm, Wanted::Vnc, &root).expect("there is room again");
        assert!(door.admit(vm, &secret, None, any).is_ok());
    }
}
