//! TLS and plain HTTP on one port: what is spoken, with which certificate, and what happens to who
//! comes in clear over a network.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{BINARY, SOON, Server, USER};

const TEST: &str = "test:///default";
/// A changed certificate is taken up, or told to be broken, within this.
const TAKEN_UP: Duration = Duration::from_secs(5);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(5);

fn address(server: &Server) -> SocketAddr {
    server.url.trim_start_matches("http://").parse().expect("an address")
}

/// A client that believes this certificate alone.
fn client(trusted: &Path, versions: &[&'static SupportedProtocolVersion], alpn: &[&str]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).expect("a certificate")).expect("it can be trusted");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];

async fn shake(client: &TlsConnector, to: SocketAddr, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(to).await?;
    client.connect(ServerName::try_from(name.to_owned()).expect("a name"), stream).await
}

/// The certificate that is shown.
fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).expect("a certificate").to_vec()
}

fn request(server: &Server, scheme: &str, method: &str, path: &str) -> http::Request<Full<Bytes>> {
    http::Request::builder()
        .method(method)
        .uri(format!("{scheme}://{}{path}", address(server)))
        .header("host", address(server).to_string())
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", server.token.as_deref().expect("a token")))
        .body(Full::from("{}"))
        .expect("a request")
}

const LIST: &str = "/Quantixkvm.compute.v1.VMService/ListVMs";

#[tokio::test(flavor = "multi_thread")]
async fn tls_and_plain_share_a_port_and_alpn_chooses_the_protocol() {
    let server = Server::on(TEST).await;
    let own = server.data_dir.join("tls-certificate.pem");
    let to = address(&server);
    server.ok("ListVMs", json!({})).await;

    let stream = shake(&client(&own, BOTH, &["h2", "http/1.1"]), to, "localhost").await.expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (mut h2, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let answer = h2.send_request(request(&server, "https", "POST", LIST)).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
    let body: Value =
        serde_json::from_slice(&answer.into_body().collect().await.expect("a body").to_bytes()).expect("JSON");
    assert!(body["vms"].is_array(), "{body}");

    for alpn in [&["http/1.1"][..], &[]] {
        let stream = shake(&client(&own, BOTH, alpn), to, "127.0.0.1").await.expect("TLS");
        assert_eq!(stream.get_ref().1.alpn_protocol(), alpn.first().map(|name| name.as_bytes()));
        let (mut h1, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        let answer = h1.send_request(request(&server, "https", "POST", LIST)).await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_11));
    }
    // A protocol that is not ours is refused, and not guessed at.
    assert!(shake(&client(&own, BOTH, &["spdy/3"]), to, "localhost").await.is_err());
}

