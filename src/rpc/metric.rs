//! `MetricService`.

use connectrpc::{ConnectError, RequestContext, ServiceRequest, ServiceResult};
use quantixkvm_proto::Quantixkvm::compute::v1 as wire;

use super::RpcState;

pub(super) struct MetricHistory(#[allow(dead_code)] pub RpcState);

impl wire::MetricService for MetricHistory {
    async fn get_vm_metric_history(
        &self,
        _: RequestContext,
        _: ServiceRequest<'_, wire::GetVMMetricHistoryRequest>,
    ) -> ServiceResult<wire::MetricHistory> {
        Err(ConnectError::unimplemented("get_vm_metric_history"))
    }

    async fn get_node_metric_history(
        &self,
        _: RequestContext,
        _: ServiceRequest<'_, wire::GetNodeMetricHistoryRequest>,
    ) -> ServiceResult<wire::MetricHistory> {
        Err(ConnectError::unimplemented("get_node_metric_history"))
    }
}
