//! `NodeService`.

use std::sync::Arc;

use buffa_types::google::protobuf::Empty;
use connectrpc::{ConnectError, Encodable, RequestContext, Response, ServiceRequest, ServiceResult, ServiceStream};
use futures::{Stream, StreamExt as _};
use quantixkvm_proto::Quantixkvm::compute::v1 as wire;
use serde::Serialize;

use crate::model::id::NodeId;
use crate::service::error::ServiceError;
use crate::service::node::{Decommission, DrainReport, NodeChange, NodeView, has_labels};
use crate::service::requests::Caller;

use super::calls::{change, refused};
use super::read::sorted;
use super::watch::{self, Frame, Kind, Told, Watched};
use super::{RpcState, node_in, node_out};

pub(super) struct Nodes(pub RpcState);

fn told(change: NodeChange) -> (NodeId, Told<NodeView>) {
    match change {
        NodeChange::Added(node) | NodeChange::Modified(node) => (node.record.id, Told::Is(node)),
        NodeChange::Deleted(node, _) => (node.record.id, Told::Gone(node)),
    }
}

fn message(_: &RpcState, node: &Arc<NodeView>) -> wire::Node {
    node_out::node(node)
}

/// Changes of nodes are kept with their answers; only a crash between the two comes here.
fn lost<T>(_: &RpcState, _: &str) -> Result<T, ServiceError> {
    Err(ServiceError::Unavailable("the first answer was lost with a restart; read the node".to_owned()))
}

fn update(frame: Frame<NodeView>) -> wire::NodeUpdate {
    let kind = match frame.kind {
        Kind::Added => wire::node_update::UpdateType::ADDED,
        Kind::Modified => wire::node_update::UpdateType::MODIFIED,
        Kind::Deleted => wire::node_update::UpdateType::DELETED,
        Kind::Synced => wire::node_update::UpdateType::SYNCED,
        Kind::Resync => wire::node_update::UpdateType::RESYNC,
        Kind::Heartbeat => wire::node_update::UpdateType::HEARTBEAT,
    };
    wire::NodeUpdate {
        r#type: kind.into(),
        node: frame.item.as_deref().map(node_out::node).into(),
        version: frame.version,
        ..Default::default()
    }
}

/// The messages of `WatchNodes`.
pub(super) fn watched(
    state: &RpcState,
    sent: &wire::WatchNodesRequest,
) -> impl Stream<Item = Result<wire::NodeUpdate, ConnectError>> + Send + use<> {
    let labels = sorted(&sent.labels);
    let (picture, changes) = state.nodes.watch();
    let present = picture
        .nodes
        .iter()
        .filter(|(_, node)| has_labels(node, &labels))
        .map(|(id, node)| (*id, Arc::clone(node)))
        .collect();
    let watched = Watched {
        present,
        changes,
        read: told,
        wants: Box::new(move |node| has_labels(node, &labels)),
        stop: state.stop.clone(),
    };
    watch::stream(watched).map(|frame| frame.map(update))
}

/// The messages of `StreamNodeMetrics`.
pub(super) fn measured(
    state: &RpcState,
    sent: &wire::StreamNodeMetricsRequest,
    request_id: &str,
) -> Result<impl Stream<Item = Result<wire::NodeMetrics, ConnectError>> + Send + use<>, ServiceError> {
    let id = node_in::id("node_id", &sent.node_id)?;
    let interval = node_in::interval(sent.interval_sec)?;
    state.nodes.metrics(id)?;
    let mut ticks = tokio::time::interval(interval);
    // A reader that was slow gets the next one, not all that it missed.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (nodes, stop) = (Arc::clone(&state.nodes), state.stop.clone());
    let request_id = request_id.to_owned();
    Ok(futures::stream::unfold(Some(ticks), move |ticks| {
        let (nodes, stop, request_id) = (Arc::clone(&nodes), stop.clone(), request_id.clone());
        async move {
            let mut ticks = ticks?;
            tokio::select! {
                _ = ticks.tick() => Some(match nodes.metrics(id) {
                    Ok(view) => (Ok(node_out::metrics(&view)), Some(ticks)),
                    Err(gone) => (Err(super::error::connect(&gone, &request_id)), None),
                }),
                () = stop.cancelled() => Some((Err(watch::stopping()), None)),
            }
        }
    }))
}

impl Nodes {
    /// A change of one node that answers the node.
    async fn verb<R, F, Fut>(&self, ctx: &RequestContext, request: &R, work: F) -> ServiceResult<wire::Node>
    where
        R: Serialize,
        F: FnOnce(RpcState, Caller) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Arc<NodeView>, ServiceError>> + Send + 'static,
    {
        Ok(change(&self.0, ctx, request, work, message, lost).await?.into())
    }
}

impl wire::NodeService for Nodes {
    async fn register_node(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::RegisterNodeRequest>,
    ) -> ServiceResult<wire::Node> {
        let request = request.to_owned_message();
        let wanted = node_in::register(&request).map_err(refused(&ctx))?;
        self.verb(&ctx, &request, |state, caller| async move { state.nodes.register(&caller, wanted).await }).await
    }

    async fn get_node(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::GetNodeRequest>,
    ) -> ServiceResult<wire::Node> {
        let node = node_in::id("id", request.id).and_then(|id| self.0.nodes.get(id)).map_err(refused(&ctx))?;
        Response::ok(node_out::node(&node))
    }

    async fn list_nodes(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::ListNodesRequest>,
    ) -> ServiceResult<wire::ListNodesResponse> {
        let page = node_in::list(&request.to_owned_message())
            .and_then(|wanted| self.0.nodes.list(&wanted))
            .map_err(refused(&ctx))?;
        Response::ok(wire::ListNodesResponse {
            nodes: page.items.iter().map(|node| node_out::node(node)).collect(),
            next_page_token: page.next_page_token,
            total_count: i32::try_from(page.total_count).unwrap_or(i32::MAX),
            ..Default::default()
        })
    }

