//! Why a use case did not do what it was asked. One variant a situation (BEHAVIOUR §2); `kind`
//! is the situation's word, from which `rpc::error` makes the Connect code and operations keep
//! theirs. Messages are whole sentences for people; `Internal`'s is for the log alone.

use crate::hypervisor::HypervisorError;
use crate::model::id::OperationId;
use crate::model::validate::Violation;
use crate::store::StoreError;

/// A failed use case.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ServiceError {
    /// The request breaks rules: all of them at once.
    #[error("{}", join(.0))]
    Invalid(Vec<Violation>),
    /// What stands in the way of a request, all of it at once: of several kinds, or of one that is
    /// no broken rule. The gravest is the situation.
    #[error("{}", join_findings(.0))]
    Several(Vec<Finding>),
    #[error("{what} '{id}' not found")]
    NotFound { what: &'static str, id: String },
    #[error("{0}")]
    AlreadyExists(String),
    /// The verb does not fit the state, the resource is in use, the node is not schedulable.
    #[error("{message}")]
    Precondition {
        /// One word for programs, such as `WRONG_STATE`.
        reason: &'static str,
        /// The VM or node at fault, by id.
        subject: String,
        message: String,
    },
    /// Another operation holds the VM.
    #[error("{message}")]
    Busy { operation: OperationId, message: String },
    /// `resource_version` is not the present one.
    #[error("{0}")]
    Stale(String),
    /// Not enough of something; needed and free are in the sentence.
    #[error("{0}")]
    Exhausted(String),
    /// No identity, or one that is none any more.
    #[error("{0}")]
    Unauthenticated(String),
    /// The caller may not; the sentence says who may.
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Unavailable(String),
    /// Declared, but not offered by this version or this host.
    #[error("{field}: {message}")]
    Unimplemented { field: String, message: String },
    #[error("{0}")]
    DeadlineExceeded(String),
    #[error("{0}")]
    Cancelled(String),
    /// Something of ours or below us failed in a way that the client cannot help.
    #[error("{0}")]
    Internal(String),
}

/// One thing that stands in the way of a request, under the field that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Path in the request, as a [`Violation`]'s.
    pub field: String,
    /// Continues a sentence that begins with the field.
    pub description: String,
    pub kind: FindingKind,
}

/// What kind of thing; the gravest first, which is the one that waiting helps least.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// The caller may not; the description says who may.
    Denied,
    Invalid,
    NotFound {
        what: &'static str,
        id: String,
    },
    AlreadyExists,
    Unimplemented,
    Precondition {
        /// As of [`ServiceError::Precondition`].
        reason: &'static str,
        subject: String,
    },
    Exhausted,
}

impl FindingKind {
    fn situation(&self) -> ErrorKind {
        match self {
            Self::Denied => ErrorKind::PermissionDenied,
            Self::Invalid => ErrorKind::InvalidArgument,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::AlreadyExists => ErrorKind::AlreadyExists,
            Self::Unimplemented => ErrorKind::Unimplemented,
            Self::Precondition { .. } => ErrorKind::FailedPrecondition,
            Self::Exhausted => ErrorKind::ResourceExhausted,
        }
    }
}

impl Finding {
    /// `description` continues a sentence that begins with the field.
    #[must_use]
    pub fn new(field: &str, kind: FindingKind, description: impl Into<String>) -> Self {
        Self { field: field.to_owned(), description: description.into(), kind }
    }
}

impl From<Violation> for Finding {
    fn from(violation: Violation) -> Self {
        Self { field: violation.field, description: violation.description, kind: FindingKind::Invalid }
    }
}

/// The one that decides what a request that met all of them is answered.
#[must_use]
pub fn gravest(findings: &[Finding]) -> Option<&Finding> {
    findings.iter().min_by(|left, right| left.kind.cmp(&right.kind))
}

/// The situation, in Connect's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    InvalidArgument,
    NotFound,
    AlreadyExists,
    FailedPrecondition,
    Aborted,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
    DeadlineExceeded,
    Canceled,
    Unauthenticated,
    PermissionDenied,
    Internal,
}

