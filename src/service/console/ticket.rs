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
use tokio_util::sync::CancellationToken;

use super::Wanted;
use crate::model::id::VmId;
use crate::service::auth::{Holder, Principal};
use crate::service::error::ServiceError;

/// How long a ticket is good.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(30);
/// Tickets that are out at once at most.
const MOST: usize = 4096;
const SECRET_BYTES: usize = 32;

#[derive(Debug)]
struct Ticket {
    vm: VmId,
    wanted: Wanted,
    until: Instant,
    holder: Holder,
    ended: CancellationToken,
}

impl Ticket {
    fn is_good(&self, vm: VmId, by: Option<&Principal>) -> bool {
        let is_theirs = self.holder == Holder::Bearer || by.is_some_and(|by| by.holder() == self.holder);
        is_theirs && self.vm == vm && self.until > Instant::now() && !self.ended.is_cancelled()
    }
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
    pub fn issue(&self, vm: VmId, wanted: Wanted, to: &Principal) -> Result<String, ServiceError> {
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
        let ticket = Ticket { vm, wanted, until: now + GOOD_FOR, holder: to.holder(), ended: to.ended.clone() };
        out.insert(hash(&secret), ticket);
        Ok(secret)
    }

    /// Use a ticket up, for this VM; what it was given for, where it is good for that VM and theirs
    /// who bring it, and when whoever got it is nobody any more.
    pub fn redeem(&self, secret: &str, vm: VmId, by: Option<&Principal>) -> Option<(Wanted, CancellationToken)> {
        let ticket = self.out.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(secret))?;
        ticket.is_good(vm, by).then_some((ticket.wanted, ticket.ended))
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::SerialHold;
    use crate::model::id::SessionId;
    use crate::service::auth::{Via, Who};

    fn holder(via: Via) -> Principal {
        Principal { via, ..Principal::by_connection(Who::LocalRoot, "") }
    }

    fn root() -> Principal {
        holder(Via::Connection)
    }

    /// For whoever brings it.
    fn redeem(tickets: &Tickets, secret: &str, vm: VmId) -> Option<Wanted> {
        tickets.redeem(secret, vm, None).map(|(wanted, _)| wanted)
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_its_holders_alone_and_ends_with_them() {
        let vm = VmId(uuid::Uuid::from_u128(1));
        let tickets = Tickets::default();
        let session = |number| Via::Session(SessionId(uuid::Uuid::from_u128(number)));
        let mine = holder(session(1));
        let issue = |to: &Principal| tickets.issue(vm, Wanted::Vnc, to).expect("there is room");
        for other in [None, Some(holder(session(2))), Some(root()), Some(holder(Via::ApiToken("1".to_owned())))] {
            assert!(tickets.redeem(&issue(&mine), vm, other.as_ref()).is_none(), "good for {other:?}");
        }
        let by_token = holder(Via::AccessToken(SessionId(uuid::Uuid::from_u128(1))));
        for same in [&mine, &by_token] {
            assert!(tickets.redeem(&issue(&mine), vm, Some(same)).is_some(), "not good for {same:?}");
        }
        let ticket = issue(&mine);
        mine.ended.cancel();
        assert!(tickets.redeem(&ticket, vm, Some(&mine)).is_none(), "good after the session");
    }

    const SERIAL: Wanted = Wanted::Serial(SerialHold::TakeOver);

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_good_once_for_its_vm_and_for_its_time() {
        let (mine, other) = (VmId(uuid::Uuid::from_u128(1)), VmId(uuid::Uuid::from_u128(2)));
        let tickets = Tickets::default();
        let secret = tickets.issue(mine, SERIAL, &root()).expect("there is room");
        assert_eq!(redeem(&tickets, "", mine), None);
        assert_eq!(redeem(&tickets, &secret[1..], mine), None);
        assert_eq!(redeem(&tickets, &secret, mine), Some(SERIAL));
        assert_eq!(redeem(&tickets, &secret, mine), None, "used twice");

        let secret = tickets.issue(mine, Wanted::Vnc, &root()).expect("there is room");
        assert_eq!(redeem(&tickets, &secret, other), None, "good for another VM");
        assert_eq!(redeem(&tickets, &secret, mine), None, "good after it was tried elsewhere");

        let secret = tickets.issue(mine, Wanted::Vnc, &root()).expect("there is room");
        tokio::time::advance(GOOD_FOR - Duration::from_millis(1)).await;
        assert_eq!(redeem(&tickets, &secret, mine), Some(Wanted::Vnc));
        let secret = tickets.issue(mine, Wanted::Vnc, &root()).expect("there is room");
        tokio::time::advance(GOOD_FOR).await;
        assert_eq!(redeem(&tickets, &secret, mine), None, "good after its time");
    }

    #[tokio::test(start_paused = true)]
    async fn tickets_that_nobody_uses_are_bounded_and_forgotten() {
        let vm = VmId(uuid::Uuid::from_u128(1));
        let tickets = Tickets::default();
        let first = tickets.issue(vm, SERIAL, &root()).expect("there is room");
        for _ in 1..MOST {
            assert_ne!(tickets.issue(vm, SERIAL, &root()).expect("there is room"), first);
        }
        assert!(matches!(tickets.issue(vm, SERIAL, &root()), Err(ServiceError::Exhausted(_))));
        tokio::time::advance(GOOD_FOR).await;
        tickets.issue(vm, SERIAL, &root()).expect("those of before are forgotten");
    }
}