    async fn update_node(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::UpdateNodeRequest>,
    ) -> ServiceResult<wire::Node> {
        let request = request.to_owned_message();
        let read = node_in::id("id", &request.id).and_then(|id| {
            let node = self.0.nodes.get(id)?;
            Ok((id, node_in::update(&request, (node.record.role, node.record.scheduling.clone()))?))
        });
        let (id, wanted) = read.map_err(refused(&ctx))?;
        self.verb(&ctx, &request, move |state, caller| async move { state.nodes.update(&caller, id, wanted).await })
            .await
    }

    async fn decommission_node(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::DecommissionNodeRequest>,
    ) -> ServiceResult<Empty> {
        let request = request.to_owned_message();
        let id = node_in::id("id", &request.id).map_err(refused(&ctx))?;
        let how = if request.force { Decommission::WithVms } else { Decommission::Empty };
        let work = move |state: RpcState, caller| async move { state.nodes.decommission(&caller, id, how).await };
        let answer: Result<Empty, ConnectError> =
            change(&self.0, &ctx, &request, work, |_, ()| Empty::default(), lost).await;
        Ok(answer?.into())
    }

    async fn enable_node(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::EnableNodeRequest>,
    ) -> ServiceResult<wire::Node> {
        let request = request.to_owned_message();
        let id = node_in::id("id", &request.id).map_err(refused(&ctx))?;
        self.verb(&ctx, &request, move |state, caller| async move { state.nodes.enable(&caller, id).await }).await
    }

    async fn disable_node(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::DisableNodeRequest>,
    ) -> ServiceResult<wire::Node> {
        let request = request.to_owned_message();
        let id = node_in::id("id", &request.id).map_err(refused(&ctx))?;
        let reason = request.reason.clone();
        self.verb(&ctx, &request, move |state, caller| async move { state.nodes.disable(&caller, id, &reason).await })
            .await
    }

    async fn drain_node(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::DrainNodeRequest>,
    ) -> ServiceResult<wire::DrainNodeResponse> {
        let request = request.to_owned_message();
        let read = node_in::id("id", &request.id).and_then(|id| Ok((id, node_in::drain(&request)?)));
        let (id, wanted) = read.map_err(refused(&ctx))?;
        let work = move |state: RpcState, caller| async move {
            let vms = Arc::clone(&state.vms);
            state.nodes.drain(vms, &caller, id, wanted).await
        };
        let answer: Result<wire::DrainNodeResponse, ConnectError> =
            change(&self.0, &ctx, &request, work, |_, report: &DrainReport| node_out::drained(report), lost).await;
        Ok(answer?.into())
    }

    async fn update_labels(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::UpdateLabelsRequest>,
    ) -> ServiceResult<wire::Node> {
        let request = request.to_owned_message();
        let id = node_in::id("node_id", &request.node_id).map_err(refused(&ctx))?;
        let (add, remove) = (sorted(&request.add_labels), request.remove_labels.clone());
        self.verb(&ctx, &request, move |state, caller| async move {
            state.nodes.update_labels(&caller, id, add, remove).await
        })
        .await
    }

    async fn update_heartbeat(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::UpdateHeartbeatRequest>,
    ) -> ServiceResult<wire::UpdateHeartbeatResponse> {
        let request = request.to_owned_message();
        let id = node_in::id("node_id", &request.node_id).map_err(refused(&ctx))?;
        let answer = self.0.nodes.heartbeat(id, node_in::heartbeat(&request)).await.map_err(refused(&ctx))?;
        Response::ok(wire::UpdateHeartbeatResponse {
            acknowledged: true,
            server_time_unix: answer.server_time.0.div_euclid(1_000_000),
            heartbeat_interval_secs: answer.interval_sec,
            ..Default::default()
        })
    }

    async fn get_node_metrics(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::GetNodeMetricsRequest>,
    ) -> ServiceResult<wire::NodeMetrics> {
        let view = node_in::metrics_id(&request.to_owned_message())
            .and_then(|id| self.0.nodes.metrics(id))
            .map_err(refused(&ctx))?;
        Response::ok(node_out::metrics(&view))
    }

    async fn list_node_events(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::ListNodeEventsRequest>,
    ) -> ServiceResult<wire::ListNodeEventsResponse> {
        let request = request.to_owned_message();
        let read = node_in::id("node_id", &request.node_id).and_then(|id| Ok((id, node_in::severities(&request)?)));
        let (id, severities) = read.map_err(refused(&ctx))?;
        let nodes = Arc::clone(&self.0.nodes);
        let found = crate::service::core::blocking(move || nodes.events(id, &severities, request.limit))
            .await
            .map_err(refused(&ctx))?;
        let events = found.iter().map(node_out::event).collect();
        Response::ok(wire::ListNodeEventsResponse { events, ..Default::default() })
    }

    async fn watch_nodes(
        &self,
        _ctx: RequestContext,
        request: ServiceRequest<'_, wire::WatchNodesRequest>,
    ) -> ServiceResult<ServiceStream<impl Encodable<wire::NodeUpdate> + Send + use<>>> {
        Response::stream_ok(watched(&self.0, &request.to_owned_message()))
    }

    async fn stream_node_metrics(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::StreamNodeMetricsRequest>,
    ) -> ServiceResult<ServiceStream<impl Encodable<wire::NodeMetrics> + Send + use<>>> {
        let request_id = super::calls::request_id(&ctx);
        Response::stream_ok(measured(&self.0, &request.to_owned_message(), request_id).map_err(refused(&ctx))?)
    }
}
