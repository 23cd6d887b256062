//! Reading single values of a request: every mistake is noted with its field and reading goes on,
//! so that all of them are told at once.

use std::collections::BTreeMap;
use std::str::FromStr;

use buffa::{EnumValue, Enumeration};
use buffa_types::google::protobuf::Timestamp;

use crate::model::event::Severity;
use crate::model::id::{NotAUuid, ProjectId};
use crate::model::validate::{Violation, quoted};
use crate::model::vm::Moment;
use crate::service::error::ServiceError;

/// The mistakes found so far.
#[derive(Default)]
pub(super) struct Reader {
    pub found: Vec<Violation>,
}

impl Reader {
    /// What was read, or every mistake.
    pub fn end<T>(self, read: T) -> Result<T, ServiceError> {
        if self.found.is_empty() { Ok(read) } else { Err(ServiceError::Invalid(self.found)) }
    }

    pub fn wrong(&mut self, field: &str, why: impl Into<String>) {
        self.found.push(Violation::new(field, why));
    }

    /// An id that must be there. `None`: noted.
    pub fn id<T: FromStr<Err = NotAUuid>>(&mut self, field: &str, text: &str) -> Option<T> {
        if text.is_empty() {
            self.wrong(field, "is required: a UUID");
            return None;
        }
        self.optional_id(field, text)
    }

    /// An id that may be left out.
    pub fn optional_id<T: FromStr<Err = NotAUuid>>(&mut self, field: &str, text: &str) -> Option<T> {
        if text.is_empty() {
            return None;
        }
        match text.parse() {
            Ok(id) => Some(id),
            Err(why) => {
                self.wrong(field, why.to_string());
                None
            }
        }
    }

    /// The project that is meant; the first one where it cannot be read.
    pub fn project(&mut self, field: &str, text: &str) -> ProjectId {
        match ProjectId::from_request(text) {
            Ok(id) => id,
            Err(why) => {
                self.wrong(field, why.to_string());
                crate::model::id::DEFAULT_PROJECT
            }
        }
    }

    /// An enum's value that this version knows; its zero otherwise.
    pub fn known<E: Enumeration + Default>(&mut self, field: &str, value: EnumValue<E>) -> E {
        value.as_known().unwrap_or_else(|| {
            self.wrong(field, format!("{} is not one of its values", value.to_i32()));
            E::default()
        })
    }

    /// An RFC 3339 moment; empty: none.
    pub fn moment(&mut self, field: &str, text: &str) -> Option<Moment> {
        if text.is_empty() {
            return None;
        }
        let read = humantime::parse_rfc3339_weak(text)
            .ok()
            .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_micros()).ok());
        if read.is_none() {
            self.wrong(field, format!("must be like 2025-01-31T12:00:00Z; {} was sent", quoted(text)));
        }
        read.map(Moment)
    }

    /// A moment as protobuf has it; `None`: not sent, or noted.
    pub fn timestamp(&mut self, field: &str, sent: Option<&Timestamp>) -> Option<Moment> {
        let sent = sent?;
        let micros = (0..1_000_000_000)
            .contains(&sent.nanos)
            .then(|| sent.seconds.checked_mul(1_000_000)?.checked_add(i64::from(sent.nanos / 1000)))
            .flatten();
        if micros.is_none() {
            self.wrong(field, format!("is no moment: {} s and {} ns", sent.seconds, sent.nanos));
        }
        micros.map(Moment)
    }

    /// How much an event matters; empty: it does not matter how much.
    pub fn severity(&mut self, field: &str, word: &str) -> Option<Severity> {
        let known = match word {
            "" => return None,
            "INFO" => Some(Severity::Info),
            "WARNING" => Some(Severity::Warning),
            "ERROR" => Some(Severity::Error),
            _ => None,
        };
        if known.is_none() {
            self.wrong(field, format!("must be INFO, WARNING or ERROR; {} was sent", quoted(word)));
        }
        known
    }

    /// A count that the wire carries signed.
    pub fn within(&mut self, field: &str, value: i32, max: u32) -> u32 {
        match u32::try_from(value) {
            Ok(value) if value <= max => value,
            Ok(_) | Err(_) => {
                self.wrong(field, format!("must be 0-{max}; {value} was sent"));
                0
            }
        }
    }
}

/// A map of the wire, sorted.
pub(super) fn sorted<'a>(map: impl IntoIterator<Item = (&'a String, &'a String)>) -> BTreeMap<String, String> {
    map.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::VmId;

    #[test]
    fn every_mistake_is_noted() {
        let mut reader = Reader::default();
        assert_eq!(reader.id::<VmId>("id", "nonsense"), None);
        assert_eq!(reader.id::<VmId>("other", ""), None);
        assert_eq!(reader.optional_id::<VmId>("third", ""), None);
        assert_eq!(reader.moment("since", "yesterday"), None);
        assert_eq!(reader.moment("since", "1900-01-01T00:00:00Z"), None);
        assert_eq!(reader.moment("since", "2025-01-31T12:00:00.5Z"), Some(Moment(1_738_324_800_500_000)));
        let fields: Vec<_> = reader.found.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["id", "other", "since", "since"]);
    }
}
