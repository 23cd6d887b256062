//! The contract's services. Thin: a request is read into what the service room understands, the
//! answer is written back. No rule about a VM or a node is here.
//!
//! ```text
//! request ──► *_in (read, every mistake at once) ──► service ──► *_out / rows ──► answer
//!                └─ unoffered: what is declared and not honoured yet      error: the one map to codes
//! ```
//!
//! A handler's future is dropped when its client goes away; what changes something therefore runs
//! in a task of its own (`calls`), on which the handler only waits.

pub mod access;
mod auth;
mod calls;
mod console;
mod enums;
mod error;
mod event;
#[cfg(test)]
mod hostile;
pub mod live;
mod metric;
mod node;
mod node_in;
mod node_out;
mod operation;
mod plan_out;
mod read;
mod rows;
mod spec_in;
mod spec_out;
mod state;
mod unoffered;
mod vm;
mod vm_in;
mod vm_out;
mod vm_usage;
mod watch;

use std::sync::Arc;

use connectrpc::Router;
use connectrpc_health::StaticChecker;
use connectrpc_reflection::Reflector;
use quantixkvm_proto::Quantixkvm::auth::v1::{AUTH_SERVICE_SERVICE_NAME, AuthServiceExt as _};
use quantixkvm_proto::Quantixkvm::compute::v1::{
    EVENT_SERVICE_SERVICE_NAME, EventServiceExt as _, METRIC_SERVICE_SERVICE_NAME, MetricServiceExt as _,
    NODE_SERVICE_SERVICE_NAME, NodeServiceExt as _, VM_SERVICE_SERVICE_NAME, VmServiceExt as _,
};
use quantixkvm_proto::Quantixkvm::operation::v1::{OPERATION_SERVICE_SERVICE_NAME, OperationServiceExt as _};
use quantixkvm_proto::Quantixkvm::state::v1::{STATE_SERVICE_SERVICE_NAME, StateServiceExt as _};
use tokio_util::sync::CancellationToken;

use crate::service::auth::AuthService;
use crate::service::console::ConsoleService;
use crate::service::core::Core;
use crate::service::idempotency::InFlight;
use crate::service::metrics_history::History;
use crate::service::node::NodeService;
use crate::service::operations::OperationService;
use crate::service::vm::VmService;

/// What the services stand on.
#[derive(Clone)]
pub struct RpcState {
    pub core: Arc<Core>,
    pub auth: Arc<AuthService>,
    pub vms: Arc<VmService>,
    pub nodes: Arc<NodeService>,
    pub operations: Arc<OperationService>,
    pub consoles: Arc<ConsoleService>,
    pub history: Arc<History>,
    pub in_flight: Arc<InFlight>,
    /// Cancelled when the server stops: open streams end.
    pub stop: CancellationToken,
}

/// Every service of the contract, with server reflection and gRPC health.
///
/// # Errors
/// Where the contract's own description cannot be read, which a build that passed its tests
/// excludes.
pub fn routes(state: RpcState) -> Result<Router, String> {
    let services = [
        AUTH_SERVICE_SERVICE_NAME,
        VM_SERVICE_SERVICE_NAME,
        NODE_SERVICE_SERVICE_NAME,
        OPERATION_SERVICE_SERVICE_NAME,
        METRIC_SERVICE_SERVICE_NAME,
        EVENT_SERVICE_SERVICE_NAME,
        STATE_SERVICE_SERVICE_NAME,
    ];
    let router = Arc::new(auth::Auth(state.clone())).register(Router::new());
    let router = Arc::new(vm::Vms(state.clone())).register(router);
    let router = Arc::new(node::Nodes(state.clone())).register(router);
    let router = Arc::new(metric::MetricHistory(state.clone())).register(router);
    let router = Arc::new(event::Events(state.clone())).register(router);
    let router = Arc::new(state::State(state.clone())).register(router);
    let router = Arc::new(operation::Operations(state)).register(router);
    let (router, _): (Router, Arc<StaticChecker>) = connectrpc_health::install_static(router, services);
    let reflector = Reflector::from_descriptor_set_bytes(quantixkvm_proto::FILE_DESCRIPTOR_SET)
        .map_err(|error| format!("the contract's description: {error}"))?;
    Ok(connectrpc_reflection::install(router, reflector))
}
