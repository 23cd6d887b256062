//! Verbs of power: start, stop, reboot, pause, resume, suspend. A verb answers when the VM has
//! settled; if the client leaves, it goes on and stays visible as an operation.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::hypervisor::{AgentChannel, GuestRequest, StartFrom};
use crate::model::id::VmId;
use crate::model::lifecycle::{Plan, Progress, Seen, observe};
use crate::model::operation::{Cancel, Verb};
use crate::model::vm::{Moment, PausedReason, PowerState};

use super::super::error::ServiceError;
use super::super::inventory::Vm;
use super::super::operations::Running;
use super::super::requests::{Caller, StopVm};
use super::VmService;
use super::begin::{Outcome, ended_by, is_on};

/// Seconds that a graceful stop takes at most where the request does not say.
const STOP_TIMEOUT_SEC: u32 = 60;
/// Seconds that a graceful stop may be given at most.
const STOP_TIMEOUT_MAX_SEC: i32 = 3600;
/// Seconds that a graceful reboot takes at most.
const REBOOT_TIMEOUT_SEC: u32 = 60;
/// A guest that boots misses the power button: it is pressed again this often.
const ACPI_AGAIN: Duration = Duration::from_secs(5);
/// An agent that took the request and does nothing for this long: the button is pressed too.
const AGENT_PATIENCE: Duration = Duration::from_secs(15);

/// How a reboot is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reboot {
    /// The guest is asked.
    Graceful,
    /// The reset button.
    Reset,
}

impl VmService {
    /// Boot, restore the saved memory, or resume.
    ///
    /// # Errors
    /// `Precondition` where the state or the node does not allow it, `Exhausted` where the host has
    /// not enough left, `Busy`, `Unavailable`.
    pub async fn start(&self, caller: &Caller, id: VmId) -> Result<Arc<Vm>, ServiceError> {
        self.ready()?;
        self.ensure_startable(id).await?;
        self.power(caller, id, Verb::Start, None).await
    }

    /// Graceful stop, or power off at once.
    ///
    /// # Errors
    /// `DeadlineExceeded` where the guest did not power off in time: it goes on running.
    pub async fn stop(&self, caller: &Caller, id: VmId, how: StopVm) -> Result<Arc<Vm>, ServiceError> {
        if how.force {
            return self.power(caller, id, Verb::ForceStop, None).await;
        }
        let timeout = match how.timeout_sec {
            0 => STOP_TIMEOUT_SEC,
            1..=STOP_TIMEOUT_MAX_SEC => how.timeout_sec.unsigned_abs(),
            other => {
                return Err(ServiceError::invalid(
                    "timeout_sec",
                    format!("must be 0 (meaning {STOP_TIMEOUT_SEC}) to {STOP_TIMEOUT_MAX_SEC}; {other} was sent"),
                ));
            }
        };
        self.power(caller, id, Verb::Stop, Some(timeout)).await
    }

    /// Reboot by the guest, or reset.
    ///
    /// # Errors
    /// `DeadlineExceeded` where the guest did not reboot within 60 s.
    pub async fn reboot(&self, caller: &Caller, id: VmId, how: Reboot) -> Result<Arc<Vm>, ServiceError> {
        match how {
            Reboot::Graceful => self.power(caller, id, Verb::Reboot, Some(REBOOT_TIMEOUT_SEC)).await,
            Reboot::Reset => self.power(caller, id, Verb::Reset, None).await,
        }
    }

    /// Stop the vCPUs.
    ///
    /// # Errors
    /// As for every verb.
    pub async fn pause(&self, caller: &Caller, id: VmId) -> Result<Arc<Vm>, ServiceError> {
        self.power(caller, id, Verb::Pause, None).await
    }

    /// Let the vCPUs run, or restore the saved memory.
    ///
    /// # Errors
    /// As for every verb; `Exhausted` where a restore does not fit.
    pub async fn resume(&self, caller: &Caller, id: VmId) -> Result<Arc<Vm>, ServiceError> {
        self.power(caller, id, Verb::Resume, None).await
    }

    /// Save the memory to disk and stop.
    ///
    /// # Errors
    /// As for every verb.
    pub async fn suspend(&self, caller: &Caller, id: VmId) -> Result<Arc<Vm>, ServiceError> {
        self.power(caller, id, Verb::Suspend, None).await
    }

