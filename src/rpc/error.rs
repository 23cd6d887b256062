//! The one map from our errors to Connect's codes, with typed details beside every message, so
//! that no client parses text.

use buffa::Message;
use connectrpc::{ConnectError, ErrorCode, ErrorDetail};
use quantixkvm_proto::google::rpc as details;

use crate::model::validate::Violation;
use crate::service::error::{ErrorKind, Finding, FindingKind, ServiceError, gravest};

/// Who defines the constants of `ErrorInfo`.
const DOMAIN: &str = "quantixkvm";

fn code(kind: ErrorKind) -> ErrorCode {
    match kind {
        ErrorKind::InvalidArgument => ErrorCode::InvalidArgument,
        ErrorKind::NotFound => ErrorCode::NotFound,
        ErrorKind::AlreadyExists => ErrorCode::AlreadyExists,
        ErrorKind::FailedPrecondition => ErrorCode::FailedPrecondition,
        ErrorKind::Aborted => ErrorCode::Aborted,
        ErrorKind::ResourceExhausted => ErrorCode::ResourceExhausted,
        ErrorKind::Unavailable => ErrorCode::Unavailable,
        ErrorKind::Unimplemented => ErrorCode::Unimplemented,
        ErrorKind::DeadlineExceeded => ErrorCode::DeadlineExceeded,
        ErrorKind::Canceled => ErrorCode::Canceled,
        ErrorKind::Unauthenticated => ErrorCode::Unauthenticated,
        ErrorKind::PermissionDenied => ErrorCode::PermissionDenied,
        ErrorKind::Internal => ErrorCode::Internal,
    }
}

fn detail(name: &str, message: &impl Message) -> ErrorDetail {
    ErrorDetail::from_message(format!("google.rpc.{name}"), message)
}

fn info(reason: &str, facts: &[(&str, &str)]) -> ErrorDetail {
    let message = details::ErrorInfo {
        reason: reason.to_owned(),
        domain: DOMAIN.to_owned(),
        metadata: facts
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..Default::default()
    };
    detail("ErrorInfo", &message)
}

/// Each violation of a request, for a form to show beside its field.
fn violations_of<'a>(all: impl Iterator<Item = (&'a String, &'a String)>) -> ErrorDetail {
    let field_violations = all
        .map(|(field, description)| details::bad_request::FieldViolation {
            field: field.clone(),
            description: description.clone(),
            ..Default::default()
        })
        .collect();
    detail("BadRequest", &details::BadRequest { field_violations, ..Default::default() })
}

fn not_found(what: &str, id: &str, sentence: &str) -> ErrorDetail {
    let info = details::ResourceInfo {
        resource_type: what.to_lowercase(),
        resource_name: id.to_owned(),
        description: sentence.to_owned(),
        ..Default::default()
    };
    detail("ResourceInfo", &info)
}

fn precondition(reason: &str, subject: &str, message: &str) -> Vec<ErrorDetail> {
    let violation = details::precondition_failure::Violation {
        r#type: reason.to_owned(),
        subject: subject.to_owned(),
        description: message.to_owned(),
        ..Default::default()
    };
    let failure = details::PreconditionFailure { violations: vec![violation], ..Default::default() };
    vec![info(reason, &[("subject", subject)]), detail("PreconditionFailure", &failure)]
}

fn quota(message: &str) -> ErrorDetail {
    let violation = details::quota_failure::Violation { description: message.to_owned(), ..Default::default() };
    detail("QuotaFailure", &details::QuotaFailure { violations: vec![violation], ..Default::default() })
}

/// The details that a finding has when it is the only one.
fn alone(finding: &Finding) -> Vec<ErrorDetail> {
    match &finding.kind {
        FindingKind::Denied | FindingKind::Invalid | FindingKind::AlreadyExists => Vec::new(),
        FindingKind::NotFound { what, id } => vec![not_found(what, id, &finding.description)],
        FindingKind::Unimplemented => vec![info("NOT_OFFERED", &[("field", &finding.field)])],
        FindingKind::Precondition { reason, subject } => precondition(reason, subject, &finding.description),
        FindingKind::Exhausted => vec![quota(&finding.description)],
    }
}

