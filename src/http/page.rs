//! The page: what was built from `web/`, embedded. Where it was not built, the page says so.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Built;

/// Nothing but our own scripts, styles and data.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";

/// What a browser sees where the page was not built.
const NOT_BUILT: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Quantix-KVM</title>\
     <h1>Quantix-KVM</h1><p>The API is served here; this build has no page. It answers curl:</p>\
     <pre>curl -X POST http://localhost:8080/Quantixkvm.compute.v1.VMService/ListVMs \
     -H 'Content-Type: application/json' -d '{}'</pre></html>\n";

/// The file of this path; for a path of the site's own, the page itself.
pub(super) fn answer(request: &Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let mut response = match Built::get(path).filter(|_| !path.is_empty()) {
        Some(file) => of_file(request, path, &file),
        None if path.starts_with("assets/") => (StatusCode::NOT_FOUND, "not found\n").into_response(),
        None => match Built::get("index.html") {
            Some(index) => of_file(request, "index.html", &index),
            None => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], NOT_BUILT).into_response(),
        },
    };
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

fn of_file(request: &Request, path: &str, file: &rust_embed::EmbeddedFile) -> Response {
    let tag: String = file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    // Files of the build carry a hash in their name; the page that names them is asked for anew.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(file.data.clone().into_owned()))
    };
    let headers = response.headers_mut();
    for (name, value) in
        [(header::CONTENT_TYPE, file.metadata.mimetype()), (header::ETAG, tag.as_str()), (header::CACHE_CONTROL, cache)]
    {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    response
}