    async fn power(
        &self,
        caller: &Caller,
        id: VmId,
        verb: Verb,
        timeout_sec: Option<u32>,
    ) -> Result<Arc<Vm>, ServiceError> {
        // What the work waits for may happen before it looks: listen first.
        let sightings = self.core.sightings();
        let (running, plan, vm) = self
            .begin(caller, id, verb, |vm, plan, operation| {
                self.admit(vm, plan)?;
                operation.deadline = timeout_sec.map(|seconds| operation.created_at.plus_seconds(seconds));
                operation.cancel = match plan {
                    Plan::ShutDown | Plan::ResumeThenShutDown | Plan::Reboot => Cancel::Possible,
                    Plan::Boot
                    | Plan::Restore
                    | Plan::ClearThenBoot
                    | Plan::Resume
                    | Plan::Wake
                    | Plan::PowerOff
                    | Plan::DropSaved
                    | Plan::ClearCrash
                    | Plan::Reset
                    | Plan::Pause
                    | Plan::Save
                    | Plan::Undefine
                    | Plan::PowerOffThenUndefine
                    | Plan::Forget
                    | Plan::Redefine
                    | Plan::ChangeMedia => Cancel::Impossible,
                };
                Ok(())
            })
            .await?;
        let done = self.perform(&running, plan, &vm, sightings).await;
        let outcome = done.map(|()| told(plan, &vm));
        let answer = Self::finish(&self.core, &self.operations, &running, id, outcome, move |vm| {
            vm.record.error_message.clear();
            if plan == Plan::ClearCrash {
                vm.record.state = PowerState::Stopped;
                vm.record.state_changed_at = Moment::now();
            }
            if !is_on(vm.record.state) {
                vm.pending_changes.clear();
                vm.ip_addresses.clear();
                vm.agent_addresses.clear();
                vm.unresponsive_since = None;
            }
        })
        .await;
        self.afterwards(id);
        answer
    }

    /// Whether the host has room and is in service, for plans that take memory and CPU.
    fn admit(&self, vm: &Vm, plan: Plan) -> Result<(), ServiceError> {
        match plan {
            Plan::Boot | Plan::Restore | Plan::ClearThenBoot => {
                self.nodes.ensure_schedulable(vm.record.node_id)?;
                self.nodes.admit(&self.core.inventory.spec(vm))
            }
            Plan::Resume
            | Plan::Wake
            | Plan::ShutDown
            | Plan::ResumeThenShutDown
            | Plan::PowerOff
            | Plan::DropSaved
            | Plan::ClearCrash
            | Plan::Reboot
            | Plan::Reset
            | Plan::Pause
            | Plan::Save
            | Plan::Undefine
            | Plan::PowerOffThenUndefine
            | Plan::Forget
            | Plan::Redefine
            | Plan::ChangeMedia => Ok(()),
        }
    }

    /// Do what was planned; returns when it is settled.
    pub(super) async fn perform(
        &self,
        running: &Arc<Running>,
        plan: Plan,
        vm: &Arc<Vm>,
        sightings: broadcast::Receiver<(VmId, Seen)>,
    ) -> Result<(), ServiceError> {
        let id = vm.record.id;
        let say = |step: &str| self.operations.progress(running, step, 0);
        match plan {
            Plan::Boot | Plan::Restore => self.call(running, move |h| h.start(id, StartFrom::SavedOrBoot)).await,
            Plan::ClearThenBoot => {
                self.call(running, move |h| h.power_off(id)).await?;
                self.call(running, move |h| h.start(id, StartFrom::SavedOrBoot)).await
            }
            Plan::Resume => self.call(running, move |h| h.resume(id)).await,
            Plan::Wake => {
                self.call(running, move |h| h.wake(id)).await?;
                self.wait(running, plan, vm, sightings, None).await
            }
            Plan::ShutDown => self.shut_down(running, plan, vm, sightings).await,
            Plan::ResumeThenShutDown => {
                say("resuming, so that the guest can hear");
                match vm.record.state {
                    PowerState::Paused(PausedReason::Guest) => self.call(running, move |h| h.wake(id)).await?,
                    PowerState::Paused(_)
                    | PowerState::Provisioning
                    | PowerState::Running
                    | PowerState::Stopped
                    | PowerState::Suspended
                    | PowerState::Crashed(_)
                    | PowerState::Migrating
                    | PowerState::Lost
                    | PowerState::Unknown => self.call(running, move |h| h.resume(id)).await?,
                }
                self.shut_down(running, plan, vm, sightings).await
            }
            Plan::PowerOff => {
                say("powering off");
                self.call(running, move |h| h.power_off(id)).await
            }
            Plan::DropSaved => self.call(running, move |h| h.drop_saved(id)).await,
            Plan::ClearCrash => Ok(()),
            Plan::Reboot => self.ask_reboot(running, vm, sightings).await,
            Plan::Reset => self.call(running, move |h| h.reset(id)).await,
            Plan::Pause => self.call(running, move |h| h.pause(id)).await,
            Plan::Save => {
                say("saving the memory");
                let operations = Arc::clone(&self.operations);
                let shown = Arc::clone(running);
                self.call(running, move |h| {
                    h.save(id, &|percent| operations.progress(&shown, "saving the memory", percent))
                })
                .await
            }
            Plan::Undefine | Plan::PowerOffThenUndefine | Plan::Forget | Plan::Redefine | Plan::ChangeMedia => {
                Err(ServiceError::Internal("a plan that is not one of power was asked of the power verbs".to_owned()))
            }
        }
    }

