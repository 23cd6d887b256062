//! Listening and ending: every address of the list, IPv6 without IPv4, and a stop that lets what
//! runs finish within ten seconds.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long open requests may take to finish at the end.
const DRAIN: Duration = Duration::from_secs(8);

/// An address that cannot be served on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {why}{remedy}")]
pub struct ListenError {
    pub address: SocketAddr,
    pub why: std::io::Error,
    pub remedy: String,
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
                address,
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

/// Serve until `stop`, then let what runs finish; `sockets` are the WebSockets, of which hyper knows
/// nothing any more.
///
/// # Errors
/// A listener that broke.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    stop: CancellationToken,
    sockets: TaskTracker,
) -> std::io::Result<()> {
    let servers = listeners.into_iter().map(|listener| {
        let ended = stop.clone();
        let router = router.clone();
        async move {
            // A key that is typed must not wait for the answer to the one before it.
            let listener = listener.tap_io(|socket| {
                let _ = socket.set_nodelay(true);
            });
            axum::serve(listener, router)
                .with_graceful_shutdown(async move { ended.cancelled().await })
                .await
        }
    });
    let all = futures::future::try_join_all(servers);
    tokio::pin!(all);
    tokio::select! {
        done = &mut all => return done.map(drop),
        () = stop.cancelled() => {}
    }
    sockets.close();
    let all = async { (all.await, sockets.wait().await).0 };
    match tokio::time::timeout(DRAIN, all).await {
        Ok(done) => done.map(drop),
        Err(_) => {
            tracing::warn!("requests were still open after {} s and were cut off", DRAIN.as_secs());
            Ok(())
        }
    }
}
