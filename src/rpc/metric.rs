//! `MetricService`.

use std::sync::Arc;

use buffa_types::google::protobuf::Timestamp;
use connectrpc::{RequestContext, Response, ServiceRequest, ServiceResult};
use quantixkvm_proto::Quantixkvm::compute::v1 as wire;

use crate::model::id::{NodeId, VmId};
use crate::model::metric::MEASURES;
use crate::model::vm::Moment;
use crate::service::core::blocking;
use crate::service::error::ServiceError;
use crate::service::metrics_history::Past;

use super::calls::refused;
use super::read::Reader;
use super::{RpcState, vm_out};

pub(super) struct MetricHistory(pub RpcState);

/// What both requests ask for.
struct Asked<T> {
    id: T,
    start: Option<Moment>,
    end: Option<Moment>,
}

/// Read what was asked, every mistake at once.
fn asked<T>(mut reader: Reader, id: Option<T>, range: [Option<&Timestamp>; 2]) -> Result<Asked<T>, ServiceError> {
    let [start, end] = range;
    let (start, end) = (reader.timestamp("start", start), reader.timestamp("end", end));
    match reader.end(id)? {
        Some(id) => Ok(Asked { id, start, end }),
        None => Err(ServiceError::invalid("id", "is required: a UUID")),
    }
}

/// A range in columns.
fn columns(past: &Past) -> wire::MetricHistory {
    let columns = MEASURES.iter().enumerate().map(|(index, name)| wire::MetricColumn {
        name: (*name).to_owned(),
        values: past.samples.iter().map(|sample| sample[index]).collect(),
        ..Default::default()
    });
    wire::MetricHistory {
        start: vm_out::moment(Moment(i64::from(past.range.start) * 1_000_000)).into(),
        step_sec: past.range.resolution.step(),
        count: past.range.count,
        columns: columns.collect(),
        ..Default::default()
    }
}

impl wire::MetricService for MetricHistory {
    async fn get_vm_metric_history(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::GetVMMetricHistoryRequest>,
    ) -> ServiceResult<wire::MetricHistory> {
        let sent = request.to_owned_message();
        let mut reader = Reader::default();
        let id = reader.id::<VmId>("vm_id", &sent.vm_id);
        let asked = asked(reader, id, [sent.start.as_option(), sent.end.as_option()]).map_err(refused(&ctx))?;
        let history = Arc::clone(&self.0.history);
        let past = blocking(move || history.of_vm(asked.id, asked.start, asked.end)).await.map_err(refused(&ctx))?;
        Response::ok(columns(&past))
    }

    async fn get_node_metric_history(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::GetNodeMetricHistoryRequest>,
    ) -> ServiceResult<wire::MetricHistory> {
        let sent = request.to_owned_message();
        let mut reader = Reader::default();
        let id = reader.id::<NodeId>("node_id", &sent.node_id);
        let asked = asked(reader, id, [sent.start.as_option(), sent.end.as_option()]).map_err(refused(&ctx))?;
        let history = Arc::clone(&self.0.history);
        let past = blocking(move || history.of_node(asked.id, asked.start, asked.end)).await.map_err(refused(&ctx))?;
        Response::ok(columns(&past))
    }
}