    /// Ask the guest to power off, by its agent where one listens, else by ACPI, and again until
    /// it has or the deadline comes.
    async fn shut_down(
        &self,
        running: &Arc<Running>,
        plan: Plan,
        vm: &Arc<Vm>,
        sightings: broadcast::Receiver<(VmId, Seen)>,
    ) -> Result<(), ServiceError> {
        let first = self.request(running, vm, Wish::PowerOff).await?;
        self.wait(running, plan, vm, sightings, Some((Wish::PowerOff, first))).await
    }

    async fn ask_reboot(
        &self,
        running: &Arc<Running>,
        vm: &Arc<Vm>,
        sightings: broadcast::Receiver<(VmId, Seen)>,
    ) -> Result<(), ServiceError> {
        let first = self.request(running, vm, Wish::Reboot).await?;
        self.wait(running, Plan::Reboot, vm, sightings, Some((Wish::Reboot, first))).await
    }

    /// Ask once, by the best way there is; an agent that fails falls to ACPI.
    async fn request(&self, running: &Arc<Running>, vm: &Arc<Vm>, wish: Wish) -> Result<GuestRequest, ServiceError> {
        let id = vm.record.id;
        let agent = self.core.ask(move |h| h.agent_channel(id)).await;
        if agent == Ok(AgentChannel::Connected) {
            self.operations.progress(running, wish.by_agent(), 0);
            match self.call(running, move |h| wish.ask(h, id, GuestRequest::Agent)).await {
                Ok(()) => return Ok(GuestRequest::Agent),
                Err(error @ ServiceError::Cancelled(_)) => return Err(error),
                Err(error) => tracing::info!(vm = %id, %error, "the guest agent failed; falling back to ACPI"),
            }
        }
        self.operations.progress(running, wish.by_acpi(), 0);
        self.call(running, move |h| wish.ask(h, id, GuestRequest::Acpi)).await?;
        Ok(GuestRequest::Acpi)
    }

    /// Wait until `plan` is settled by what is seen, repeating the wish, until the deadline.
    async fn wait(
        &self,
        running: &Arc<Running>,
        plan: Plan,
        vm: &Arc<Vm>,
        mut sightings: broadcast::Receiver<(VmId, Seen)>,
        wish: Option<(Wish, GuestRequest)>,
    ) -> Result<(), ServiceError> {
        let id = vm.record.id;
        let left = running
            .operation()
            .deadline
            .map_or(u64::from(STOP_TIMEOUT_SEC), |deadline| deadline.seconds_since(Moment::now()));
        let begun = tokio::time::Instant::now();
        let deadline = begun + Duration::from_secs(left);
        let mut again = tokio::time::interval_at(begun + ACPI_AGAIN, ACPI_AGAIN);
        let mut look_now = true;
        loop {
            let seen = if look_now {
                look_now = false;
                match self.core.ask(move |h| h.look(id)).await {
                    Ok(Some(listed)) => Some(Seen::State(listed.state)),
                    Ok(None) => Some(Seen::Gone),
                    // While libvirt is away nothing can be said; the guest goes on.
                    Err(_) => None,
                }
            } else {
                tokio::select! {
                    heard = sightings.recv() => match heard {
                        Ok((seen_id, Seen::Rebooted)) if seen_id == id => Some(Seen::Rebooted),
                        // Another's look may be from before this verb began: only a look of our own
                        // says how things stand.
                        Ok((seen_id, Seen::State(_) | Seen::Gone)) if seen_id == id => { look_now = true; None }
                        Ok(_) => None,
                        Err(RecvError::Lagged(_)) => { look_now = true; None }
                        Err(RecvError::Closed) => {
                            return Err(ServiceError::Unavailable("the service is stopping; the guest goes on".to_owned()));
                        }
                    },
                    _ = again.tick() => {
                        if let Some((wish, by)) = wish
                            && (by == GuestRequest::Acpi || begun.elapsed() >= AGENT_PATIENCE)
                        {
                            self.operations.progress(running, wish.again(), elapsed_percent(begun, deadline));
                            // The guest may be going down just now: a refusal says nothing.
                            let _ = self.call(running, move |h| wish.ask(h, id, GuestRequest::Acpi)).await;
                        }
                        look_now = true;
                        None
                    },
                    reason = running.ended() => return Err(ended_by(&reason)),
                    () = tokio::time::sleep_until(deadline) => return Err(too_late(vm, plan, left)),
                }
            };
            match seen.map(|seen| observe(plan, seen)) {
                Some(Progress::Settled) => return Ok(()),
                Some(Progress::Missed) => {
                    return Err(ServiceError::Precondition {
                        reason: "WENT_ANOTHER_WAY",
                        subject: id.to_string(),
                        message: format!(
                            "VM \"{}\" went another way while this was being done; look at its state",
                            vm.record.name
                        ),
                    });
                }
                Some(Progress::Waiting) | None => {}
            }
        }
    }
}

