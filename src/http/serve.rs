//! Listening, what kind of connection each is, and ending: every address of the list, IPv6 without
//! IPv4, TLS and plain on one port told apart by the first byte, the API socket, and a stop that lets
//! what runs finish within ten seconds.
//!
//! ```text
//! accept ──► whose socket? (once, and for this connection alone) ──► first byte ─┬─ 0x16: TLS ─┐
//!                                                                                └─ plain ─────┴─► requests
//! API socket ──► SO_PEERCRED ──────────────────────────────────────────────────────────────────►
//! ```

use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::service::auth::Origin;

use super::tls::Tls;

/// How long open requests may take to finish at the end.
const DRAIN: Duration = Duration::from_secs(8);
/// How long a connection may be silent before its first byte, its handshake, its next headers.
const FIRST_BYTE: Duration = Duration::from_secs(5);
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEADERS: Duration = Duration::from_secs(15);
/// The first byte of a TLS handshake.
const TLS: u8 = 0x16;
/// Connections at once from elsewhere, from this host, and of its root, each with room of its own: a
/// flood from the network, or of a local user, shuts root out of nothing.
const FAR_MAX: usize = 4096;
const NEAR_MAX: usize = 4096;
const ROOT_MAX: usize = 256;

/// An address that cannot be served on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {why}{remedy}")]
pub struct ListenError {
    pub address: String,
    pub why: std::io::Error,
    pub remedy: String,
}

/// What is known of a connection before its first request.
#[derive(Debug, Clone)]
pub struct Connection {
    pub kind: Kind,
    pub origin: Origin,
    /// Without its port; of the API socket, "socket".
    pub address: Arc<str>,
    /// The address of ours that it came to; of the API socket none.
    pub here: Option<IpAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Tls,
    /// In clear, and never off this host.
    Loopback,
    /// In clear over a network.
    Clear,
    /// The API socket.
    Socket,
}

/// What a connection is made of by the rooms below.
pub struct Door {
    /// The certificate; `None`: TLS is not spoken (a demonstration on loopback).
    pub tls: Option<Arc<Tls>>,
    /// The user at the other end of a loopback connection, `from` there, `to` here.
    pub owner: fn(SocketAddr, SocketAddr) -> Option<u32>,
    /// Whether root on this host needs nothing more.
    pub trusts_root: bool,
    /// A user's name, for whoever comes by the API socket.
    pub user_name: fn(u32) -> Option<String>,
}

/// Take every address.
///
/// # Errors
/// Which address, why, and how to find out who holds it.
pub fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, ListenError> {
    addresses
        .iter()
        .map(|&address| {
            listen(address).map_err(|why| ListenError {
                remedy: if why.kind() == std::io::ErrorKind::AddrInUse {
                    format!(
                        "; see who holds it: ss -ltnp 'sport = :{}', or choose another with --listen",
                        address.port()
                    )
                } else {
                    String::new()
                },
                address: address.to_string(),
                why,
            })
        })
        .collect()
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt};
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket =
        socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    listen(&socket, 1024)?;
    TcpListener::from_std(StdListener::from(socket))
}

/// The API socket, for root and the administrators' group; removed when it is dropped.
pub struct ApiSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ApiSocket {
    /// Listen at `path`, in a directory that is there; `group` may use it, where there is one.
    ///
    /// # Errors
    /// Why not.
    pub fn bind(path: &Path, group: Option<u32>) -> Result<Self, ListenError> {
        let failed = |why: std::io::Error| ListenError {
            address: path.display().to_string(),
            remedy: "; choose another place with --socket".to_owned(),
            why,
        };
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(failed(std::io::Error::new(
                std::io::ErrorKind::AddrInUse,
                "another server that runs has its API socket there",
            )));
        }
        // Of a process that is gone.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        let socket = Self { listener, path: path.to_owned() };
        // Made by our umask for us alone, and opened to the group once it is the group's.
        let given = group.map(|group| std::os::unix::fs::chown(path, None, Some(group)));
        let mode = match given {
            Some(Ok(())) => 0o660,
            Some(Err(error)) => {
                tracing::warn!(
                    %error,
                    socket = %path.display(),
                    "the API socket cannot be given to its group, and is root's and the service's alone; is the \
                     service's user a member of the group?"
                );
                0o600
            }
            None => 0o600,
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
        Ok(socket)
    }
}

impl Drop for ApiSocket {
    fn drop(&mut self) {
        // The next start removes what stays.
        let _ = std::fs::remove_file(&self.path);
    }
}

struct Serving {
    router: Router,
    door: Door,
    stop: CancellationToken,
    connections: TaskTracker,
    far: Arc<Semaphore>,
    near: Arc<Semaphore>,
    root: Arc<Semaphore>,
}

