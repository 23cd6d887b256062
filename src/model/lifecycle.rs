//! The one state machine of a VM. Everything that must know what is legal asks here: the service
//! before it acts, `allowed_actions` with the reason why not, recovery, the tests. libvirt's own
//! error codes never decide: its test driver and QEMU disagree.
//!
//! ```text
//!                create                       start
//!   (nothing) ───────────► PROVISIONING ──► STOPPED ───────────► RUNNING ◄──────┐
//!                                             ▲ ▲ ▲   stop │       │  ▲         │
//!                 start of its saved memory   │ │ └────────┘ pause │  │ resume  │ reboot,
//!   SUSPENDED ─────────────────────────────► RUNNING               ▼  │         │ reset
//!       ▲  └── force_stop drops the memory ──┘ │                 PAUSED ────────┘
//!       └──────────── suspend ────────────────(RUNNING, PAUSED)
//!   CRASHED: start boots afresh, force_stop clears   LOST: redefine, delete
//! ```
//!
//! [`decide`] answers *may this verb begin now, and what will it do*; [`observe`] answers *is what
//! was begun settled by what is seen*. Both are total: no wildcard arm, so a new state or verb does
//! not compile until every cell was thought of. The whole matrix is a golden file.

use super::operation::Verb;
use super::vm::{Activity, DeletionProtection, Lifetime, Moment, Origin, PausedReason, PowerState};

/// All that a decision depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    pub state: PowerState,
    pub lifetime: Lifetime,
    pub origin: Origin,
    pub protection: DeletionProtection,
    /// The operation that holds the VM, if any.
    pub pending: Option<Pending>,
}

/// The operation that holds a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub verb: Verb,
    pub operation_id: super::id::OperationId,
    pub since: Moment,
}

/// The answer to "may this verb be done now".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Begin an operation that does this.
    Begin(Plan),
    /// One commit of ours; no operation.
    Now,
    /// Not allowed, for this reason.
    Denied(Denial),
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plan {
    Boot,
    /// Continue from the saved memory.
    Restore,
    /// Destroy what is left of the dead guest, then boot.
    ClearThenBoot,
    Resume,
    /// Wake a guest that put itself to sleep.
    Wake,
    ShutDown,
    /// A paused guest can't hear: resume it, then ask it to shut down.
    ResumeThenShutDown,
    PowerOff,
    /// Throw the saved memory away.
    DropSaved,
    /// Nothing runs; take note that the crash was seen.
    ClearCrash,
    Reboot,
    Reset,
    Pause,
    Save,
    Undefine,
    PowerOffThenUndefine,
    /// Only our record is left.
    Forget,
    Redefine,
    /// Put something into a drive, or take it out.
    ChangeMedia,
}

/// Why a verb is not allowed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// The VM is already what the verb would make it.
    AlreadySo,
    /// The verb does not fit the state; the states that it needs.
    WrongState(&'static [&'static str]),
    /// `delete` of a VM that is protected against it, whatever its state and with force or without.
    Protected,
    /// `delete` of a VM that is on.
    NeedsForce,
    /// The guest waits for its disk: it cannot shut down, it can only be powered off.
    WaitsForDisk(PausedReason),
    /// Gone when it stops; there is no persistent definition to change.
    Transient,
    /// `adopt` of a VM that is ours.
    AlreadyManaged,
    /// `redefine` of a VM that is defined.
    StillDefined,
    /// Another operation holds the VM.
    Busy(Pending),
}