/// What is asked of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    PowerOff,
    Reboot,
}

impl Wish {
    fn ask(
        self,
        hypervisor: &dyn crate::hypervisor::Hypervisor,
        id: VmId,
        by: GuestRequest,
    ) -> crate::hypervisor::Result<()> {
        match self {
            Self::PowerOff => hypervisor.request_shutdown(id, by),
            Self::Reboot => hypervisor.request_reboot(id, by),
        }
    }

    fn by_agent(self) -> &'static str {
        match self {
            Self::PowerOff => "the guest agent was asked to power off",
            Self::Reboot => "the guest agent was asked to reboot",
        }
    }

    fn by_acpi(self) -> &'static str {
        match self {
            Self::PowerOff => "ACPI power button pressed",
            Self::Reboot => "ACPI reboot sent",
        }
    }

    fn again(self) -> &'static str {
        match self {
            Self::PowerOff => "ACPI power button pressed again",
            Self::Reboot => "ACPI reboot sent again",
        }
    }
}

fn elapsed_percent(begun: tokio::time::Instant, deadline: tokio::time::Instant) -> u8 {
    let whole = deadline.duration_since(begun).as_millis().max(1);
    u8::try_from(begun.elapsed().as_millis() * 100 / whole).unwrap_or(100)
}

fn too_late(vm: &Vm, plan: Plan, seconds: u64) -> ServiceError {
    let name = &vm.record.name;
    ServiceError::DeadlineExceeded(if plan == Plan::Reboot {
        format!(
            "VM \"{name}\" did not reboot within {seconds} s and goes on running; reset it with force, or look at its console"
        )
    } else {
        format!(
            "VM \"{name}\" did not power off within {seconds} s and goes on running; stop it with force, or look at its console"
        )
    })
}

fn told(plan: Plan, vm: &Vm) -> Outcome {
    let name = &vm.record.name;
    match plan {
        Plan::Boot | Plan::ClearThenBoot => Outcome::info("vm.started", format!("VM \"{name}\" was started")),
        Plan::Restore => Outcome::info("vm.restored", format!("VM \"{name}\" continues from its saved memory")),
        Plan::Resume | Plan::Wake => Outcome::info("vm.resumed", format!("VM \"{name}\" was resumed")),
        Plan::ShutDown | Plan::ResumeThenShutDown => {
            Outcome::info("vm.stopped", format!("VM \"{name}\" shut itself down as asked"))
        }
        Plan::PowerOff => Outcome::info("vm.powered_off", format!("VM \"{name}\" was powered off")),
        Plan::DropSaved => {
            Outcome::info("vm.saved_memory_dropped", format!("the saved memory of VM \"{name}\" was dropped"))
        }
        Plan::ClearCrash => Outcome::info("vm.crash_cleared", format!("the crash of VM \"{name}\" was taken note of")),
        Plan::Reboot => Outcome::info("vm.rebooted", format!("VM \"{name}\" rebooted as asked")),
        Plan::Reset => Outcome::info("vm.reset", format!("VM \"{name}\" was reset")),
        Plan::Pause => Outcome::info("vm.paused", format!("VM \"{name}\" was paused")),
        Plan::Save => {
            Outcome::info("vm.suspended", format!("the memory of VM \"{name}\" was saved and it was stopped"))
        }
        Plan::Undefine | Plan::PowerOffThenUndefine | Plan::Forget => {
            Outcome::info("vm.deleted", format!("VM \"{name}\" was deleted"))
        }
        Plan::ChangeMedia => Outcome::info("vm.media_changed", format!("a medium of VM \"{name}\" was changed")),
        Plan::Redefine => Outcome::info("vm.redefined", format!("VM \"{name}\" was defined again")),
    }
}

impl super::super::node::StopVms for VmService {
    fn stop<'a>(
        &'a self,
        caller: &'a Caller,
        id: VmId,
        how: StopVm,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), ServiceError>> + Send + 'a>> {
        Box::pin(async move { VmService::stop(self, caller, id, how).await.map(drop) })
    }
}
