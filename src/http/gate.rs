//! Who may speak to this port at all: the Host must be one of ours, and the Origin, where a
//! browser sends one, must be that very host. Without this any web page in an administrator's
//! browser could command the VMs, by a name that it points at loopback.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use connectrpc::ConnectError;

use super::serve::{Connection, Kind};

/// The names by which this host may be addressed.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    /// Lower case, without port; IPv6 in brackets.
    hosts: BTreeSet<String>,
    ports: BTreeSet<u16>,
}

/// How a request came, which is how its page must have come, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn prefix(self) -> &'static str {
        match self {
            Self::Http => "http://",
            Self::Https => "https://",
        }
    }
}

/// Why a request is turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No Host at all, two of them, or one that contradicts the request line.
    NoHost,
    /// A Host that is not ours.
    OtherHost(String),
    /// An Origin that is not the Host's.
    OtherOrigin(String),
}

impl Gate {
    /// Loopback's names, `names`, and the ports that are listened on.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = String>, ports: impl IntoIterator<Item = u16>) -> Self {
        let mut hosts: BTreeSet<String> = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).into();
        hosts.extend(names.into_iter().filter(|name| !name.is_empty()).map(|name| {
            let name = name.to_ascii_lowercase();
            if name.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{name}]") } else { name }
        }));
        Self { hosts, ports: ports.into_iter().collect() }
    }

    /// `here`: the address of ours that a connection came to. It may have come up after the start, and
    /// no name that somebody else points at it reads like it.
    fn knows(&self, authority: &str, here: Option<IpAddr>) -> bool {
        let (host, port) = split(authority);
        let port_is_ours = match port {
            None => true,
            Some(port) => {
                port.parse::<u16>().is_ok_and(|number| self.ports.contains(&number) && port == number.to_string())
            }
        };
        let is_here = || match here {
            Some(IpAddr::V4(here)) => host == here.to_string(),
            Some(IpAddr::V6(here)) => host == format!("[{here}]"),
            None => false,
        };
        port_is_ours && (self.hosts.contains(&host.to_ascii_lowercase()) || is_here())
    }

    /// Whether a request with this target and these headers may pass.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, scheme: Scheme, here: Option<IpAddr>, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => Some(host.to_str().map_err(|_| Refusal::NoHost)?),
            (None, _) => None,
            (Some(_), Some(_)) => return Err(Refusal::NoHost),
        };
        let authority = uri.authority().map(axum::http::uri::Authority::as_str);
        let host = match (host, authority) {
            (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => return Err(Refusal::NoHost),
            (Some(host), _) => host,
            (None, Some(authority)) => authority,
            (None, None) => return Err(Refusal::NoHost),
        };
        if !self.knows(host, here) {
            return Err(Refusal::OtherHost(crate::model::id::clip(host, 100)));
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        if let Some(origin) = origins.next() {
            let same = origins.next().is_none()
                && origin
                    .to_str()
                    .ok()
                    .and_then(|origin| origin.strip_prefix(scheme.prefix()))
                    .is_some_and(|origin| origin.eq_ignore_ascii_case(host));
            if !same {
                return Err(Refusal::OtherOrigin(crate::model::id::clip(
                    &String::from_utf8_lossy(origin.as_bytes()),
                    100,
                )));
            }
        }
        match headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
            None | Some(b"same-origin" | b"none") => Ok(()),
            // A link from elsewhere may open the page; it may not do anything.
            Some(_) if headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate") => Ok(()),
            Some(site) => Err(Refusal::OtherOrigin(String::from_utf8_lossy(site).into_owned())),
        }
    }
}

/// Host and port of an authority; the brackets of IPv6 stay.
fn split(authority: &str) -> (&str, Option<&str>) {
    let after = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[after..].find(':') {
        Some(colon) => (&authority[..after + colon], Some(&authority[after + colon + 1..])),
        None => (authority, None),
    }
}

