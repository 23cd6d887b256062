//! The page: what was built from `web/`, embedded, with the packed siblings (`x.br`, `x.gz`) that
//! its build writes. Where it was not built, the page says so and how it is.
//!
//! Files under `assets/` carry a hash in their names and are kept for ever; the page that names
//! them is asked for anew, by its ETag. Every path that is no file is the page itself: a link into
//! it must open. What a browser already knows, and what fits through the narrowest pipe it can
//! read, is decided by pure functions over the request's headers.

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Built;

/// Nothing but our own scripts, styles and data; `'self'` holds for our WebSockets, too.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";

/// What every file of the page is sent with. The page needs nothing of the machine that shows it.
const GUARDS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), midi=(), payment=(), usb=()",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

/// What a browser sees where the page was not built.
const NOT_BUILT: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Quantix-KVM</title>\
     <h1>Quantix-KVM</h1><p>The page was not built into this program. With Node at hand, in its sources:</p>\
     <pre>cd web && npm ci && npm run build && cd .. && cargo build --release</pre>\
     <p>The API is served all the same; it answers curl:</p>\
     <pre>curl -X POST http://localhost:8080/Quantixkvm.compute.v1.VMService/ListVMs \
     -H 'Content-Type: application/json' -d '{}'</pre></html>\n";

/// How a file's bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Brotli,
    Gzip,
    Plain,
}

impl Packing {
    /// The narrowest first.
    const ALL: [Self; 3] = [Self::Brotli, Self::Gzip, Self::Plain];

    /// Its name in HTTP.
    fn coding(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Plain => "identity",
        }
    }

    /// What the names of such files end with.
    fn end(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
            Self::Plain => "",
        }
    }
}

/// Where files come from: a path to its file.
type Files = fn(&str) -> Option<EmbeddedFile>;

/// The file of this path; for a path of the site's own, the page itself.
pub(super) fn answer(request: &Request) -> Response {
    of(request.uri().path(), request.headers(), Built::get)
}

fn of(path: &str, headers: &HeaderMap, files: Files) -> Response {
    let path = path.trim_start_matches('/');
    let is_packed = [Packing::Brotli, Packing::Gzip].iter().any(|packing| path.ends_with(packing.end()));
    let is_file = !path.is_empty() && !is_packed && files(path).is_some();
    let mut response = if is_file {
        file(path, headers, files)
    } else if path.starts_with("assets/") {
        (StatusCode::NOT_FOUND, "not found\n").into_response()
    } else if files("index.html").is_some() {
        file("index.html", headers, files)
    } else {
        ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], NOT_BUILT).into_response()
    };
    for (name, value) in GUARDS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A file that is there, packed as its reader likes it best.
fn file(path: &str, headers: &HeaderMap, files: Files) -> Response {
    let accepted: Vec<&str> =
        headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).collect();
    let sent = by_taste(&accepted.join(","))
        .into_iter()
        .find_map(|packing| Some((packing, files(&format!("{path}{}", packing.end()))?)));
    let Some((packing, file)) = sent.or_else(|| Some((Packing::Plain, files(path)?))) else {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    };
    let tag: String = file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut response = if known.into_iter().any(|known| names(known, &tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        // Embedded bytes are sent from where they are; a debug build reads them from the disk.
        let bytes = match file.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        let mut response = Response::new(Body::from(bytes));
        // By its own name: a packed sibling's would say what the packing is.
        put(&mut response, header::CONTENT_TYPE, &kind(path, files));
        if packing != Packing::Plain {
            put(&mut response, header::CONTENT_ENCODING, packing.coding());
        }
        response
    };
    put(&mut response, header::ETAG, &tag);
    put(&mut response, header::VARY, "Accept-Encoding");
    put(&mut response, header::CACHE_CONTROL, if path.starts_with("assets/") { FOR_EVER } else { ASK_AGAIN });
    response
}

/// The media type of a file; text says its character set.
fn kind(path: &str, files: Files) -> String {
    let kind = files(path).map_or_else(String::new, |file| file.metadata.mimetype().to_owned());
    if kind.starts_with("text/") && !kind.contains("charset") { format!("{kind}; charset=utf-8") } else { kind }
}

