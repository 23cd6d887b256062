//! Who sends a request, and whether they may: asked here, once, before anything else looks at it.
//!
//! ```text
//! in clear over a network ──► the page: sent to https; anything else: 403, body unread, and a
//!                             credential that was in it is good no more
//! otherwise ──► judge (service::auth) ──► privilege of the path ──► Principal beside the request
//! ```

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use connectrpc::ConnectError;
use http_body_util::{BodyExt as _, Limited};

use crate::model::access::{Need, Privilege};
use crate::service::auth::{AuthService, COOKIE, CallerAddress, Origin, Principal, Shown};
use crate::service::error::ServiceError;

use super::serve::{Connection, Kind};

/// Headers that plain curl on the host does not send, and browsers and proxies do.
const NOT_PLAIN: [&str; 8] =
    ["origin", "referer", "cookie", "forwarded", "via", "x-real-ip", "authorization", "proxy-authorization"];
const NOT_PLAIN_PREFIXES: [&str; 2] = ["sec-fetch-", "x-forwarded-"];

/// Names by which root addresses the host from itself.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What decides.
pub struct Identity {
    pub auth: Arc<AuthService>,
    /// `Service/Method`, and what it needs.
    pub methods: HashMap<&'static str, Privilege>,
}

impl Identity {
    /// What a path needs.
    fn privilege(&self, path: &str) -> Privilege {
        let path = path.trim_start_matches('/');
        match path {
            "live" => Privilege::VmRead,
            "metrics" | "readyz" => Privilege::ServerRead,
            _ if path.starts_with("grpc.reflection.") => Privilege::ServerRead,
            // The page itself, signs of life, consoles (whose ticket is their key), and what is not
            // there.
            _ => self.methods.get(path).copied().unwrap_or(Privilege::Anyone),
        }
    }

    fn is_rpc(&self, path: &str) -> bool {
        self.methods.contains_key(path.trim_start_matches('/')) || path.starts_with("/grpc.")
    }
}

/// The session's secret among the cookies.
#[must_use]
pub fn cookie_in(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Whether a request is as plain curl on this host sends it.
fn is_plain(request: &Request, is_rpc: bool) -> bool {
    let headers = request.headers();
    let strange = headers.keys().any(|name| {
        NOT_PLAIN.contains(&name.as_str()) || NOT_PLAIN_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix))
    });
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rfind(']') {
        Some(end) => &host[..=end],
        None => host.split(':').next().unwrap_or_default(),
    };
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let asks = match *request.method() {
        Method::POST => is_rpc && kind.strip_prefix("application/").is_some_and(is_message),
        Method::GET => matches!(request.uri().path(), "/metrics" | "/readyz"),
        _ => false,
    };
    !strange && asks && LOOPBACK_NAMES.iter().any(|own| own.eq_ignore_ascii_case(name))
}

fn is_message(kind: &str) -> bool {
    matches!(kind, "json" | "proto" | "connect+json" | "connect+proto")
        || kind == "grpc"
        || kind.starts_with("grpc+")
        || kind.starts_with("grpc-web")
}

