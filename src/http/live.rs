//! `/live`: the WebSocket under the one live connection of a page. What is said on it is the rpc
//! room's; here are its bounds: how many connections, how long a message, how long a silence, and
//! that one which is not read holds nobody up and keeps no more than the message it is sent.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::stream::BoxStream;
use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::service::auth::{Principal, SIGNED_OUT};

/// Connections at once.
const CONNECTIONS_MAX: usize = 1000;
/// Bytes of a message of a page; a request that names a thousand VMs is 40 kB.
const MESSAGE_MAX: usize = 64 << 10;
/// Bytes of one that goes out, at the very most.
const WRITE_MAX: usize = 16 << 20;
/// Messages of a page that may wait.
const WAITING_MAX: usize = 16;
/// Between two pings.
const PING: Duration = Duration::from_secs(20);
/// A page that was not heard for so long is gone, or takes nothing any more.
const SILENT_AFTER: Duration = Duration::from_secs(60);
/// The code of a close that says that the page's session has ended or may do less; the consoles' own.
const SIGNED_OUT_CODE: u16 = 4005;
/// What the end of a connection may take; the server's drain is longer.
const FAREWELL: Duration = Duration::from_secs(3);

/// What is said: messages for a page out of its request id and its own messages. An error is the
/// last and says why the connection must be closed.
pub type Talk =
    Arc<dyn Fn(String, BoxStream<'static, Bytes>) -> BoxStream<'static, Result<Bytes, String>> + Send + Sync>;

/// Every live connection.
#[derive(Clone)]
pub struct Live {
    talk: Talk,
    free: Arc<Semaphore>,
    stop: CancellationToken,
    open: TaskTracker,
}

impl Live {
    /// None yet; each ends with `stop`, and `open` knows those that have not.
    #[must_use]
    pub fn new(talk: Talk, stop: CancellationToken, open: TaskTracker) -> Self {
        Self { talk, free: Arc::new(Semaphore::new(CONNECTIONS_MAX)), stop, open }
    }
}

/// The route.
pub(super) async fn live(
    State(live): State<Live>,
    Extension(caller): Extension<Principal>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if live.stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is stopping; connect again in a moment\n")
            .into_response();
    }
    let Ok(place) = Arc::clone(&live.free).try_acquire_owned() else {
        tracing::warn!("a live connection is refused: there are {CONNECTIONS_MAX}");
        let sentence = format!("there are {CONNECTIONS_MAX} live connections, which is all that there may be\n");
        return (StatusCode::SERVICE_UNAVAILABLE, sentence).into_response();
    };
    let request_id =
        headers.get(super::REQUEST_ID).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let span = tracing::info_span!("live", %request_id);
    // Held from before the upgrade on, so that a stop waits for it, too.
    let open = live.open.token();
    upgrade
        .max_message_size(MESSAGE_MAX)
        .max_frame_size(MESSAGE_MAX)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_MAX)
        .read_buffer_size(4 << 10)
        .on_upgrade(move |socket| {
            async move {
                let begun = Instant::now();
                tracing::debug!("a page is connected");
                let why = serve(&live, request_id, socket, &caller.ended).await;
                tracing::info!(why, seconds = begun.elapsed().as_secs(), "a live connection has ended");
                drop((place, open));
            }
            .instrument(span)
        })
}

/// How a connection ends from our side.
struct Farewell {
    code: u16,
    why: String,
}

impl Farewell {
    fn new(code: u16, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }
}

/// Speak until either side ends it; answers with why.
async fn serve(live: &Live, request_id: String, socket: WebSocket, ended: &CancellationToken) -> String {
    let (mut out, mut from_page) = socket.split();
    let (requests, waiting) = mpsc::channel::<Bytes>(WAITING_MAX);
    let waiting = futures::stream::unfold(waiting, |mut waiting| async move {
        let next = waiting.recv().await?;
        Some((next, waiting))
    });
    let mut said = (live.talk)(request_id, waiting.boxed());
    let heard = std::sync::Mutex::new(Instant::now());

    let hear = async {
        loop {
            let message = match from_page.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return refused(&error),
                None => return None,
            };
            *heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
            match message {
                Message::Binary(bytes) => {
                    if requests.send(bytes).await.is_err() {
                        // The talk is over and says why itself.
                        std::future::pending::<()>().await;
                    }
                }
                Message::Text(_) => {
                    return Some(Farewell::new(close_code::UNSUPPORTED, "messages here are binary: a LiveRequest"));
                }
                // Pings are answered below us.
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) => return None,
            }
        }
    };
    let say = async {
        let mut pings = tokio::time::interval_at(Instant::now() + PING, PING);
        pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                said = said.next() => match said {
                    Some(Ok(bytes)) => Message::Binary(bytes),
                    Some(Err(why)) => return Some(Farewell::new(close_code::PROTOCOL, why)),
                    None => return Some(Farewell::new(close_code::AWAY, "the server is stopping")),
                },
                _ = pings.tick() => Message::Ping(Bytes::new()),
            };
            if out.send(message).await.is_err() {
                return None;
            }
        }
    };
    let watch = async {
        loop {
            let last = *heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            tokio::select! {
                () = tokio::time::sleep_until(last + SILENT_AFTER) => {}
                () = stopped(&live.stop) => return "the page takes nothing, and the server is stopping",
            }
            if *heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner) == last {
                return "the page is silent";
            }
        }
    };
    let farewell = tokio::select! {
        farewell = hear => farewell,
        farewell = say => farewell,
        () = ended.cancelled() => Some(Farewell::new(SIGNED_OUT_CODE, SIGNED_OUT)),
        why = watch => return why.to_owned(),
    };
    let Some(farewell) = farewell else {
        // Where the page closed, its close is still to be answered.
        let _ = tokio::time::timeout(FAREWELL, out.close()).await;
        return "the page has gone".to_owned();
    };
    let close = Message::Close(Some(CloseFrame { code: farewell.code, reason: farewell.why.as_str().into() }));
    let leave = async {
        if out.send(close).await.is_ok() {
            // Until the page has answered: what it was sent must not be lost to a reset.
            while let Some(Ok(_)) = from_page.next().await {}
        }
    };
    let _ = tokio::time::timeout(FAREWELL, leave).await;
    farewell.why
}

/// A while after the stop: what is being sent may still arrive.
async fn stopped(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(FAREWELL).await;
}

/// What a message that cannot be read is answered with; `None`: the connection itself is gone.
fn refused(error: &axum::Error) -> Option<Farewell> {
    let why = error.to_string();
    why.contains("too long").then(|| Farewell::new(close_code::SIZE, format!("a message may hold {MESSAGE_MAX} bytes")))
}
