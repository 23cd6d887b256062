//! Typed identifiers. A VM's id is libvirt's domain UUID, chosen by us before the first side
//! effect, so that what a crash left behind is found again by name (ARCHITECTURE, decision 1).

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The project that an empty or `default` project id means.
pub const DEFAULT_PROJECT: ProjectId = ProjectId(Uuid::from_u128(1));

/// The text was not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a UUID; write it like 0b5c1a2e-1111-4222-8333-944444444444")]
pub struct NotAUuid {
    /// What was sent, clipped to 64 characters.
    pub text: String,
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh random id.
            #[must_use]
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The sixteen bytes, in the order in which they are stored and sorted.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id of sixteen stored bytes.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.as_hyphenated(), f)
            }
        }

        impl FromStr for $name {
            type Err = NotAUuid;
            fn from_str(text: &str) -> Result<Self, NotAUuid> {
                // Only the hyphenated form: one id has one spelling.
                if text.len() != 36 {
                    return Err(NotAUuid { text: clip(text, 64) });
                }
                Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|_| NotAUuid { text: clip(text, 64) })
            }
        }
    };
}

typed_id!(
    /// A VM: libvirt's domain UUID.
    VmId
);
typed_id!(
    /// A node: libvirt's host UUID at first start, else random; the store's word wins later.
    NodeId
);
typed_id!(
    /// A project that owns VMs.
    ProjectId
);
typed_id!(
    /// A user.
    UserId
);
typed_id!(
    /// A session of a user.
    SessionId
);
typed_id!(
    /// An operation: time-ordered (UUID version 7), so that newest-first is key order reversed.
    OperationId
);

impl OperationId {
    /// A fresh id, after every other that this process gave out or was shown.
    #[must_use]
    pub fn now() -> Self {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        *last = following(*last, Uuid::now_v7());
        Self(*last)
    }

    /// Give out later ones than this, which an earlier process made: the clock may have gone back
    /// between the two.
    pub fn begin_after(newest: Self) {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        *last = newest.0.max(*last);
    }
}

/// The last operation's id. Order is by these ids, and the wall clock in them may jump.
static LAST: Mutex<Uuid> = Mutex::new(Uuid::nil());

/// `fresh`, moved to the millisecond after `last` where the clock is behind it.
fn following(last: Uuid, fresh: Uuid) -> Uuid {
    /// Bits below the 48 of the milliseconds.
    const BELOW: u32 = 80;
    if fresh > last {
        return fresh;
    }
    let millisecond = (last.as_u128() >> BELOW) + 1;
    let moved = (millisecond << BELOW) | (fresh.as_u128() & ((1 << BELOW) - 1));
    // Beyond the last millisecond of all there is no order left to keep.
    if millisecond >> (u128::BITS - BELOW) == 0 { Uuid::from_u128(moved) } else { fresh }
}

impl ProjectId {
    /// The project that a request names: empty and `default` are [`DEFAULT_PROJECT`].
    ///
    /// # Errors
    /// [`NotAUuid`] for any other text that is not a UUID.
    pub fn from_request(text: &str) -> Result<Self, NotAUuid> {
        match text {
            "" | "default" => Ok(DEFAULT_PROJECT),
            other => other.parse(),
        }
    }
}

/// At most `max` characters of `text`, with an ellipsis where something was cut: outside text
/// goes into messages clipped, never whole.
#[must_use]
pub fn clip(text: &str, max: usize) -> String {
    let mut out: String = text.chars().take(max).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_uuid_is_an_id() {
        assert!("11111111-1111-1111-1111-111111111111".parse::<VmId>().is_ok());
        for bad in ["", "11111111111111111111111111111111", "{11111111-1111-1111-1111-111111111111}", "x"] {
            assert!(bad.parse::<VmId>().is_err(), "{bad} was taken for a UUID");
        }
    }

    /// R14.
    #[test]
    fn operations_are_in_order_when_the_clock_goes_back() {
        let ids: Vec<OperationId> = (0..1000).map(|_| OperationId::now()).collect();
        assert!(ids.is_sorted_by(|left, right| left < right));
        // A process of next year was here, and then the clock was put right.
        let ahead = Uuid::from_u128(Uuid::now_v7().as_u128() + ((365 * 86_400_000) << 80));
        let mut last = ahead;
        for _ in 0..1000 {
            let next = following(last, Uuid::now_v7());
            assert!(next > last && next.get_version_num() == 7 && next.get_variant() == uuid::Variant::RFC4122);
            last = next;
        }
        let end = Uuid::from_u128(u128::MAX);
        let fresh = Uuid::now_v7();
        assert_eq!(following(end, fresh), fresh, "there is nothing after it");
    }

    #[test]
    fn empty_and_default_name_the_first_project() {
        assert_eq!(ProjectId::from_request("").ok(), Some(DEFAULT_PROJECT));
        assert_eq!(ProjectId::from_request("default").ok(), Some(DEFAULT_PROJECT));
        assert_eq!(DEFAULT_PROJECT.to_string(), "00000000-0000-0000-0000-000000000001");
    }
}
