//! `EventService`.

use connectrpc::{ConnectError, RequestContext, ServiceRequest, ServiceResult, ServiceStream};
use quantixkvm_proto::Quantixkvm::compute::v1 as wire;

use super::RpcState;

pub(super) struct Events(#[allow(dead_code)] pub RpcState);

impl wire::EventService for Events {
    async fn list_events(
        &self,
        _: RequestContext,
        _: ServiceRequest<'_, wire::ListEventsRequest>,
    ) -> ServiceResult<wire::ListEventsResponse> {
        Err(ConnectError::unimplemented("list_events"))
    }

    async fn watch_events(
        &self,
        _: RequestContext,
        _: ServiceRequest<'_, wire::WatchEventsRequest>,
    ) -> ServiceResult<ServiceStream<wire::EventUpdate>> {
        Err(ConnectError::unimplemented("watch_events"))
    }
}
