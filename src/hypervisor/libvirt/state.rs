//! libvirt's domain states as ours, as one table.

use virt::sys;

use crate::model::vm::{Activity, PausedReason, PowerState};

/// Facts about a domain that its state alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Facts {
    /// Memory is saved on disk.
    pub saved: bool,
    /// Its last I/O error was for want of space.
    pub no_space: bool,
}

/// The state, and a sentence where it has a reason worth telling.
pub(super) fn power_state(state: u32, reason: u32, facts: Facts) -> (PowerState, &'static str) {
    match state {
        sys::VIR_DOMAIN_RUNNING | sys::VIR_DOMAIN_BLOCKED | sys::VIR_DOMAIN_SHUTDOWN => (PowerState::Running, ""),
        sys::VIR_DOMAIN_PAUSED => paused(reason, facts),
        sys::VIR_DOMAIN_SHUTOFF if facts.saved => (PowerState::Suspended, ""),
        sys::VIR_DOMAIN_SHUTOFF => match reason {
            sys::VIR_DOMAIN_SHUTOFF_CRASHED => {
                (PowerState::Crashed(Activity::Inactive), "the guest's QEMU process died or was killed")
            }
            sys::VIR_DOMAIN_SHUTOFF_FAILED => (PowerState::Stopped, "the last start failed"),
            _ => (PowerState::Stopped, ""),
        },
        sys::VIR_DOMAIN_CRASHED => (PowerState::Crashed(Activity::Active), "the guest's kernel panicked"),
        sys::VIR_DOMAIN_PMSUSPENDED => (PowerState::Paused(PausedReason::Guest), "the guest put itself to sleep"),
        _ => (PowerState::Unknown, ""),
    }
}

fn paused(reason: u32, facts: Facts) -> (PowerState, &'static str) {
    match reason {
        sys::VIR_DOMAIN_PAUSED_USER => (PowerState::Paused(PausedReason::User), ""),
        sys::VIR_DOMAIN_PAUSED_IOERROR if facts.no_space => {
            (PowerState::Paused(PausedReason::NoSpace), "a disk of the guest has no space left on the host")
        }
        sys::VIR_DOMAIN_PAUSED_IOERROR => {
            (PowerState::Paused(PausedReason::IoError), "a disk of the guest gave an I/O error")
        }
        sys::VIR_DOMAIN_PAUSED_WATCHDOG => (PowerState::Paused(PausedReason::Watchdog), "the guest's watchdog fired"),
        sys::VIR_DOMAIN_PAUSED_CRASHED => {
            (PowerState::Crashed(Activity::Active), "the guest's kernel panicked and it is held for inspection")
        }
        sys::VIR_DOMAIN_PAUSED_MIGRATION | sys::VIR_DOMAIN_PAUSED_POSTCOPY => {
            (PowerState::Paused(PausedReason::Migration), "")
        }
        // A VM that is being started is paused until its QEMU is ready.
        sys::VIR_DOMAIN_PAUSED_STARTING_UP => (PowerState::Running, ""),
        _ => (PowerState::Paused(PausedReason::Other), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_behaviour() {
        let plain = Facts::default();
        let saved = Facts { saved: true, no_space: false };
        let full = Facts { saved: false, no_space: true };
        for (state, reason, facts, wanted) in [
            (sys::VIR_DOMAIN_RUNNING, 1, plain, PowerState::Running),
            (sys::VIR_DOMAIN_BLOCKED, 0, plain, PowerState::Running),
            (sys::VIR_DOMAIN_SHUTDOWN, 1, plain, PowerState::Running),
            (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_USER, plain, PowerState::Paused(PausedReason::User)),
            (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_IOERROR, plain, PowerState::Paused(PausedReason::IoError)),
            (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_IOERROR, full, PowerState::Paused(PausedReason::NoSpace)),
            (
                sys::VIR_DOMAIN_PAUSED,
                sys::VIR_DOMAIN_PAUSED_WATCHDOG,
                plain,
                PowerState::Paused(PausedReason::Watchdog),
            ),
            (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_CRASHED, plain, PowerState::Crashed(Activity::Active)),
            (
                sys::VIR_DOMAIN_PAUSED,
                sys::VIR_DOMAIN_PAUSED_MIGRATION,
                plain,
                PowerState::Paused(PausedReason::Migration),
            ),
            (sys::VIR_DOMAIN_PAUSED, 99, plain, PowerState::Paused(PausedReason::Other)),
            (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_SHUTDOWN, plain, PowerState::Stopped),
            (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_DESTROYED, plain, PowerState::Stopped),
            (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_FAILED, plain, PowerState::Stopped),
            (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_CRASHED, plain, PowerState::Crashed(Activity::Inactive)),
            (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_SAVED, saved, PowerState::Suspended),
            (sys::VIR_DOMAIN_CRASHED, 1, plain, PowerState::Crashed(Activity::Active)),
            (sys::VIR_DOMAIN_PMSUSPENDED, 0, plain, PowerState::Paused(PausedReason::Guest)),
            (sys::VIR_DOMAIN_NOSTATE, 0, plain, PowerState::Unknown),
            (99, 0, plain, PowerState::Unknown),
        ] {
            assert_eq!(power_state(state, reason, facts).0, wanted, "state {state}, reason {reason}");
        }
    }
}