/// Serve until `stop`, then let what runs finish; `sockets` are the WebSockets, of which hyper knows
/// nothing any more.
pub async fn serve(
    listeners: Vec<TcpListener>,
    api: Option<ApiSocket>,
    router: Router,
    door: Door,
    stop: CancellationToken,
    sockets: TaskTracker,
) {
    let serving = Arc::new(Serving {
        router,
        door,
        stop: stop.clone(),
        connections: TaskTracker::new(),
        far: Arc::new(Semaphore::new(FAR_MAX)),
        near: Arc::new(Semaphore::new(NEAR_MAX)),
        root: Arc::new(Semaphore::new(ROOT_MAX)),
    });
    let doors = TaskTracker::new();
    for listener in listeners {
        doors.spawn(accept_tcp(Arc::clone(&serving), listener));
    }
    if let Some(api) = api {
        doors.spawn(accept_api(Arc::clone(&serving), api));
    }
    doors.close();
    stop.cancelled().await;
    doors.wait().await;
    serving.connections.close();
    sockets.close();
    let all = async { (serving.connections.wait().await, sockets.wait().await) };
    if tokio::time::timeout(DRAIN, all).await.is_err() {
        tracing::warn!("requests were still open after {} s and were cut off", DRAIN.as_secs());
    }
}

/// What `accept` failed with is the connection's own trouble or ours for a while (no descriptors).
async fn pause(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        tracing::error!(%error, "no connection can be accepted; trying again in a second");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn accept_tcp(serving: Arc<Serving>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = serving.stop.cancelled() => return,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause(&error).await;
                continue;
            }
        };
        // A key that is typed must not wait for the answer to the one before it.
        let _ = socket.set_nodelay(true);
        let Ok(here) = socket.local_addr() else { continue };
        let near = is_loopback(here.ip()) && is_loopback(peer.ip());
        // Decided once, now: who connects and is gone by the first request is nobody.
        let is_root = near && serving.door.trusts_root && (serving.door.owner)(peer, here) == Some(0);
        let room = match (is_root, near) {
            (true, _) => &serving.root,
            (false, true) => &serving.near,
            (false, false) => &serving.far,
        };
        // Where there is no room the connection is closed, and its client told nothing.
        let Ok(permit) = Arc::clone(room).try_acquire_owned() else { continue };
        let connection = Connection {
            kind: if near { Kind::Loopback } else { Kind::Clear },
            origin: if is_root { Origin::LocalRoot } else { Origin::Stranger },
            address: peer.ip().to_canonical().to_string().into(),
            here: Some(here.ip()),
        };
        let task = tcp(Arc::clone(&serving), socket, connection, permit);
        serving.connections.spawn(task);
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

async fn tcp(serving: Arc<Serving>, socket: TcpStream, connection: Connection, _permit: OwnedSemaphorePermit) {
    let mut first = [0];
    let peeked = tokio::select! {
        peeked = tokio::time::timeout(FIRST_BYTE, socket.peek(&mut first)) => peeked,
        () = serving.stop.cancelled() => return,
    };
    if !matches!(peeked, Ok(Ok(1))) {
        return;
    }
    match &serving.door.tls {
        Some(tls) if first[0] == TLS => {
            let shaken = tokio::time::timeout(HANDSHAKE, tls.acceptor().accept(socket)).await;
            if let Ok(Ok(stream)) = shaken {
                requests(&serving, stream, Connection { kind: Kind::Tls, ..connection }).await;
            }
        }
        Some(_) | None => requests(&serving, socket, connection).await,
    }
}

async fn accept_api(serving: Arc<Serving>, api: ApiSocket) {
    loop {
        let accepted = tokio::select! {
            accepted = api.listener.accept() => accepted,
            () = serving.stop.cancelled() => return,
        };
        match accepted {
            Ok((socket, _)) => {
                serving.connections.spawn(unix(Arc::clone(&serving), socket));
            }
            Err(error) => pause(&error).await,
        }
    }
}

async fn unix(serving: Arc<Serving>, socket: UnixStream) {
    let Ok(who) = socket.peer_cred() else { return };
    let name = (serving.door.user_name)(who.uid()).unwrap_or_else(|| format!("uid-{}", who.uid()));
    let connection =
        Connection { kind: Kind::Socket, origin: Origin::Socket { name }, address: "socket".into(), here: None };
    requests(&serving, socket, connection).await;
}

async fn requests(
    serving: &Serving,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: Connection,
) {
    let router = serving.router.clone();
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(connection.clone());
        router.clone().oneshot(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    builder.http2().timer(TokioTimer::new());
    let serve = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut serve = std::pin::pin!(serve);
    tokio::select! {
        // Whoever went away mid-way is nobody's error.
        _ = serve.as_mut() => return,
        () = serving.stop.cancelled() => serve.as_mut().graceful_shutdown(),
    }
    let _ = serve.await;
}