impl Denial {
    /// One word for programs; the sentence is for people.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::AlreadySo => "ALREADY_SO",
            Self::WrongState(_) => "WRONG_STATE",
            Self::Protected => "PROTECTED",
            Self::NeedsForce => "NEEDS_FORCE",
            Self::WaitsForDisk(_) => "WAITS_FOR_DISK",
            Self::Transient => "TRANSIENT",
            Self::AlreadyManaged => "ALREADY_MANAGED",
            Self::StillDefined => "STILL_DEFINED",
            Self::Busy(_) => "BUSY",
        }
    }

    /// The whole sentence for the VM of this name in this state.
    #[must_use]
    pub fn sentence(&self, vm: &str, state: PowerState, verb: Verb) -> String {
        let verb_word = verb.word();
        let state_word = state.word();
        match self {
            Self::AlreadySo => format!("VM \"{vm}\" is already {state_word}"),
            Self::WrongState(needed) => {
                format!("VM \"{vm}\" is {state_word}; {verb_word} needs a VM that is {}", join_or(needed))
            }
            Self::Protected => format!("VM \"{vm}\" is protected against deletion; clear the protection first"),
            Self::NeedsForce => {
                format!("VM \"{vm}\" is {state_word}; stop it first, or delete it with force, which powers it off")
            }
            Self::WaitsForDisk(why) => format!(
                "VM \"{vm}\" is paused because {}; it cannot shut down by itself: free the disk and resume it, or stop it with force",
                match why {
                    PausedReason::NoSpace => "its disk has no space left",
                    PausedReason::IoError => "its disk gave an I/O error",
                    PausedReason::User
                    | PausedReason::Watchdog
                    | PausedReason::Crashed
                    | PausedReason::Migration
                    | PausedReason::Guest
                    | PausedReason::Other => "of its disk",
                }
            ),
            Self::Transient => format!(
                "VM \"{vm}\" is transient: it has no persistent definition and is gone when it stops, so {verb_word} is not possible"
            ),
            Self::AlreadyManaged => format!("VM \"{vm}\" is managed here already"),
            Self::StillDefined => {
                format!("VM \"{vm}\" is {state_word} and still defined on the host; redefine needs a VM that is LOST")
            }
            Self::Busy(pending) => format!(
                "VM \"{vm}\" is held by operation {} ({}) since {}",
                pending.operation_id,
                pending.verb.word(),
                pending.since
            ),
        }
    }
}

fn join_or(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}

const RUNNING: &[&str] = &["RUNNING"];
const RUNNING_PAUSED: &[&str] = &["RUNNING", "PAUSED"];
const STARTABLE: &[&str] = &["STOPPED", "CRASHED", "SUSPENDED", "PAUSED"];
const RESUMABLE: &[&str] = &["PAUSED", "SUSPENDED"];
const FORCE_STOPPABLE: &[&str] = &["RUNNING", "PAUSED", "SUSPENDED", "CRASHED"];
const DELETABLE: &[&str] = &["STOPPED", "SUSPENDED", "CRASHED", "LOST"];
const SETTLED: &[&str] = &["RUNNING", "STOPPED", "PAUSED", "SUSPENDED", "CRASHED"];
const LOST: &[&str] = &["LOST"];
const NOT_SAVED: &[&str] = &["RUNNING", "PAUSED", "STOPPED", "CRASHED"];