fn put(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Whether an `If-None-Match` names this tag (RFC 9110, 13.1.2: weak comparison).
fn names(header: &str, tag: &str) -> bool {
    header.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// The packings that an `Accept-Encoding` takes (RFC 9110, 12.5.3), the one to be sent first.
/// Plain is always among them: it is better than nothing.
fn by_taste(accepted: &str) -> Vec<Packing> {
    let mut weights = [None; Packing::ALL.len()];
    let mut any = None;
    for part in accepted.split(',') {
        let mut words = part.split(';').map(str::trim);
        let coding = words.next().unwrap_or_default().to_ascii_lowercase();
        let weight = words
            .find_map(|word| word.strip_prefix("q=").or_else(|| word.strip_prefix("Q=")))
            .map_or(Some(1.0), |weight| weight.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight)));
        // What cannot be read is not taken.
        let weight = weight.unwrap_or(0.0);
        if coding == "*" {
            any = Some(weight);
        }
        for (packing, slot) in Packing::ALL.iter().zip(&mut weights) {
            if packing.coding() == coding || (coding == "x-gzip" && *packing == Packing::Gzip) {
                *slot = Some(weight);
            }
        }
    }
    let mut taken: Vec<(f32, Packing)> = Packing::ALL
        .into_iter()
        .zip(weights)
        .filter_map(|(packing, weight)| match (packing, weight.or(any)) {
            (_, Some(weight)) if weight > 0.0 => Some((weight, packing)),
            // Not named: taken, and after all that is.
            (Packing::Plain, None | Some(_)) => Some((0.0, packing)),
            (Packing::Brotli | Packing::Gzip, None | Some(_)) => None,
        })
        .collect();
    // Of equals the narrowest, which stands first.
    taken.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    taken.into_iter().map(|(_, packing)| packing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Packing::{Brotli, Gzip, Plain};

    /// A page of three files; one of them was not worth packing.
    fn made_up(path: &str) -> Option<EmbeddedFile> {
        let (data, kind): (&'static [u8], &'static str) = match path {
            "index.html" => (b"<!doctype html>", "text/html"),
            "index.html.br" => (b"(br)", "application/octet-stream"),
            "index.html.gz" => (b"(gz)", "application/gzip"),
            "assets/app-1a2b.js" => (b"go()", "text/javascript"),
            "assets/app-1a2b.js.br" => (b"(b)", "application/octet-stream"),
            "assets/dot-3c4d.png" => (b"png", "image/png"),
            _ => return None,
        };
        let mut hash = [0; 32];
        hash[..path.len().min(32)].copy_from_slice(&path.as_bytes()[..path.len().min(32)]);
        hash[0] = u8::try_from(path.len()).expect("a short path");
        let metadata = rust_embed::Metadata::__rust_embed_new(hash, None, None, kind);
        Some(EmbeddedFile { data: Cow::Borrowed(data), metadata })
    }

    fn ask(path: &str, headers: &[(HeaderName, &str)]) -> Response {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("a value")));
        of(path, &headers.collect(), made_up)
    }

    fn header_of(response: &Response, name: HeaderName) -> &str {
        response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
    }

    async fn body(response: Response) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), 4096).await.expect("a body").to_vec()
    }

    #[test]
    fn the_packing_is_what_is_taken_and_weighs_most() {
        for (accepted, wanted) in [
            ("", vec![Plain]),
            ("gzip, deflate, br, zstd", vec![Brotli, Gzip, Plain]),
            ("gzip", vec![Gzip, Plain]),
            ("x-gzip", vec![Gzip, Plain]),
            ("GZIP;Q=0.5 , BR;q=0.4", vec![Gzip, Brotli, Plain]),
            ("br;q=0, gzip", vec![Gzip, Plain]),
            ("*", vec![Brotli, Gzip, Plain]),
            ("*;q=0", vec![Plain]),
            ("*;q=0.1, br;q=0", vec![Gzip, Plain]),
            ("identity, br;q=0.5", vec![Plain, Brotli]),
            ("identity;q=0, gzip;q=0.1", vec![Gzip, Plain]),
            ("br;q=nonsense, gzip;q=2, deflate", vec![Plain]),
            (",;,q=1,br;level=4;q=0.3", vec![Brotli, Plain]),
        ] {
            assert_eq!(by_taste(accepted), wanted, "{accepted}");
        }
    }

    #[tokio::test]
    async fn a_file_comes_in_the_packing_that_there_is() {
        let all = [(header::ACCEPT_ENCODING, "gzip, br")];
        for (path, headers, coding, bytes, kind, cache) in [
            ("/", &all[..], "br", "(br)", "text/html; charset=utf-8", ASK_AGAIN),
            ("/vms/x", &[(header::ACCEPT_ENCODING, "gzip")], "gzip", "(gz)", "text/html; charset=utf-8", ASK_AGAIN),
            ("/", &[], "", "<!doctype html>", "text/html; charset=utf-8", ASK_AGAIN),
            ("/assets/app-1a2b.js", &all, "br", "(b)", "text/javascript; charset=utf-8", FOR_EVER),
            (
                "/assets/app-1a2b.js",
                &[(header::ACCEPT_ENCODING, "gzip")],
                "",
                "go()",
                "text/javascript; charset=utf-8",
                FOR_EVER,
            ),
            ("/assets/dot-3c4d.png", &all, "", "png", "image/png", FOR_EVER),
        ] {
            let told = ask(path, headers);
            assert_eq!(told.status(), StatusCode::OK, "{path}");
            assert_eq!(header_of(&told, header::CONTENT_ENCODING), coding, "{path} {headers:?}");
            assert_eq!(header_of(&told, header::CONTENT_TYPE), kind, "{path}");
            assert_eq!(header_of(&told, header::CACHE_CONTROL), cache, "{path}");
            assert_eq!(header_of(&told, header::VARY), "Accept-Encoding", "{path}");
            assert!(header_of(&told, header::CONTENT_SECURITY_POLICY).contains("frame-ancestors 'none'"));
            assert_eq!(body(told).await, bytes.as_bytes(), "{path}");
        }
    }

    #[tokio::test]
    async fn what_is_known_is_not_sent_again_and_each_packing_has_its_own_tag() {
        let tag = |accepted: &'static str| {
            header_of(&ask("/", &[(header::ACCEPT_ENCODING, accepted)]), header::ETAG).to_owned()
        };
        let (packed, plain) = (tag("br"), tag("identity"));
        assert!(packed != plain && packed.len() > 10);
        for (known, status) in [
            (packed.clone(), StatusCode::NOT_MODIFIED),
            (format!("\"x\", W/{packed}"), StatusCode::NOT_MODIFIED),
            ("*".to_owned(), StatusCode::NOT_MODIFIED),
            (plain, StatusCode::OK),
            ("\"x\"".to_owned(), StatusCode::OK),
        ] {
            let told = ask("/", &[(header::ACCEPT_ENCODING, "br"), (header::IF_NONE_MATCH, &known)]);
            assert_eq!(told.status(), status, "{known}");
            assert_eq!(header_of(&told, header::ETAG), packed);
            assert_eq!(body(told).await.is_empty(), status == StatusCode::NOT_MODIFIED);
        }
    }

    #[tokio::test]
    async fn links_into_the_page_open_it_and_lost_assets_are_not_found() {
        for path in ["/", "/vms", "/vms/a.b/console", "/index.html.br", "//evil.example", "/../etc/passwd"] {
            assert_eq!(body(ask(path, &[])).await, b"<!doctype html>", "{path}");
        }
        for path in ["/assets/app-0000.js", "/assets/", "/assets/app-1a2b.js.br", "/assets/app-1a2b.js.gz"] {
            assert_eq!(ask(path, &[]).status(), StatusCode::NOT_FOUND, "{path}");
        }
        let unbuilt = of("/vms", &HeaderMap::new(), |_| None);
        assert_eq!(unbuilt.status(), StatusCode::OK);
        assert!(String::from_utf8_lossy(&body(unbuilt).await).contains("npm run build"));
    }
}
