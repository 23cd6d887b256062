//! What the contract declares of its methods, in the model's words, and who calls.

use connectrpc::RequestContext;
use quantixkvm_proto::Quantixkvm::auth::v1 as wire;

use buffa::Enumeration as _;

use crate::model::access::Privilege;
use crate::service::auth::CallerAddress;

fn privilege(declared: wire::Privilege) -> Privilege {
    match declared {
        // The build refuses a method that declares none; should one come, nobody but an
        // administrator has it.
        wire::Privilege::PRIVILEGE_UNSPECIFIED | wire::Privilege::USER_MANAGE => Privilege::UserManage,
        wire::Privilege::ANYONE => Privilege::Anyone,
        wire::Privilege::SIGNED_IN => Privilege::SignedIn,
        wire::Privilege::VM_READ => Privilege::VmRead,
        wire::Privilege::NODE_READ => Privilege::NodeRead,
        wire::Privilege::OPERATION_READ => Privilege::OperationRead,
        wire::Privilege::METRIC_READ => Privilege::MetricRead,
        wire::Privilege::EVENT_READ => Privilege::EventRead,
        wire::Privilege::SERVER_READ => Privilege::ServerRead,
        wire::Privilege::VM_POWER => Privilege::VmPower,
        wire::Privilege::VM_CREATE => Privilege::VmCreate,
        wire::Privilege::VM_UPDATE => Privilege::VmUpdate,
        wire::Privilege::VM_DELETE => Privilege::VmDelete,
        wire::Privilege::VM_CONSOLE => Privilege::VmConsole,
        wire::Privilege::VM_MEDIA => Privilege::VmMedia,
        wire::Privilege::OPERATION_CANCEL => Privilege::OperationCancel,
        wire::Privilege::HOST_PATHS => Privilege::HostPaths,
        wire::Privilege::VM_ADOPT => Privilege::VmAdopt,
        wire::Privilege::NODE_MANAGE => Privilege::NodeManage,
        wire::Privilege::AUDIT_READ => Privilege::AuditRead,
        wire::Privilege::STATE_BACKUP => Privilege::StateBackup,
        wire::Privilege::VM_PROTECT => Privilege::VmProtect,
    }
}

/// Every method of the contract, as in a URL, and what it needs.
pub fn methods() -> impl Iterator<Item = (&'static str, Privilege)> {
    quantixkvm_proto::METHODS.iter().map(|(path, number)| {
        let declared = wire::Privilege::from_i32(*number).unwrap_or(wire::Privilege::PRIVILEGE_UNSPECIFIED);
        (*path, privilege(declared))
    })
}

/// Address of who calls, as in the audit log.
pub(super) fn address(ctx: &RequestContext) -> String {
    ctx.extensions().get::<CallerAddress>().map(|address| address.0.to_string()).unwrap_or_default()
}