/// May `verb` be done to a VM in this situation, and what does it do.
#[must_use]
pub fn decide(situation: &Situation, verb: Verb) -> Decision {
    if let Some(pending) = &situation.pending
        && !looks_on(verb)
        && !preempts(verb, pending.verb)
    {
        return Decision::Denied(Denial::Busy(pending.clone()));
    }
    let state = situation.state;
    match verb {
        Verb::Start => start(state),
        Verb::Stop => stop(state),
        Verb::ForceStop => force_stop(state),
        Verb::Reboot => only_running(state, Plan::Reboot),
        Verb::Reset => only_running(state, Plan::Reset),
        Verb::Pause => match state {
            PowerState::Running => Decision::Begin(Plan::Pause),
            PowerState::Paused(_) => Decision::Denied(Denial::AlreadySo),
            PowerState::Provisioning
            | PowerState::Stopped
            | PowerState::Suspended
            | PowerState::Crashed(_)
            | PowerState::Migrating
            | PowerState::Lost
            | PowerState::Unknown => Decision::Denied(Denial::WrongState(RUNNING)),
        },
        Verb::Resume => match state {
            PowerState::Paused(why) => Decision::Begin(wake_or_resume(why)),
            PowerState::Suspended => Decision::Begin(Plan::Restore),
            PowerState::Running => Decision::Denied(Denial::AlreadySo),
            PowerState::Provisioning
            | PowerState::Stopped
            | PowerState::Crashed(_)
            | PowerState::Migrating
            | PowerState::Lost
            | PowerState::Unknown => Decision::Denied(Denial::WrongState(RESUMABLE)),
        },
        Verb::Suspend => suspend(situation),
        Verb::Update => update(situation),
        Verb::Delete | Verb::ForceDelete => delete(situation, verb),
        Verb::Adopt => adopt(situation),
        Verb::Redefine => match state {
            PowerState::Lost => Decision::Begin(Plan::Redefine),
            PowerState::Provisioning => Decision::Denied(Denial::WrongState(LOST)),
            PowerState::Running
            | PowerState::Stopped
            | PowerState::Paused(_)
            | PowerState::Suspended
            | PowerState::Crashed(_)
            | PowerState::Migrating
            | PowerState::Unknown => Decision::Denied(Denial::StillDefined),
        },
        // Not verbs of an existing VM: creation makes one, draining asks for many stops.
        Verb::Create | Verb::Drain => Decision::Denied(Denial::AlreadySo),
        Verb::MountIso | Verb::EjectIso => change_media(state),
        Verb::Console | Verb::Screenshot => look_on(state),
        Verb::SendKeys => match state {
            PowerState::Running => Decision::Now,
            PowerState::Provisioning
            | PowerState::Stopped
            | PowerState::Paused(_)
            | PowerState::Suspended
            | PowerState::Crashed(_)
            | PowerState::Migrating
            | PowerState::Lost
            | PowerState::Unknown => Decision::Denied(Denial::WrongState(RUNNING)),
        },
    }
}

/// Whether `verb` only looks at the guest or types into it: possible while an operation holds the
/// VM, for that is when an administrator wants to see what it does.
fn looks_on(verb: Verb) -> bool {
    match verb {
        Verb::Console | Verb::Screenshot | Verb::SendKeys => true,
        Verb::Create
        | Verb::Start
        | Verb::Stop
        | Verb::ForceStop
        | Verb::Reboot
        | Verb::Reset
        | Verb::Pause
        | Verb::Resume
        | Verb::Suspend
        | Verb::Update
        | Verb::Delete
        | Verb::ForceDelete
        | Verb::Adopt
        | Verb::Redefine
        | Verb::Drain
        | Verb::MountIso
        | Verb::EjectIso => false,
    }
}

/// A crashed guest that is still there shows its last words.
fn look_on(state: PowerState) -> Decision {
    match state {
        PowerState::Running | PowerState::Paused(_) | PowerState::Crashed(Activity::Active) => Decision::Now,
        PowerState::Provisioning
        | PowerState::Stopped
        | PowerState::Suspended
        | PowerState::Crashed(Activity::Inactive)
        | PowerState::Migrating
        | PowerState::Lost
        | PowerState::Unknown => Decision::Denied(Denial::WrongState(RUNNING_PAUSED)),
    }
}

/// A saved memory remembers its drives: a change of the definition would not reach it.
fn change_media(state: PowerState) -> Decision {
    match state {
        PowerState::Running | PowerState::Paused(_) | PowerState::Stopped | PowerState::Crashed(_) => {
            Decision::Begin(Plan::ChangeMedia)
        }
        PowerState::Provisioning
        | PowerState::Suspended
        | PowerState::Migrating
        | PowerState::Lost
        | PowerState::Unknown => Decision::Denied(Denial::WrongState(NOT_SAVED)),
    }
}

/// Whether `verb` may take a VM away from the operation that holds it.
fn preempts(verb: Verb, holder: Verb) -> bool {
    verb == Verb::ForceStop
        && match holder {
            Verb::Start
            | Verb::Stop
            | Verb::Reboot
            | Verb::Reset
            | Verb::Pause
            | Verb::Resume
            | Verb::Suspend
            | Verb::Update
            | Verb::Adopt
            | Verb::Redefine
            | Verb::Drain
            | Verb::MountIso
            | Verb::EjectIso => true,
            Verb::Create
            | Verb::ForceStop
            | Verb::Delete
            | Verb::ForceDelete
            // Never hold a VM.
            | Verb::Console
            | Verb::Screenshot
            | Verb::SendKeys => false,
        }
}