/// The layer.
pub async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let connection = request.extensions().get::<Connection>();
    let here = connection.and_then(|connection| connection.here);
    let scheme = match connection.map(|connection| connection.kind) {
        // By the API socket there are no names and no browsers.
        Some(Kind::Socket) => return next.run(request).await,
        Some(Kind::Tls) => Scheme::Https,
        Some(Kind::Loopback | Kind::Clear) | None => Scheme::Http,
    };
    let refusal = match gate.check(scheme, here, request.uri(), request.headers()) {
        Ok(()) => return next.run(request).await,
        Err(refusal) => refusal,
    };
    let (status, sentence) = match &refusal {
        Refusal::NoHost => (StatusCode::BAD_REQUEST, "the request names no host, or two".to_owned()),
        Refusal::OtherHost(host) => (
            StatusCode::MISDIRECTED_REQUEST,
            format!("\"{host}\" is no name of this host; add it to hostnames in the configuration if it should be"),
        ),
        Refusal::OtherOrigin(origin) => {
            (StatusCode::FORBIDDEN, format!("requests from another web page (\"{origin}\") are refused"))
        }
    };
    tracing::warn!(?refusal, "turned away at the gate");
    if request.method() == axum::http::Method::POST {
        ConnectError::permission_denied(sentence)
            .with_http_status(status)
            .into_http_response(request.headers())
            .map(Body::new)
    } else {
        (status, format!("{sentence}\n")).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate::new(
            ["hv-01".to_owned(), "HV-01.local".to_owned(), "192.0.2.5".to_owned(), "2001:db8::5".to_owned()],
            [8080],
        )
    }

    fn check(headers: &[(&str, &str)]) -> Result<(), Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                axum::http::HeaderName::from_bytes(name.as_bytes()).expect("a header's name"),
                axum::http::HeaderValue::from_bytes(value.as_bytes()).expect("a header's value"),
            );
        }
        gate().check(Scheme::Http, None, &Uri::from_static("/x"), &map)
    }

    #[test]
    fn our_own_names_pass() {
        for host in [
            "localhost:8080",
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "hv-01:8080",
            "HV-01",
            "hv-01.local:8080",
            "192.0.2.5:8080",
            "[2001:db8::5]:8080",
        ] {
            assert_eq!(check(&[("host", host)]), Ok(()), "{host}");
            let origin = format!("http://{host}");
            assert_eq!(
                check(&[("host", host), ("origin", &origin), ("sec-fetch-site", "same-origin")]),
                Ok(()),
                "{host}"
            );
        }
    }

    #[test]
    fn other_hosts_are_turned_away() {
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "localhost:9090",
            "localhost:",
            "localhost:08080",
            "localhost:+8080",
            "127.0.0.1.evil.example",
            "127.0.0.2",
            "127.1",
            "0.0.0.0:8080",
            "0x7f000001",
            "2130706433",
            "::1",
            "[::]",
            "[::1",
            "::1]",
            "[::1]x",
            "[::1]:8081",
            "[::ffff:127.0.0.1]:8080",
            "user@localhost:8080",
            "localhost:8080@evil",
            "localhost/",
            "localhost#",
            "localhost,evil",
            "localhost evil",
            "hv-01.",
            "hv-02",
            ".local",
            "*",
            "localhost:8080:8080",
        ] {
            assert!(check(&[("host", host)]).is_err(), "{host} passed");
        }
        assert_eq!(check(&[]), Err(Refusal::NoHost));
        assert_eq!(check(&[("host", "localhost"), ("host", "localhost")]), Err(Refusal::NoHost));
        assert_eq!(
            gate().check(
                Scheme::Http,
                None,
                &Uri::from_static("http://evil.example/x"),
                &[(header::HOST, "localhost".parse().expect("a value"))].into_iter().collect()
            ),
            Err(Refusal::NoHost)
        );
    }

    #[test]
    fn the_address_that_was_come_to_passes_however_new_it_is() {
        let at = |here: &str, host: &str| {
            let headers = [(header::HOST, host.parse().expect("a value"))].into_iter().collect();
            gate().check(Scheme::Https, Some(here.parse().expect("an address")), &Uri::from_static("/x"), &headers)
        };
        for (here, host) in [
            ("198.51.100.7", "198.51.100.7:8080"),
            ("198.51.100.7", "198.51.100.7"),
            ("2001:db8::77", "[2001:db8::77]:8080"),
        ] {
            assert_eq!(at(here, host), Ok(()), "{host}");
        }
        for (here, host) in [
            ("198.51.100.7", "198.51.100.8:8080"),
            ("198.51.100.7", "198.51.100.7:9090"),
            ("198.51.100.7", "198.51.100.7.evil.example"),
            ("198.51.100.7", "[::ffff:198.51.100.7]"),
            ("2001:db8::77", "2001:db8::77"),
        ] {
            assert!(at(here, host).is_err(), "{host} passed at {here}");
        }
    }

    proptest::proptest! {
        #![proptest_config(crate::hostile::cases(2000, "tests/corpus/gate.regressions"))]

        /// Whatever the headers are, who passes has one Host, and it is one of ours by a second
        /// reckoning.
        #[test]
        fn who_passes_named_this_host(
            host in crate::hostile::like(HOSTS.map(|host| host.as_bytes().to_vec()).to_vec()),
            origin in crate::hostile::like(HOSTS.map(|host| format!("http://{host}").into_bytes()).to_vec()),
            with_origin: bool,
        ) {
            let mut map = HeaderMap::new();
            let Ok(value) = axum::http::HeaderValue::from_bytes(&host) else { return Ok(()) };
            map.insert(header::HOST, value);
            if with_origin && let Ok(value) = axum::http::HeaderValue::from_bytes(&origin) {
                map.insert(header::ORIGIN, value);
            }
            if gate().check(Scheme::Http, None, &Uri::from_static("/x"), &map).is_ok() {
                let host = String::from_utf8(host.0).expect("ours are text").to_ascii_lowercase();
                let name = host.strip_suffix(":8080").unwrap_or(&host);
                proptest::prop_assert!(NAMES.contains(&name), "{} passed", host);
                if let Some(origin) = map.get(header::ORIGIN) {
                    let origin = origin.to_str().expect("ours are text").to_ascii_lowercase();
                    proptest::prop_assert_eq!(origin, format!("http://{host}"));
                }
            }
        }
    }

    const NAMES: [&str; 7] = ["localhost", "127.0.0.1", "[::1]", "hv-01", "hv-01.local", "192.0.2.5", "[2001:db8::5]"];
    const HOSTS: [&str; 10] = [
        "localhost:8080",
        "127.0.0.1",
        "[::1]:8080",
        "HV-01",
        "hv-01.local:8080",
        "192.0.2.5:8080",
        "[2001:db8::5]",
        "evil.example:8080",
        "localhost:08080",
        "localhost@evil.example",
    ];

    #[test]
    fn other_origins_are_turned_away() {
        for origin in [
            "null",
            "http://evil.example",
            "https://localhost:8080",
            "http://localhost",
            "http://localhost:8081",
            "http://127.0.0.1:8080",
            "http://localhost:8080.evil.example",
            "http://localhost:8080/",
            "file://",
            "",
            "localhost:8080",
            "http://",
        ] {
            assert!(check(&[("host", "localhost:8080"), ("origin", origin)]).is_err(), "{origin} passed");
        }
        for site in ["cross-site", "same-site", "x"] {
            assert!(check(&[("host", "localhost:8080"), ("sec-fetch-site", site)]).is_err(), "{site} passed");
        }
        assert_eq!(
            check(&[("host", "localhost:8080"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]),
            Ok(())
        );
    }
}
