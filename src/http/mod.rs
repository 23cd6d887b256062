//! Everything on the one port: RPC, the page, health, metrics. Thin: the answers come from below.
//!
//! ```text
//! connection ──► gate (Host, Origin) ──► request id ──► who, and may they ──► panic net ─┐
//! ┌───────────────────────────────────────────────────────────────────────────────────────┘
//! └─► /<Service>/<Method>  rpc
//!     /healthz /readyz /metrics
//!     /live  WebSocket of a page
//!     /consoles/<VM>/…  WebSockets
//!     anything else by GET: the page
//! ```

mod certificate;
mod console;
pub mod gate;
pub mod identity;
mod lasting;
pub mod live;
pub mod metrics;
mod page;
pub mod serve;
pub mod tls;
mod watch_rpc;
mod whole;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use connectrpc::{ConnectError, ConnectRpcService};
use tower_http::catch_panic::CatchPanicLayer;

use crate::service::console::ConsoleService;

use gate::Gate;
use identity::Identity;
use metrics::Metrics;

/// By which a request is found again in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The bytes of a request that are read at most.
const BODY_MAX: usize = 4 << 20;

/// What is served.
pub struct Surface {
    /// Every service of the contract.
    pub rpc: connectrpc::Router,
    /// Whether verbs are served; the sentence says why not.
    pub ready: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// The metrics' text.
    pub scrape: Arc<dyn Fn(&Metrics) -> String + Send + Sync>,
    pub metrics: Arc<Metrics>,
    pub gate: Gate,
    pub identity: Identity,
    /// The pages' live connections.
    pub live: live::Live,
    pub consoles: Arc<ConsoleService>,
}

#[derive(Clone)]
struct Facts {
    ready: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    scrape: Arc<dyn Fn(&Metrics) -> String + Send + Sync>,
    metrics: Arc<Metrics>,
}

/// The whole surface.
pub fn router(surface: Surface) -> Router {
    let mut services: Vec<String> = surface
        .rpc
        .methods()
        .filter_map(|path| path.trim_start_matches('/').split_once('/').map(|(service, _)| service.to_owned()))
        .collect();
    services.sort();
    services.dedup();
    let rpc = ConnectRpcService::new(surface.rpc)
        .with_limits(connectrpc::Limits::default().with_max_request_body_size(BODY_MAX).with_max_message_size(BODY_MAX))
        .with_interceptor(watch_rpc::WatchRpc::new(Arc::clone(&surface.metrics)))
        .with_interceptor(lasting::Lasting);
    let facts = Facts { ready: surface.ready, scrape: surface.scrape, metrics: surface.metrics };
    let mut router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/health", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .with_state(facts)
        .route("/live", any(live::live).with_state(surface.live))
        .merge(console::routes(surface.consoles));
    for service in &services {
        router = router.route_service(&format!("/{service}/{{method}}"), rpc.clone());
    }
    router
        .fallback(fallback)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(whole::whole))
        .layer(middleware::from_fn_with_state(Arc::new(surface.identity), identity::identify))
        .layer(middleware::from_fn(dress))
        .layer(middleware::from_fn_with_state(Arc::new(surface.gate), gate::guard))
}

async fn readyz(State(facts): State<Facts>) -> Response {
    match (facts.ready)() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn scrape(State(facts): State<Facts>) -> Response {
    let text = (facts.scrape)(&facts.metrics);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// What no route knows: the page by GET, an answer in Connect's own shape otherwise.
async fn fallback(request: Request) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => page::answer(&request),
        _ => connect_error(
            &request,
            ConnectError::unimplemented(format!(
                "there is no {} here; the services are listed by server reflection and in the README",
                crate::model::id::clip(request.uri().path(), 200)
            ))
            .with_http_status(StatusCode::NOT_FOUND),
        ),
    }
}

fn connect_error(request: &Request, error: ConnectError) -> Response {
    error.into_http_response(request.headers()).map(Body::new)
}

/// A handler that panicked: the process lives, the client is told the request's id.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let why = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("(no words)");
    tracing::error!(why, "a handler panicked");
    ConnectError::internal("internal error; the log holds the cause under this request's id")
        .into_http_response(&axum::http::HeaderMap::new())
        .map(Body::new)
}

/// A request id for every request, and the headers that every answer carries.
async fn dress(mut request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(&REQUEST_ID)
        .filter(|value| is_request_id(value))
        .cloned()
        .or_else(|| HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok());
    if let Some(id) = &id {
        request.headers_mut().insert(REQUEST_ID, id.clone());
    }
    let is_rpc = request.method() != Method::GET && request.method() != Method::HEAD;
    let mut response = next.run(request).await;
    let no_answer = response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE
        && response.headers().get(header::CONTENT_LENGTH).is_none_or(|length| length == "0");
    if no_answer {
        let accepts = response.headers().get("accept-post").cloned();
        let error = ConnectError::invalid_argument(
            "Content-Type: must be application/json, application/proto or a streaming or gRPC type",
        )
        .with_http_status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        response = error.into_http_response(&axum::http::HeaderMap::new()).map(Body::new);
        if let Some(accepts) = accepts {
            response.headers_mut().insert("accept-post", accepts);
        }
    }
    let headers = response.headers_mut();
    if let Some(id) = id {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if is_rpc || !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// What may be written into logs and answers as it came.
fn is_request_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=64).contains(&bytes.len()) && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}
