//! Tickets: what lets a WebSocket in, which can carry no header of ours from a browser. Random, good
//! once, for one console and for a short time by a clock that nobody sets.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::Wanted;
use crate::model::id::VmId;
use crate::service::error::ServiceError;

/// How long a ticket is good.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(30);
/// Tickets that are out at once at most.
const MOST: usize = 4096;
const SECRET_BYTES: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticket {
    vm: VmId,
    wanted: Wanted,
    until: Instant,
}

/// The tickets that are out.
#[derive(Default)]
pub(super) struct Tickets {
    /// By the hash: a lookup that stops early tells nothing of a secret.
    out: Mutex<HashMap<[u8; 32], Ticket>>,
}

impl Tickets {
    /// A new one.
    ///
    /// # Errors
    /// `Exhausted` where too many are out; `Internal` where the kernel has no randomness.
    pub fn issue(&self, vm: VmId, wanted: Wanted) -> Result<String, ServiceError> {
        let mut secret = [0_u8; SECRET_BYTES];
        let got = getrandom(&mut secret, GetRandomFlags::empty())
            .map_err(|why| ServiceError::Internal(format!("the kernel gives no random bytes: {why}")))?;
        if got != SECRET_BYTES {
            return Err(ServiceError::Internal(format!("the kernel gave {got} random bytes of {SECRET_BYTES}")));
        }
        let secret = URL_SAFE_NO_PAD.encode(secret);
        let now = Instant::now();
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if out.len() >= MOST {
            out.retain(|_, ticket| ticket.until > now);
        }
        if out.len() >= MOST {
            return Err(ServiceError::Exhausted(format!(
                "{MOST} console tickets are out and unused; wait {} seconds and ask again",
                GOOD_FOR.as_secs()
            )));
        }
        out.insert(hash(&secret), Ticket { vm, wanted, until: now + GOOD_FOR });
        Ok(secret)
    }

    /// Use a ticket up, for this VM; what it was given for, where it is good for that VM.
    pub fn redeem(&self, secret: &str, vm: VmId) -> Option<Wanted> {
        let ticket = self.out.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(secret))?;
        (ticket.vm == vm && ticket.until > Instant::now()).then_some(ticket.wanted)
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::SerialHold;

    const SERIAL: Wanted = Wanted::Serial(SerialHold::TakeOver);

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_good_once_for_its_vm_and_for_its_time() {
        let (mine, other) = (VmId(uuid::Uuid::from_u128(1)), VmId(uuid::Uuid::from_u128(2)));
        let tickets = Tickets::default();
        let secret = tickets.issue(mine, SERIAL).expect("there is room");
        assert_eq!(tickets.redeem("", mine), None);
        assert_eq!(tickets.redeem(&secret[1..], mine), None);
        assert_eq!(tickets.redeem(&secret, mine), Some(SERIAL));
        assert_eq!(tickets.redeem(&secret, mine), None, "used twice");

        let secret = tickets.issue(mine, Wanted::Vnc).expect("there is room");
        assert_eq!(tickets.redeem(&secret, other), None, "good for another VM");
        assert_eq!(tickets.redeem(&secret, mine), None, "good after it was tried elsewhere");

        let secret = tickets.issue(mine, Wanted::Vnc).expect("there is room");
        tokio::time::advance(GOOD_FOR - Duration::from_millis(1)).await;
        assert_eq!(tickets.redeem(&secret, mine), Some(Wanted::Vnc));
        let secret = tickets.issue(mine, Wanted::Vnc).expect("there is room");
        tokio::time::advance(GOOD_FOR).await;
        assert_eq!(tickets.redeem(&secret, mine), None, "good after its time");
    }

    #[tokio::test(start_paused = true)]
    async fn tickets_that_nobody_uses_are_bounded_and_forgotten() {
        let vm = VmId(uuid::Uuid::from_u128(1));
        let tickets = Tickets::default();
        let first = tickets.issue(vm, SERIAL).expect("there is room");
        for _ in 1..MOST {
            assert_ne!(tickets.issue(vm, SERIAL).expect("there is room"), first);
        }
        assert!(matches!(tickets.issue(vm, SERIAL), Err(ServiceError::Exhausted(_))));
        tokio::time::advance(GOOD_FOR).await;
        tickets.issue(vm, SERIAL).expect("those of before are forgotten");
    }
}
