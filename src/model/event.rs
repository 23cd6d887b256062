//! Events: every verb and every outside change, with who, what, when and result.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::vm::Moment;

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Severity {
    Info,
    Warning,
    Error,
}

impl Severity {
    /// The wire's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    Vm,
    Node,
}

/// One event; the store gives it its sequence number, by which events are ordered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub subject: Subject,
    /// Id of the VM or node, as text.
    pub resource_id: String,
    /// Dotted word: `vm.started`, `vm.deleted`, `vm.found`, `node.maintenance`.
    pub kind: String,
    /// A sentence.
    pub message: String,
    /// Who: `api`, `host` for outside changes, `system` for our own.
    pub user: String,
    pub severity: Severity,
    pub at: Moment,
    pub metadata: BTreeMap<String, String>,
}

/// An event with its place in the order.
#[derive(Debug, Clone, PartialEq)]
pub struct SequencedEvent {
    pub sequence: u64,
    pub event: Event,
}
