//! `OperationService`.

use std::sync::Arc;

use connectrpc::{ConnectError, Encodable, RequestContext, Response, ServiceRequest, ServiceResult, ServiceStream};
use futures::{Stream, StreamExt as _};
use quantixkvm_proto::Quantixkvm::operation::v1 as wire;

use crate::model::id::OperationId;
use crate::model::operation::Operation;
use crate::service::error::ServiceError;
use crate::service::requests::ListOperations;

use super::calls::{change, refused};
use super::read::Reader;
use super::watch::{self, Frame, Kind, Told, Watched};
use super::{RpcState, enums, vm_out};

pub(super) struct Operations(pub RpcState);

fn id(text: &str) -> Result<OperationId, ServiceError> {
    let mut reader = Reader::default();
    let id = reader.id("id", text);
    reader.end(())?;
    id.ok_or_else(|| ServiceError::invalid("id", "is required: a UUID"))
}

/// A VM's or node's id; empty: all.
fn resource(reader: &mut Reader, text: &str) -> Option<String> {
    reader.optional_id::<crate::model::id::VmId>("resource_id", text).map(|id| id.to_string())
}

fn list(sent: &wire::ListOperationsRequest) -> Result<ListOperations, ServiceError> {
    let mut reader = Reader::default();
    let mut states = Vec::new();
    for (index, state) in sent.states.iter().enumerate() {
        let field = format!("states[{index}]");
        match enums::operation_state_in(reader.known(&field, *state)) {
            Some(state) => states.push(state),
            None => reader.wrong(&field, "must name a state"),
        }
    }
    let wanted = ListOperations {
        resource_id: resource(&mut reader, &sent.resource_id),
        states,
        page_size: sent.page_size,
        page_token: sent.page_token.clone(),
    };
    reader.end(wanted)
}

fn update(frame: Frame<Operation>) -> wire::OperationUpdate {
    let kind = match frame.kind {
        Kind::Added => wire::operation_update::UpdateType::ADDED,
        Kind::Modified => wire::operation_update::UpdateType::MODIFIED,
        Kind::Deleted => wire::operation_update::UpdateType::DELETED,
        Kind::Synced => wire::operation_update::UpdateType::SYNCED,
        Kind::Resync => wire::operation_update::UpdateType::RESYNC,
        Kind::Heartbeat => wire::operation_update::UpdateType::HEARTBEAT,
    };
    wire::OperationUpdate {
        r#type: kind.into(),
        operation: frame.item.as_deref().map(vm_out::operation).into(),
        version: frame.version,
        ..Default::default()
    }
}

/// The messages of `WatchOperations`.
pub(super) fn watched(
    state: &RpcState,
    sent: &wire::WatchOperationsRequest,
) -> Result<impl Stream<Item = Result<wire::OperationUpdate, ConnectError>> + Send + use<>, ServiceError> {
    let mut reader = Reader::default();
    let resource = resource(&mut reader, &sent.resource_id);
    let resource = reader.end(resource)?;
    let wants = move |operation: &Operation| resource.as_ref().is_none_or(|id| *id == operation.resource_id);
    let (present, changes) = state.operations.watch();
    let watched = Watched {
        present: present
            .into_iter()
            .filter(|operation| wants(operation))
            .map(|operation| (operation.id, operation))
            .collect(),
        changes,
        read: |operation: Arc<Operation>| (operation.id, Told::Is(operation)),
        wants: Box::new(wants),
        stop: state.stop.clone(),
    };
    Ok(watch::stream(watched).map(|frame| frame.map(update)))
}

impl wire::OperationService for Operations {
    async fn get_operation(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::GetOperationRequest>,
    ) -> ServiceResult<wire::Operation> {
        let found = id(request.id).and_then(|id| self.0.operations.get(id)).map_err(refused(&ctx))?;
        Response::ok(vm_out::operation(&found))
    }

    async fn list_operations(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::ListOperationsRequest>,
    ) -> ServiceResult<wire::ListOperationsResponse> {
        let page = list(&request.to_owned_message())
            .and_then(|wanted| self.0.operations.list(&wanted))
            .map_err(refused(&ctx))?;
        Response::ok(wire::ListOperationsResponse {
            operations: page.items.iter().map(|operation| vm_out::operation(operation)).collect(),
            next_page_token: page.next_page_token,
            total_count: i32::try_from(page.total_count).unwrap_or(i32::MAX),
            ..Default::default()
        })
    }

    async fn watch_operations(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::WatchOperationsRequest>,
    ) -> ServiceResult<ServiceStream<impl Encodable<wire::OperationUpdate> + Send + use<>>> {
        Response::stream_ok(watched(&self.0, &request.to_owned_message()).map_err(refused(&ctx))?)
    }

    async fn cancel_operation(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::CancelOperationRequest>,
    ) -> ServiceResult<wire::Operation> {
        let request = request.to_owned_message();
        let id = id(&request.id).map_err(refused(&ctx))?;
        let cancel = move |state: RpcState, caller| async move { state.operations.cancel(&caller, id).await };
        let answer: Result<wire::Operation, ConnectError> = change(
            &self.0,
            &ctx,
            &request,
            cancel,
            |_, operation| vm_out::operation(operation),
            |state, _| {
                // The answer is kept with the change, so only a crash between the two comes here.
                Err(ServiceError::Unavailable(format!(
                    "the first answer was lost with a restart; read the operation again ({} are in flight)",
                    state.operations.in_flight().len()
                )))
            },
        )
        .await;
        Ok(answer?.into())
    }
}