fn wake_or_resume(why: PausedReason) -> Plan {
    match why {
        PausedReason::Guest => Plan::Wake,
        PausedReason::User
        | PausedReason::IoError
        | PausedReason::NoSpace
        | PausedReason::Watchdog
        | PausedReason::Crashed
        | PausedReason::Migration
        | PausedReason::Other => Plan::Resume,
    }
}

fn start(state: PowerState) -> Decision {
    match state {
        PowerState::Stopped | PowerState::Crashed(Activity::Inactive) => Decision::Begin(Plan::Boot),
        PowerState::Crashed(Activity::Active) => Decision::Begin(Plan::ClearThenBoot),
        PowerState::Suspended => Decision::Begin(Plan::Restore),
        PowerState::Paused(why) => Decision::Begin(wake_or_resume(why)),
        PowerState::Running => Decision::Denied(Denial::AlreadySo),
        PowerState::Provisioning | PowerState::Migrating | PowerState::Lost | PowerState::Unknown => {
            Decision::Denied(Denial::WrongState(STARTABLE))
        }
    }
}

fn stop(state: PowerState) -> Decision {
    match state {
        PowerState::Running => Decision::Begin(Plan::ShutDown),
        PowerState::Paused(why) => match why {
            PausedReason::IoError | PausedReason::NoSpace => Decision::Denied(Denial::WaitsForDisk(why)),
            PausedReason::User
            | PausedReason::Watchdog
            | PausedReason::Crashed
            | PausedReason::Migration
            | PausedReason::Guest
            | PausedReason::Other => Decision::Begin(Plan::ResumeThenShutDown),
        },
        PowerState::Stopped => Decision::Denied(Denial::AlreadySo),
        PowerState::Provisioning
        | PowerState::Suspended
        | PowerState::Crashed(_)
        | PowerState::Migrating
        | PowerState::Lost
        | PowerState::Unknown => Decision::Denied(Denial::WrongState(RUNNING_PAUSED)),
    }
}

fn force_stop(state: PowerState) -> Decision {
    match state {
        PowerState::Running | PowerState::Paused(_) | PowerState::Crashed(Activity::Active) => {
            Decision::Begin(Plan::PowerOff)
        }
        PowerState::Suspended => Decision::Begin(Plan::DropSaved),
        PowerState::Crashed(Activity::Inactive) => Decision::Begin(Plan::ClearCrash),
        PowerState::Stopped => Decision::Denied(Denial::AlreadySo),
        PowerState::Provisioning | PowerState::Migrating | PowerState::Lost | PowerState::Unknown => {
            Decision::Denied(Denial::WrongState(FORCE_STOPPABLE))
        }
    }
}

fn only_running(state: PowerState, plan: Plan) -> Decision {
    match state {
        PowerState::Running => Decision::Begin(plan),
        PowerState::Provisioning
        | PowerState::Stopped
        | PowerState::Paused(_)
        | PowerState::Suspended
        | PowerState::Crashed(_)
        | PowerState::Migrating
        | PowerState::Lost
        | PowerState::Unknown => Decision::Denied(Denial::WrongState(RUNNING)),
    }
}

fn suspend(situation: &Situation) -> Decision {
    match situation.state {
        PowerState::Running | PowerState::Paused(_) => match situation.lifetime {
            Lifetime::Persistent => Decision::Begin(Plan::Save),
            Lifetime::Transient => Decision::Denied(Denial::Transient),
        },
        PowerState::Suspended => Decision::Denied(Denial::AlreadySo),
        PowerState::Provisioning
        | PowerState::Stopped
        | PowerState::Crashed(_)
        | PowerState::Migrating
        | PowerState::Lost
        | PowerState::Unknown => Decision::Denied(Denial::WrongState(RUNNING_PAUSED)),
    }
}

