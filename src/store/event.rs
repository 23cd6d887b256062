//! Events, in the order of their sequence numbers (clocks jump), up to a bound.

use redb::{ReadableTable, ReadableTableMetadata};

use super::codec::{decode, encode};
use super::error::StoreError;
use super::stored::{EventV1, subject_code};
use super::tables::{EVENTS, EVENTS_BY_RESOURCE};
use super::{Store, Transaction, key};
use crate::model::event::{Event, SequencedEvent, Severity, Subject};
use crate::model::vm::Moment;

/// Events that are kept, the oldest going first.
pub(super) const KEPT: u64 = 50_000;

/// Which events are meant; empty fields mean all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    pub subject: Option<Subject>,
    pub resource_id: Option<String>,
    pub kinds: Vec<String>,
    pub severity: Option<Severity>,
    /// At or after.
    pub since: Option<Moment>,
    /// What the message holds, in lower case; case does not matter there.
    pub search: Option<String>,
    /// Only older ones than the event of this number.
    pub before: Option<u64>,
    pub limit: usize,
}

impl EventFilter {
    fn matches(&self, event: &Event) -> bool {
        self.subject.is_none_or(|subject| event.subject == subject)
            && self.resource_id.as_ref().is_none_or(|id| event.resource_id == *id)
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && self.severity.is_none_or(|severity| event.severity == severity)
            && self.since.is_none_or(|since| event.at >= since)
            && self.search.as_ref().is_none_or(|text| event.message.to_lowercase().contains(text))
    }
}

/// The event's row in the index of resources.
pub(super) fn index_key(event: &Event, sequence: &[u8]) -> Vec<u8> {
    key(&[&resource_prefix(event.subject, &event.resource_id), sequence])
}

fn resource_prefix(subject: Subject, resource_id: &str) -> Vec<u8> {
    key(&[&[subject_code(subject)], resource_id.as_bytes(), &[0]])
}

pub(super) fn sequence_of(bytes: &[u8]) -> Result<u64, StoreError> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| StoreError::BadRow {
        table: "events",
        row: format!("{bytes:02x?}"),
        why: "its key is no sequence number".to_owned(),
    })
}

impl Store {
    /// The events that match, newest first.
    ///
    /// # Errors
    /// The store's.
    pub fn event_list(&self, filter: &EventFilter) -> Result<Vec<SequencedEvent>, StoreError> {
        let tx = self.read()?;
        let events = tx.open_table(EVENTS)?;
        let mut found = Vec::new();
        if filter.limit == 0 {
            return Ok(found);
        }
        let begin = filter.before.unwrap_or(u64::MAX).to_be_bytes();
        let read = |sequence: u64, bytes: &[u8]| -> Result<Option<SequencedEvent>, StoreError> {
            let event: Event = decode::<EventV1>(bytes, sequence)?.try_into()?;
            Ok(filter.matches(&event).then_some(SequencedEvent { sequence, event }))
        };
        let Some(resource) = &filter.resource_id else {
            for entry in events.range(..begin.as_slice())?.rev() {
                let (at, value) = entry?;
                found.extend(read(sequence_of(at.value())?, value.value())?);
                if found.len() == filter.limit {
                    break;
                }
            }
            return Ok(found);
        };
        let index = tx.open_table(EVENTS_BY_RESOURCE)?;
        for subject in filter.subject.map_or(vec![Subject::Vm, Subject::Node], |subject| vec![subject]) {
            let prefix = resource_prefix(subject, resource);
            let end = key(&[&prefix, &begin]);
            let mut left = filter.limit;
            for entry in index.range(prefix.as_slice()..end.as_slice())?.rev() {
                let (at, _) = entry?;
                let sequence = sequence_of(at.value().get(prefix.len()..).unwrap_or_default())?;
                let Some(value) = events.get(sequence.to_be_bytes().as_slice())? else { continue };
                let event = read(sequence, value.value())?;
                left -= usize::from(event.is_some());
                found.extend(event);
                if left == 0 {
                    break;
                }
            }
        }
        found.sort_by_key(|event| std::cmp::Reverse(event.sequence));
        found.truncate(filter.limit);
        Ok(found)
    }
}

impl Transaction<'_> {
    /// Append an event; answers with its sequence number.
    ///
    /// # Errors
    /// The store's.
    pub fn event_append(&mut self, event: &Event) -> Result<u64, StoreError> {
        let mut events = self.tx.open_table(EVENTS)?;
        let mut index = self.tx.open_table(EVENTS_BY_RESOURCE)?;
        let last = events.last()?.map(|(at, _)| sequence_of(at.value())).transpose()?;
        let sequence = last.map_or(1, |last| last + 1);
        let at = sequence.to_be_bytes();
        events.insert(at.as_slice(), encode(&EventV1::from(event))?.as_slice())?;
        index.insert(index_key(event, &at).as_slice(), [].as_slice())?;
        while events.len()? > KEPT {
            let Some((at, old)) = events.pop_first()?.map(|(at, value)| (at.value().to_vec(), value.value().to_vec()))
            else {
                break;
            };
            let old: Event = decode::<EventV1>(&old, sequence_of(&at)?)?.try_into()?;
            index.remove(index_key(&old, &at).as_slice())?;
        }
        self.events.push(SequencedEvent { sequence, event: event.clone() });
        Ok(sequence)
    }
}
