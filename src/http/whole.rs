//! A request whose body breaks off, or is framed in a way that HTTP does not know, is its sender's
//! fault and answered as that, whatever became of it below.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use connectrpc::ConnectError;
use http_body_util::BodyExt as _;

/// The layer.
pub(super) async fn whole(request: Request, next: Next) -> Response {
    let broken = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&broken);
    let headers = request.headers().clone();
    let request = request.map(|body| {
        Body::new(body.map_err(move |error| {
            noted.store(true, Ordering::Relaxed);
            error
        }))
    });
    let response = next.run(request).await;
    if !broken.load(Ordering::Relaxed) || !response.status().is_server_error() {
        return response;
    }
    let told = ConnectError::invalid_argument("the request's body broke off, or its framing is none of HTTP's");
    let mut response = told.into_http_response(&headers).map(Body::new);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