fn update(situation: &Situation) -> Decision {
    match situation.lifetime {
        Lifetime::Transient => return Decision::Denied(Denial::Transient),
        Lifetime::Persistent => {}
    }
    match situation.state {
        PowerState::Running
        | PowerState::Stopped
        | PowerState::Paused(_)
        | PowerState::Suspended
        | PowerState::Crashed(_)
        | PowerState::Lost
        | PowerState::Unknown => Decision::Now,
        PowerState::Provisioning | PowerState::Migrating => Decision::Denied(Denial::WrongState(SETTLED)),
    }
}

fn delete(situation: &Situation, verb: Verb) -> Decision {
    if situation.protection.is_on() {
        return Decision::Denied(Denial::Protected);
    }
    match situation.lifetime {
        Lifetime::Transient => return Decision::Denied(Denial::Transient),
        Lifetime::Persistent => {}
    }
    match situation.state {
        PowerState::Stopped | PowerState::Suspended | PowerState::Crashed(Activity::Inactive) => {
            Decision::Begin(Plan::Undefine)
        }
        PowerState::Crashed(Activity::Active) => Decision::Begin(Plan::PowerOffThenUndefine),
        PowerState::Lost => Decision::Begin(Plan::Forget),
        PowerState::Running | PowerState::Paused(_) | PowerState::Unknown => {
            if verb == Verb::ForceDelete {
                Decision::Begin(Plan::PowerOffThenUndefine)
            } else {
                Decision::Denied(Denial::NeedsForce)
            }
        }
        PowerState::Provisioning | PowerState::Migrating => Decision::Denied(Denial::WrongState(DELETABLE)),
    }
}

fn adopt(situation: &Situation) -> Decision {
    match situation.origin {
        Origin::ControlPlane | Origin::Imported => return Decision::Denied(Denial::AlreadyManaged),
        Origin::HostDiscovered => {}
    }
    match situation.lifetime {
        Lifetime::Transient => Decision::Denied(Denial::Transient),
        Lifetime::Persistent => match situation.state {
            PowerState::Running
            | PowerState::Stopped
            | PowerState::Paused(_)
            | PowerState::Suspended
            | PowerState::Crashed(_)
            | PowerState::Unknown => Decision::Now,
            PowerState::Provisioning | PowerState::Migrating | PowerState::Lost => {
                Decision::Denied(Denial::WrongState(SETTLED))
            }
        },
    }
}

/// What was seen of a VM while an operation holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    State(PowerState),
    /// The hypervisor no longer knows it.
    Gone,
    /// The guest was reset.
    Rebooted,
}

/// Whether what was begun is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Not yet.
    Waiting,
    /// Done: this is what was wanted.
    Settled,
    /// It can no longer be reached.
    Missed,
}