/// A ClientHello of an old version, as an old client sends it: no versions but the one in it.
fn old_hello(minor: u8) -> Vec<u8> {
    let extensions: [&[u8]; 3] = [
        &[0, 10, 0, 4, 0, 2, 0, 23], // supported_groups: secp256r1
        &[0, 11, 0, 2, 1, 0],        // ec_point_formats: uncompressed
        &[0, 13, 0, 4, 0, 2, 4, 3],  // signature_algorithms: ECDSA with SHA-256
    ];
    let extensions = extensions.concat();
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    body.push(0); // no session
    body.extend([0, 6, 0xc0, 0x09, 0xc0, 0x0a, 0xc0, 0x2b]);
    body.extend([1, 0]); // no compression
    body.extend(u16::try_from(extensions.len()).expect("they are few").to_be_bytes());
    body.extend(extensions);
    let length = |n: usize| u16::try_from(n).expect("it is short").to_be_bytes();
    let handshake = [&[1, 0][..], &length(body.len()), &body].concat();
    [&[0x16, 3, minor.min(1)][..], &length(handshake.len()), &handshake].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let server = Server::on(TEST).await;
    let own = server.data_dir.join("tls-certificate.pem");
    let versions: [(&'static SupportedProtocolVersion, ProtocolVersion); 2] =
        [(&rustls::version::TLS12, ProtocolVersion::TLSv1_2), (&rustls::version::TLS13, ProtocolVersion::TLSv1_3)];
    for (version, spoken) in versions {
        let stream = shake(&client(&own, &[version], &[]), address(&server), "localhost").await.expect("TLS");
        assert_eq!(stream.get_ref().1.protocol_version(), Some(spoken));
    }
    // 3.3 is TLS 1.2: that the hello is well made is seen by its being answered with another.
    for (minor, kind) in [(0, 0x15), (1, 0x15), (2, 0x15), (3, 0x16)] {
        let mut stream = TcpStream::connect(address(&server)).await.expect("a connection");
        stream.write_all(&old_hello(minor)).await.expect("it is sent");
        let mut answer = [0; 7];
        tokio::time::timeout(SOON, stream.read_exact(&mut answer)).await.expect("soon").expect("an answer");
        assert_eq!(answer[0], kind, "version 3.{minor}: {answer:?}");
        if kind == 0x15 {
            assert_eq!(answer[5..], [2, 70], "fatal, protocol_version, for version 3.{minor}");
        }
    }
}

/// `cert` of the command line, on the server's files.
fn cert(server: &Server, command: &str) -> Value {
    let output = std::process::Command::new(BINARY)
        .args(["cert", command, "--json", "--data-dir", &server.data_dir.display().to_string()])
        .output()
        .expect("the program can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn fingerprint(der: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_own_certificate_has_its_names_and_is_renewed_without_a_restart() {
    let server = Server::on(TEST).await;
    let own = server.data_dir.join("tls-certificate.pem");
    let told = cert(&server, "show");
    let named = |name: &str| told["names"].as_array().is_some_and(|names| names.iter().any(|other| other == name));
    let hostname = rustix::system::uname().nodename().to_str().expect("a name").to_owned();
    for name in ["localhost", "127.0.0.1", &hostname, &format!("{hostname}.local")] {
        assert!(named(name), "{name} is not in {told}");
    }
    for name in ["localhost", "127.0.0.1", &hostname] {
        let stream = shake(&client(&own, BOTH, &[]), address(&server), name).await.expect(name);
        assert_eq!(told["sha256"], fingerprint(&shown(&stream)));
    }
    assert!(shake(&client(&own, BOTH, &[]), address(&server), "elsewhere.example").await.is_err());
    if let Some(address) = own_address() {
        assert!(named(&address.to_string()), "{address} is not in {told}");
    }

    // Who is connected stays so; who comes next sees the new one.
    let old = client(&own, BOTH, &["http/1.1"]);
    let stream = shake(&old, address(&server), "localhost").await.expect("TLS");
    let (mut open, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    let renewed = cert(&server, "renew");
    assert_ne!(renewed["sha256"], told["sha256"]);
    let new = client(&own, BOTH, &[]);
    let begun = Instant::now();
    server
        .until("the renewed certificate", TAKEN_UP + SLACK, async || {
            let stream = shake(&new, address(&server), "localhost").await.ok()?;
            (fingerprint(&shown(&stream)) == renewed["sha256"]).then_some(())
        })
        .await;
    println!("a renewed certificate is taken up after {:?}", begun.elapsed());
    assert!(shake(&old, address(&server), "localhost").await.is_err(), "the old one is shown no more");
    let answer = open.send_request(request(&server, "https", "POST", LIST)).await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    let metrics = server.http.get(format!("{}/metrics", server.url)).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("a text");
    let ends =
        metrics.lines().find_map(|line| line.strip_prefix("quantixkvm_tls_certificate_expires_timestamp_seconds "));
    let ends: u64 = ends.unwrap_or_else(|| panic!("it is not in {metrics}")).parse().expect("a number");
    let not_after = humantime::parse_rfc3339(renewed["not_after"].as_str().expect("a moment")).expect("a moment");
    assert_eq!(not_after.duration_since(std::time::UNIX_EPOCH).expect("later").as_secs(), ends);
}

/// A certificate as another authority's, with its key.
fn issue(certificate: &Path, key: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    std::fs::write(key, made.signing_key.serialize_pem()).expect("a key");
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    std::fs::write(certificate, made.cert.pem()).expect("a certificate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_ones_own_is_used_and_a_broken_one_is_not() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (certificate, key) = (home.path().join("c.pem"), home.path().join("k.pem"));
    issue(&certificate, &key);
    let settings = [("CERTIFICATE", &certificate), ("KEY", &key)];
    let settings = settings.map(|(name, path)| format!("QUANTIXKVM_TLS_{name}={}", path.display()));
    let command = ["env", &settings[0], &settings[1], BINARY];
    let data = home.path().join("data");
    let server = Server::start_by(&command, Some(&data), &["--libvirt-uri", TEST]).await;
    let to = address(&server);
    let first = client(&certificate, BOTH, &[]);
    shake(&first, to, "localhost").await.expect("TLS");
    assert!(!data.join("tls-certificate.pem").exists(), "none is made beside it");

    // Broken in every way, and each told once: the one before it stays.
    let whole = [std::fs::read(&certificate).expect("a file"), std::fs::read(&key).expect("a file")];
    let told = |log: &str| log.matches("the one before it stays").count();
    let (other, other_key) = (home.path().join("c2.pem"), home.path().join("k2.pem"));
    issue(&other, &other_key);
    let wrong = [b"broken".to_vec(), Vec::new(), std::fs::read(&other).expect("a file")];
    for (n, bytes) in wrong.into_iter().enumerate() {
        std::fs::write(&certificate, bytes).expect("a file");
        server.until("it to be told", TAKEN_UP + SLACK, async || (told(&server.log()) > n).then_some(())).await;
        assert_eq!(told(&server.log()), n + 1, "{}", server.log());
        shake(&first, to, "localhost").await.expect("the one before");
    }
    std::fs::write(&certificate, &whole[0]).expect("a file");
    std::fs::remove_file(&key).expect("the key");
    server.until("it to be told", TAKEN_UP + SLACK, async || (told(&server.log()) == 4).then_some(())).await;
    shake(&first, to, "localhost").await.expect("the one before");

    // Renamed into place, as those who renew do.
    let second = client(&other, BOTH, &[]);
    std::fs::rename(&other_key, &key).expect("the key");
    std::fs::rename(&other, &certificate).expect("the certificate");
    server.until("the new one", TAKEN_UP + SLACK, async || shake(&second, to, "localhost").await.ok().map(drop)).await;
    assert!(shake(&first, to, "localhost").await.is_err());
    assert!(server.log().contains("the new certificate is in use"), "{}", server.log());
}

/// An address of this machine at which it is no loopback.
fn own_address() -> Option<IpAddr> {
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    let mut own = all.into_iter().map(|interface| interface.ip());
    own.find(|ip| matches!(ip, IpAddr::V4(v4) if !v4.is_loopback() && !v4.is_link_local()))
}

/// What comes back before the other side closes.
async fn raw(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).await.expect("a connection");
    stream.write_all(bytes).await.expect("it is sent");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
    // What was not read is answered by a reset, after the answer.
    if let Err(error) = read.expect("it is closed soon") {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_clear_over_a_network_nothing_is_done_and_what_crossed_it_is_good_no_more() {
    let Some(own) = own_address() else {
        println!("SKIPPED: this machine has no address but loopback's");
        return;
    };
    let home = tempfile::tempdir().expect("a temporary directory");
    let flags = ["--libvirt-uri", TEST, "--listen", "0.0.0.0:0"];
    let server = Server::start(Some(&home.path().join("data")), &flags).await;
    let port = server
        .until("the second address", SOON, async || {
            let log = server.log();
            let at = log.split("address=0.0.0.0:").nth(1)?;
            at.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u16>().ok()
        })
        .await;
    let to = SocketAddr::from((own, port));
    let get = async |path: &str, more: &str| {
        raw(to, format!("GET {path} HTTP/1.1\r\nHost: {to}\r\n{more}\r\n").as_bytes()).await
    };

    for path in ["/", "/vms?state=running", "/assets/x.js"] {
        let answer = get(path, "").await;
        assert!(answer.starts_with("HTTP/1.1 308 "), "{path}: {answer}");
        assert!(answer.contains(&format!("location: https://{to}{path}\r\n")), "{path}: {answer}");
    }
    assert!(get("/healthz", "").await.starts_with("HTTP/1.1 200 "));
    for path in ["/metrics", "/readyz", "/live", "/consoles/x/vnc"] {
        let answer = get(path, "").await;
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains(&format!("https://{to}{path}")),
            "{path}: {answer}"
        );
    }
    let foreign = raw(to, b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    assert!(foreign.starts_with("HTTP/1.1 421 ") && !foreign.contains("https://evil"), "{foreign}");

    // The body is not waited for: a gigabyte is promised and none of it sent.
    let begun = Instant::now();
    let post = format!(
        "POST {LIST} HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n"
    );
    let answer = raw(to, post.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("\"permission_denied\""), "{answer}");
    assert!(answer.contains(&format!("https://{to}{LIST}")), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());

    // An API token, an access token and a cookie.
    let token = server.ok("CreateToken", json!({ "name": "leaks", "userId": USER })).await;
    let login = json!({ "name": USER, "password": "correct horse" });
    let signed = [server.ok("Login", login.clone()).await, server.ok("Login", login).await];
    let secrets = [&token["secret"], &signed[0]["accessToken"]].map(|secret| secret.as_str().expect("one").to_owned());
    let who = async |secret: &str| {
        let url = format!("{}/Quantixkvm.auth.v1.AuthService/WhoAmI", server.url);
        let sent = reqwest::Client::new().post(url).bearer_auth(secret).json(&json!({})).send().await;
        sent.expect("an answer").status().as_u16()
    };
    for secret in &secrets {
        assert_eq!(who(secret).await, 200);
        let answer = get("/metrics", &format!("Authorization: Bearer {secret}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && !answer.contains(secret), "{answer}");
        assert_eq!(who(secret).await, 401, "it crossed the network in clear");
    }
    let other = signed[1]["accessToken"].as_str().expect("one");
    assert_eq!((who(other).await, who(server.token.as_deref().expect("a token")).await), (200, 200), "others stay");
    let guessed = format!("{}x", other);
    get("/", &format!("Authorization: Bearer {guessed}\r\n")).await;
    assert_eq!(who(other).await, 200, "a wrong one ends nothing");
    let log = server.log();
    assert!(log.contains("in clear") && secrets.iter().all(|secret| !log.contains(secret)), "{log}");

    // By TLS the same address is served.
    let own_certificate = server.data_dir.join("tls-certificate.pem");
    let stream = shake(&client(&own_certificate, BOTH, &["http/1.1"]), to, &own.to_string()).await.expect("TLS");
    let (mut open, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    let mut sent = request(&server, "https", "POST", LIST);
    *sent.uri_mut() = LIST.parse().expect("a path");
    sent.headers_mut().insert("host", to.to_string().parse().expect("a value"));
    assert_eq!(open.send_request(sent).await.expect("an answer").status().as_u16(), 200);
}

/// How long it takes until the other side closes, with nothing in between.
async fn closed_after(to: SocketAddr, sent: &[u8]) -> Duration {
    let mut stream = TcpStream::connect(to).await.expect("a connection");
    stream.write_all(sent).await.expect("it is sent");
    let begun = Instant::now();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
    read.expect("it is closed").expect("without a reset");
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_is_not_waited_for() {
    let server = Server::on(TEST).await;
    let to = address(&server);
    let half = old_hello(3);
    let (nothing, hello, headers) = tokio::join!(
        closed_after(to, b""),
        closed_after(to, &half[..9]),
        closed_after(to, b"GET /healthz HTTP/1.1\r\nHost: loc"),
    );
    for (what, took, wanted) in [("a first byte", nothing, 5), ("a handshake", hello, 10), ("headers", headers, 15)] {
        let wanted = Duration::from_secs(wanted);
        assert!(took >= wanted - Duration::from_millis(100) && took < wanted + SLACK, "{what}: {took:?}");
        println!("who is slow with {what} is gone after {took:.1?}");
    }
    server.ok("ListVMs", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_first_bytes_upset_the_server() {
    let server = Server::on(TEST).await;
    let to = address(&server);
    let mut random = fastrand::Rng::with_seed(4);
    let mut garbage: Vec<Vec<u8>> = (0..=255_u8)
        .map(|first| std::iter::once(first).chain((0..random.usize(0..200)).map(|_| random.u8(..))).collect())
        .collect();
    let hello = old_hello(3);
    // A TLS record that lies about its length, one of each kind, and hellos with a byte changed.
    garbage.extend((0..=255_u8).map(|kind| vec![0x16, 3, kind, 0xff, 0xff, 1, 2, 3]));
    garbage.extend((0..hello.len()).map(|at| {
        let mut bytes = hello.clone();
        bytes[at] ^= random.u8(1..);
        bytes
    }));
    let sent = garbage.len();
    let tries = garbage.into_iter().map(|bytes| async move {
        let mut stream = TcpStream::connect(to).await.expect("a connection");
        // Who is refused at once may not get to send it all.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "it is never closed: {bytes:?}");
    });
    use futures::StreamExt as _;
    futures::stream::iter(tries).buffer_unordered(50).collect::<Vec<()>>().await;
    server.ok("ListVMs", json!({})).await;
    assert!(!server.log().contains("panicked"), "{}", server.log());
    println!("{sent} beginnings that are nobody's: the server answers");
}