/// What a client is told. The cause of an internal error goes to the log alone, under the
/// request's id.
pub(super) fn connect(error: &ServiceError, request_id: &str) -> ConnectError {
    let code = code(error.kind());
    let sentence = if let ServiceError::Internal(cause) = error {
        tracing::error!(%cause, "internal error");
        format!("internal error; the log holds its cause under request id {request_id}")
    } else {
        error.to_string()
    };
    let found = match error {
        ServiceError::Invalid(violations) => {
            vec![violations_of(violations.iter().map(|Violation { field, description }| (field, description)))]
        }
        // Each beside its field, and what the gravest alone would say.
        ServiceError::Several(findings) => {
            let all = violations_of(findings.iter().map(|finding| (&finding.field, &finding.description)));
            std::iter::once(all).chain(gravest(findings).into_iter().flat_map(alone)).collect()
        }
        ServiceError::NotFound { what, id } => vec![not_found(what, id, &sentence)],
        ServiceError::Precondition { reason, subject, message } => precondition(reason, subject, message),
        ServiceError::Busy { operation, .. } => {
            let retry = details::RetryInfo {
                retry_delay: buffa_types::google::protobuf::Duration { seconds: 1, ..Default::default() }.into(),
                ..Default::default()
            };
            vec![info("BUSY", &[("operation_id", &operation.to_string())]), detail("RetryInfo", &retry)]
        }
        ServiceError::Stale(_) => vec![info("STALE_RESOURCE_VERSION", &[])],
        ServiceError::Exhausted(message) => vec![quota(message)],
        ServiceError::Unimplemented { field, .. } => vec![info("NOT_OFFERED", &[("field", field)])],
        ServiceError::Internal(_) => vec![detail(
            "RequestInfo",
            &details::RequestInfo { request_id: request_id.to_owned(), ..Default::default() },
        )],
        ServiceError::AlreadyExists(_)
        | ServiceError::Unauthenticated(_)
        | ServiceError::Denied(_)
        | ServiceError::Unavailable(_)
        | ServiceError::DeadlineExceeded(_)
        | ServiceError::Cancelled(_) => Vec::new(),
    };
    found.into_iter().fold(ConnectError::new(code, sentence), ConnectError::with_detail)
}

/// What a client was told the first time, by the word of its code.
pub(super) fn again(code: &str, message: String) -> ConnectError {
    let code = serde_json::from_value(serde_json::Value::String(code.to_owned())).unwrap_or(ErrorCode::Unknown);
    ConnectError::new(code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_situation_has_its_code_under_its_own_word() {
        let situations = [
            ServiceError::Invalid(vec![Violation::new("name", "is required")]),
            ServiceError::Several(vec![Finding::new("spec", FindingKind::Exhausted, "is too much")]),
            ServiceError::no_vm("x"),
            ServiceError::AlreadyExists("x".to_owned()),
            ServiceError::Precondition { reason: "WRONG_STATE", subject: String::new(), message: String::new() },
            ServiceError::Busy { operation: crate::model::id::OperationId::now(), message: String::new() },
            ServiceError::Stale(String::new()),
            ServiceError::Exhausted(String::new()),
            ServiceError::Unavailable(String::new()),
            ServiceError::Unimplemented { field: String::new(), message: String::new() },
            ServiceError::DeadlineExceeded(String::new()),
            ServiceError::Cancelled(String::new()),
            ServiceError::Unauthenticated(String::new()),
            ServiceError::Denied(String::new()),
            ServiceError::Internal(String::new()),
        ];
        for situation in situations {
            let word = situation.kind().word();
            let told = connect(&situation, "r-1");
            assert_eq!(told.code.as_str(), word);
            assert_eq!(again(word, String::new()).code, told.code, "{word} is not read back");
        }
    }

    #[test]
    fn of_several_findings_the_gravest_decides_and_each_has_its_field() {
        let missing = FindingKind::NotFound { what: "network", id: "lan".to_owned() };
        let findings = vec![
            Finding::new("spec.memory.size_mib", FindingKind::Exhausted, "is more than is free"),
            Finding::new("spec.nics[0].network_id", missing, "is not on this host"),
        ];
        let told = connect(&ServiceError::several(findings.clone()), "r-1");
        assert_eq!(told.code, ErrorCode::NotFound);
        let message = told.message.unwrap_or_default();
        for finding in &findings {
            assert!(message.contains(&format!("{}: {}", finding.field, finding.description)), "{message}");
        }
        let kinds: Vec<&str> = told.details.iter().map(|detail| detail.type_url.as_str()).collect();
        assert!(kinds.iter().any(|kind| kind.ends_with("BadRequest")), "{kinds:?}");
        assert!(kinds.iter().any(|kind| kind.ends_with("ResourceInfo")), "{kinds:?}");
        // Broken rules alone are what they always were.
        let rules = vec![Finding::from(Violation::new("name", "is required"))];
        assert!(matches!(ServiceError::several(rules), ServiceError::Invalid(_)));
    }

    #[test]
    fn the_cause_of_an_internal_error_is_not_told() {
        let told = connect(&ServiceError::Internal("the password is hunter2".to_owned()), "r-7");
        let message = told.message.unwrap_or_default();
        assert!(message.contains("r-7") && !message.contains("hunter2"), "{message}");
    }
}
