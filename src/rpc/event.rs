//! `EventService`.

use std::sync::Arc;

use connectrpc::{ConnectError, Encodable, RequestContext, Response, ServiceRequest, ServiceResult, ServiceStream};
use futures::{Stream, StreamExt as _};
use quantixkvm_proto::Quantixkvm::compute::v1 as wire;

use crate::model::event::{SequencedEvent, Subject};
use crate::model::id::VmId;
use crate::service::core::blocking;
use crate::service::error::ServiceError;
use crate::service::events;
use crate::service::requests::ListAllEvents;

use super::calls::refused;
use super::read::Reader;
use super::watch::{self, Frame, Kind, Told, Watched};
use super::{RpcState, vm_out};

/// Characters of a search at most.
const SEARCH_MAX: usize = 200;

pub(super) struct Events(pub RpcState);

/// A VM's or node's id, as events keep it; empty: all.
fn resource(reader: &mut Reader, text: &str) -> Option<String> {
    reader.optional_id::<VmId>("resource_id", text).map(|id| id.to_string())
}

fn list(sent: &wire::ListEventsRequest) -> Result<ListAllEvents, ServiceError> {
    let mut reader = Reader::default();
    let length = sent.search.chars().count();
    if length > SEARCH_MAX {
        reader.wrong("search", format!("must have at most {SEARCH_MAX} characters; {length} were sent"));
    }
    let wanted = ListAllEvents {
        resource_id: resource(&mut reader, &sent.resource_id),
        kinds: sent.types.clone(),
        severity: reader.severity("severity", &sent.severity),
        since: reader.timestamp("since", sent.since.as_option()),
        search: sent.search.clone(),
        page_size: sent.page_size,
        page_token: sent.page_token.clone(),
    };
    reader.end(wanted)
}

fn event(found: &SequencedEvent) -> wire::Event {
    let event = &found.event;
    let subject = match event.subject {
        Subject::Vm => wire::event::Subject::SUBJECT_VM,
        Subject::Node => wire::event::Subject::SUBJECT_NODE,
    };
    wire::Event {
        id: found.sequence.to_string(),
        subject: subject.into(),
        resource_id: event.resource_id.clone(),
        r#type: event.kind.clone(),
        message: event.message.clone(),
        user: event.user.clone(),
        severity: event.severity.word().to_owned(),
        created_at: vm_out::moment(event.at).into(),
        metadata: event.metadata.clone().into_iter().collect(),
        ..Default::default()
    }
}

/// What a watch of events says. Events neither change nor go.
fn update(frame: Frame<SequencedEvent>) -> wire::EventUpdate {
    let kind = match frame.kind {
        Kind::Added | Kind::Modified | Kind::Deleted => wire::event_update::UpdateType::ADDED,
        Kind::Synced => wire::event_update::UpdateType::SYNCED,
        Kind::Resync => wire::event_update::UpdateType::RESYNC,
        Kind::Heartbeat => wire::event_update::UpdateType::HEARTBEAT,
    };
    wire::EventUpdate { r#type: kind.into(), event: frame.item.as_deref().map(event).into(), ..Default::default() }
}

/// The messages of `WatchEvents`.
pub(super) fn watched(
    state: &RpcState,
    sent: &wire::WatchEventsRequest,
) -> Result<impl Stream<Item = Result<wire::EventUpdate, ConnectError>> + Send + use<>, ServiceError> {
    let mut reader = Reader::default();
    let resource = resource(&mut reader, &sent.resource_id);
    let resource = reader.end(resource)?;
    let watched = Watched {
        present: Vec::new(),
        changes: events::watch(&state.core),
        read: |event: Arc<SequencedEvent>| (event.sequence, Told::Once(event)),
        wants: Box::new(move |found| resource.as_ref().is_none_or(|id| *id == found.event.resource_id)),
        stop: state.stop.clone(),
    };
    Ok(watch::stream(watched).map(|frame| frame.map(update)))
}

impl wire::EventService for Events {
    async fn list_events(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::ListEventsRequest>,
    ) -> ServiceResult<wire::ListEventsResponse> {
        let wanted = list(&request.to_owned_message()).map_err(refused(&ctx))?;
        let core = Arc::clone(&self.0.core);
        let page = blocking(move || events::list(&core, &wanted)).await.map_err(refused(&ctx))?;
        Response::ok(wire::ListEventsResponse {
            events: page.items.iter().map(event).collect(),
            next_page_token: page.next_page_token,
            ..Default::default()
        })
    }

    async fn watch_events(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::WatchEventsRequest>,
    ) -> ServiceResult<ServiceStream<impl Encodable<wire::EventUpdate> + Send + use<>>> {
        Response::stream_ok(watched(&self.0, &request.to_owned_message()).map_err(refused(&ctx))?)
    }
}
