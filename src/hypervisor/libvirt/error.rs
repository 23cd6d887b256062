//! libvirt's errors as ours: one map, by code, never by text (but for the two cases in which
//! libvirt tells no space and an existing name by text alone).

use virt::error::{Error, ErrorNumber};

use crate::hypervisor::HypervisorError;
use crate::model::id::VmId;

/// The error, for a call that was about this VM, if any.
pub(super) fn map(error: &Error, vm: Option<VmId>) -> HypervisorError {
    let message = error.message().to_owned();
    if is_of_the_link(error) {
        return HypervisorError::Unreachable(message);
    }
    let lower = message.to_ascii_lowercase();
    if lower.contains("no space left on device") || lower.contains("disk quota exceeded") {
        return HypervisorError::NoSpace(message);
    }
    let virt::enumutil::Enum::Known(code) = error.code() else {
        return HypervisorError::Failed(message);
    };
    #[allow(clippy::wildcard_enum_match_arm, reason = "libvirt's list of codes is long and not ours")]
    match code {
        ErrorNumber::NoDomain => match vm {
            Some(id) => HypervisorError::NoSuchVm(id),
            None => HypervisorError::NotFound(message),
        },
        ErrorNumber::NoStoragePool | ErrorNumber::NoStorageVolume | ErrorNumber::NoNetwork => {
            HypervisorError::NotFound(message)
        }
        ErrorNumber::OperationInvalid => HypervisorError::WrongState(message),
        ErrorNumber::DomExist | ErrorNumber::StorageVolExist | ErrorNumber::NetworkExist => {
            HypervisorError::AlreadyExists(message)
        }
        ErrorNumber::OperationFailed if lower.contains("already exists") => HypervisorError::AlreadyExists(message),
        ErrorNumber::XmlError
        | ErrorNumber::XmlDetail
        | ErrorNumber::XmlInvalidSchema
        | ErrorNumber::ConfigUnsupported
        | ErrorNumber::InvalidArg
        | ErrorNumber::CpuIncompatible => HypervisorError::Refused(message),
        ErrorNumber::AgentUnresponsive | ErrorNumber::AgentUnsynced | ErrorNumber::AgentCommandTimeout => {
            HypervisorError::AgentUnresponsive(message)
        }
        ErrorNumber::OperationTimeout => HypervisorError::TimedOut(message),
        ErrorNumber::NoSupport
        | ErrorNumber::OperationUnsupported
        | ErrorNumber::ArgumentUnsupported
        | ErrorNumber::NoConnect => HypervisorError::Unsupported(message),
        _ => HypervisorError::Failed(message),
    }
}

/// Whether the error arose between us and libvirtd, rather than within it.
pub(super) fn is_of_the_link(error: &Error) -> bool {
    use virt::error::ErrorDomain;
    let remote = error.domain().is_known_and(|domain| matches!(domain, ErrorDomain::Rpc | ErrorDomain::Remote));
    let lost = error.code().is_known_and(|code| {
        matches!(
            code,
            ErrorNumber::InternalError | ErrorNumber::SystemError | ErrorNumber::Rpc | ErrorNumber::InvalidConn
        )
    });
    remote && lost
}