impl ErrorKind {
    /// The word that operations keep.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::FailedPrecondition => "failed_precondition",
            Self::Aborted => "aborted",
            Self::ResourceExhausted => "resource_exhausted",
            Self::Unavailable => "unavailable",
            Self::Unimplemented => "unimplemented",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Canceled => "canceled",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::Internal => "internal",
        }
    }
}

impl ServiceError {
    /// The situation that this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::InvalidArgument,
            Self::Several(findings) => {
                gravest(findings).map_or(ErrorKind::InvalidArgument, |finding| finding.kind.situation())
            }
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::AlreadyExists(_) => ErrorKind::AlreadyExists,
            Self::Precondition { .. } => ErrorKind::FailedPrecondition,
            Self::Busy { .. } | Self::Stale(_) => ErrorKind::Aborted,
            Self::Exhausted(_) => ErrorKind::ResourceExhausted,
            Self::Unauthenticated(_) => ErrorKind::Unauthenticated,
            Self::Denied(_) => ErrorKind::PermissionDenied,
            Self::Unavailable(_) => ErrorKind::Unavailable,
            Self::Unimplemented { .. } => ErrorKind::Unimplemented,
            Self::DeadlineExceeded(_) => ErrorKind::DeadlineExceeded,
            Self::Cancelled(_) => ErrorKind::Canceled,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// A single broken rule.
    #[must_use]
    pub fn invalid(field: &str, description: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation::new(field, description)])
    }

    /// Everything that stands in the way at once.
    #[must_use]
    pub fn several(findings: Vec<Finding>) -> Self {
        if findings.iter().all(|finding| finding.kind == FindingKind::Invalid) {
            let violation = |finding: Finding| Violation { field: finding.field, description: finding.description };
            return Self::Invalid(findings.into_iter().map(violation).collect());
        }
        Self::Several(findings)
    }

    /// No VM of this id.
    #[must_use]
    pub fn no_vm(id: impl ToString) -> Self {
        Self::NotFound { what: "VM", id: id.to_string() }
    }

    /// No node of this id.
    #[must_use]
    pub fn no_node(id: impl ToString) -> Self {
        Self::NotFound { what: "Node", id: id.to_string() }
    }
}

fn join(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn join_findings(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{}: {}", finding.field, finding.description)).collect::<Vec<_>>().join("; ")
}

impl From<HypervisorError> for ServiceError {
    fn from(error: HypervisorError) -> Self {
        let message = error.to_string();
        match error {
            HypervisorError::Unreachable(_) => Self::Unavailable(message),
            HypervisorError::NoSuchVm(id) => Self::no_vm(id),
            HypervisorError::NotFound(what) => {
                Self::Precondition { reason: "NOT_ON_HOST", subject: String::new(), message: what }
            }
            HypervisorError::AlreadyExists(what) => Self::AlreadyExists(what),
            HypervisorError::Refused(_) => Self::Invalid(vec![Violation::new("spec", message)]),
            HypervisorError::InUse(_) => Self::Precondition { reason: "IN_USE", subject: String::new(), message },
            HypervisorError::TrayHeld(_) => Self::Precondition { reason: "TRAY_HELD", subject: String::new(), message },
            HypervisorError::WrongState(_) => {
                Self::Precondition { reason: "HYPERVISOR_STATE", subject: String::new(), message }
            }
            HypervisorError::Unsupported(what) => Self::Unimplemented { field: "spec".to_owned(), message: what },
            HypervisorError::NoSpace(what) => Self::Exhausted(what),
            HypervisorError::AgentUnresponsive(_) => Self::Unavailable(message),
            HypervisorError::TimedOut(_) => Self::DeadlineExceeded(message),
            // libvirt's and QEMU's own words are the administrator's best clue: they are told.
            HypervisorError::Failed(_) => {
                Self::Precondition { reason: "HYPERVISOR_FAILED", subject: String::new(), message }
            }
        }
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::AlreadyExists { .. } => Self::AlreadyExists(message),
            StoreError::Full { .. } => Self::Exhausted(message),
            // The disk is the administrator's to mend: what is wrong with it is told.
            StoreError::NotWritten { .. } | StoreError::Broken(_) => Self::Unavailable(message),
            StoreError::NotFound { .. } | StoreError::BadRow { .. } | StoreError::Database(_) => {
                Self::Internal(format!("the state file failed: {message}"))
            }
        }
    }
}