/// The layer.
pub async fn identify(State(identity): State<Arc<Identity>>, mut request: Request, next: Next) -> Response {
    let Some(connection) = request.extensions().get::<Connection>().cloned() else {
        let lost = ServiceError::Internal("a request came by no connection".to_owned());
        return refused(request, lost).await;
    };
    let path = request.uri().path().to_owned();
    if connection.kind == Kind::Clear {
        let (parts, _) = request.into_parts();
        return in_clear(&identity, &parts, &path).await;
    }
    let stranger = Origin::Stranger;
    let origin = match &connection.origin {
        Origin::LocalRoot if is_plain(&request, identity.is_rpc(&path)) => &connection.origin,
        Origin::LocalRoot | Origin::Stranger => &stranger,
        Origin::Socket { .. } => &connection.origin,
    };
    let mut authorization = request.headers().get_all(header::AUTHORIZATION).iter();
    let one = authorization.next().map(|value| value.to_str().unwrap_or(""));
    // Two of them are as good as a wrong one.
    let authorization = if authorization.next().is_some() { Some("") } else { one };
    let shown = Shown { origin, authorization, cookie: cookie_in(request.headers()), address: &connection.address };
    let privilege = identity.privilege(&path);
    let caller = match (identity.auth.judge(shown), privilege.need()) {
        (Ok(caller), _) => caller,
        // Who wants to sign in again may still carry what has ended.
        (Err(_), Need::Nothing) => None,
        (Err(error), Need::Identity | Need::Role(_)) => return refused(request, error).await,
    };
    let allowed = match (&caller, privilege.need()) {
        (_, Need::Nothing) => Ok(()),
        (Some(caller), Need::Identity | Need::Role(_)) => caller.may(privilege),
        (None, Need::Identity | Need::Role(_)) => Err(identity.auth.nobody()),
    };
    if let Err(error) = allowed {
        return refused(request, error).await;
    }
    request.extensions_mut().insert(CallerAddress(Arc::clone(&connection.address)));
    if let Some(caller) = caller {
        tracing::Span::current().record("user", caller.name());
        request.extensions_mut().insert::<Principal>(caller);
    }
    next.run(request).await
}

async fn in_clear(identity: &Identity, request: &Parts, path: &str) -> Response {
    let headers = &request.headers;
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    identity.auth.compromised(authorization, cookie_in(headers)).await;
    // The gate has seen that the host is ours.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri.authority().map(axum::http::uri::Authority::as_str)).unwrap_or_default();
    let url = format!("https://{host}{}", request.uri.path_and_query().map_or("/", |path| path.as_str()));
    let looks = matches!(request.method, Method::GET | Method::HEAD);
    let mut response = match (looks, path) {
        (true, "/healthz" | "/health") => "ok\n".into_response(),
        (true, _) if identity.privilege(path) == Privilege::Anyone && !path.starts_with("/consoles/") => {
            match HeaderValue::from_str(&url) {
                Ok(url) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, url)]).into_response(),
                Err(_) => StatusCode::BAD_REQUEST.into_response(),
            }
        }
        _ => {
            let sentence = format!("nothing is done in clear over a network; use {url}");
            ConnectError::permission_denied(sentence).into_http_response(headers).map(Body::new)
        }
    };
    // What follows on this connection is not read.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What is read of a refused request, and for how long, so that its connection can be used again.
const READ_MAX: usize = 64 << 10;
const READ_WITHIN: Duration = Duration::from_secs(1);

async fn refused(request: Request, error: ServiceError) -> Response {
    let sentence = error.to_string();
    let told = match error {
        ServiceError::Unauthenticated(_) => ConnectError::unauthenticated(sentence),
        ServiceError::Denied(_) => ConnectError::permission_denied(sentence),
        // Nobody judges by any of these.
        ServiceError::Invalid(_)
        | ServiceError::Several(_)
        | ServiceError::NotFound { .. }
        | ServiceError::AlreadyExists(_)
        | ServiceError::Precondition { .. }
        | ServiceError::Busy { .. }
        | ServiceError::Stale(_)
        | ServiceError::Exhausted(_)
        | ServiceError::Unavailable(_)
        | ServiceError::Unimplemented { .. }
        | ServiceError::DeadlineExceeded(_)
        | ServiceError::Cancelled(_)
        | ServiceError::Internal(_) => {
            tracing::error!(error = sentence, "a request could not be judged");
            ConnectError::internal("internal error; the log holds its cause under this request's id")
        }
    };
    let is_unauthenticated = told.code == connectrpc::ErrorCode::Unauthenticated;
    let (parts, body) = request.into_parts();
    let mut response = told.into_http_response(&parts.headers).map(Body::new);
    let read = tokio::time::timeout(READ_WITHIN, Limited::new(body, READ_MAX).collect()).await;
    if !matches!(read, Ok(Ok(_))) {
        // An HTTP/1 client must not send its next request behind what nobody has read.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if is_unauthenticated {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