/// Does what is seen settle `plan`. Used by operations that wait for the guest and by recovery,
/// which asks after a restart whether the interrupted work was done.
#[must_use]
pub fn observe(plan: Plan, seen: Seen) -> Progress {
    match plan {
        Plan::Boot | Plan::Restore | Plan::ClearThenBoot | Plan::Resume | Plan::Wake => match seen {
            Seen::State(PowerState::Running) | Seen::Rebooted => Progress::Settled,
            Seen::State(
                PowerState::Provisioning
                | PowerState::Stopped
                | PowerState::Paused(_)
                | PowerState::Suspended
                | PowerState::Migrating
                | PowerState::Unknown,
            ) => Progress::Waiting,
            Seen::State(PowerState::Crashed(_) | PowerState::Lost) | Seen::Gone => Progress::Missed,
        },
        Plan::ShutDown | Plan::ResumeThenShutDown | Plan::PowerOff | Plan::DropSaved | Plan::ClearCrash => match seen {
            Seen::State(PowerState::Stopped | PowerState::Crashed(Activity::Inactive)) | Seen::Gone => {
                Progress::Settled
            }
            Seen::State(
                PowerState::Provisioning
                | PowerState::Running
                | PowerState::Paused(_)
                | PowerState::Suspended
                | PowerState::Crashed(Activity::Active)
                | PowerState::Migrating
                | PowerState::Unknown,
            )
            | Seen::Rebooted => Progress::Waiting,
            Seen::State(PowerState::Lost) => Progress::Settled,
        },
        Plan::Reboot | Plan::Reset => match seen {
            Seen::Rebooted => Progress::Settled,
            Seen::State(PowerState::Running | PowerState::Paused(_) | PowerState::Migrating | PowerState::Unknown) => {
                Progress::Waiting
            }
            Seen::State(
                PowerState::Provisioning
                | PowerState::Stopped
                | PowerState::Suspended
                | PowerState::Crashed(_)
                | PowerState::Lost,
            )
            | Seen::Gone => Progress::Missed,
        },
        Plan::Pause => match seen {
            Seen::State(PowerState::Paused(_)) => Progress::Settled,
            Seen::State(
                PowerState::Provisioning | PowerState::Running | PowerState::Migrating | PowerState::Unknown,
            )
            | Seen::Rebooted => Progress::Waiting,
            Seen::State(PowerState::Stopped | PowerState::Suspended | PowerState::Crashed(_) | PowerState::Lost)
            | Seen::Gone => Progress::Missed,
        },
        Plan::Save => match seen {
            Seen::State(PowerState::Suspended) => Progress::Settled,
            Seen::State(
                PowerState::Provisioning
                | PowerState::Running
                | PowerState::Paused(_)
                | PowerState::Migrating
                | PowerState::Unknown,
            )
            | Seen::Rebooted => Progress::Waiting,
            Seen::State(PowerState::Stopped | PowerState::Crashed(_) | PowerState::Lost) | Seen::Gone => {
                Progress::Missed
            }
        },
        Plan::Undefine | Plan::PowerOffThenUndefine | Plan::Forget => match seen {
            Seen::Gone | Seen::State(PowerState::Lost) => Progress::Settled,
            Seen::State(
                PowerState::Provisioning
                | PowerState::Running
                | PowerState::Stopped
                | PowerState::Paused(_)
                | PowerState::Suspended
                | PowerState::Crashed(_)
                | PowerState::Migrating
                | PowerState::Unknown,
            )
            | Seen::Rebooted => Progress::Waiting,
        },
        // What a drive holds is no state of power: the end of the call is the end of the change.
        Plan::ChangeMedia => match seen {
            Seen::State(PowerState::Lost) | Seen::Gone => Progress::Missed,
            Seen::State(
                PowerState::Provisioning
                | PowerState::Running
                | PowerState::Stopped
                | PowerState::Paused(_)
                | PowerState::Suspended
                | PowerState::Crashed(_)
                | PowerState::Migrating
                | PowerState::Unknown,
            )
            | Seen::Rebooted => Progress::Waiting,
        },
        Plan::Redefine => match seen {
            Seen::State(PowerState::Lost) | Seen::Gone => Progress::Waiting,
            Seen::State(
                PowerState::Provisioning
                | PowerState::Running
                | PowerState::Stopped
                | PowerState::Paused(_)
                | PowerState::Suspended
                | PowerState::Crashed(_)
                | PowerState::Migrating
                | PowerState::Unknown,
            )
            | Seen::Rebooted => Progress::Settled,
        },
    }
}

/// One verb with its answer, for `allowed_actions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedAction {
    pub verb: Verb,
    /// `None`: allowed.
    pub why_not: Option<String>,
}

/// Every verb of [`Verb::ACTIONS`] with its answer, by the same function that enforces it.
#[must_use]
pub fn allowed_actions(situation: &Situation, vm: &str) -> Vec<AllowedAction> {
    Verb::ACTIONS
        .iter()
        .map(|&verb| AllowedAction {
            verb,
            why_not: match decide(situation, verb) {
                Decision::Begin(_) | Decision::Now => None,
                Decision::Denied(denial) => Some(denial.sentence(vm, situation.state, verb)),
            },
        })
        .collect()
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
