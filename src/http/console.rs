//! The consoles' WebSockets. The gate has looked at Host and Origin before anything here runs, so a
//! page of another site cannot even use a ticket up. What is over is said by a code:
//!
//! | code | |
//! |---|---|
//! | 4001 | the VM has stopped |
//! | 4002 | another program has the serial port |
//! | 4003 | the server stops |
//! | 4004 | the viewer fell behind by more than is kept |
//! | 4005 | whoever looks is signed out, or may do less than before |
//! | 1011 | libvirt or the display failed |
//!
//! Each socket is one task with no buffer while nothing flows: a console that nobody uses costs little.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::{Buf as _, Bytes, BytesMut};
use serde::Deserialize;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::model::id::VmId;
use crate::service::auth::Principal;
use crate::service::console::{Admitted, ConsoleService, NotAdmitted, Over, Viewer, Wanted};

/// The subprotocol that is spoken.
const PROTOCOL: &str = "binary";
/// Before the ticket, among the subprotocols that a client offers.
const TICKET: &str = "qkvm.ticket.";
/// Bytes of the display that go out in one message at most.
const CHUNK: usize = 16 << 10;
/// Bytes that are read from a client's socket at a time; each open console keeps as many.
const READ_BUFFER: usize = 4 << 10;
/// Bytes of one message from a client at most: a pasted text.
const MESSAGE_MAX: usize = 1 << 20;
/// How often a client shows that it is there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Silence after which a client is gone.
const GONE_AFTER: Duration = Duration::from_secs(50);
/// How long a client may take to accept what is sent.
const SEND_WITHIN: Duration = Duration::from_secs(20);
/// How long a client may take to take leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// A client that is gone, or speaks no WebSocket: nothing is left to say.
struct Gone;

#[derive(Deserialize)]
struct Resume {
    from: Option<u64>,
}

/// The routes.
pub(super) fn routes(consoles: Arc<ConsoleService>) -> Router {
    Router::new()
        .route("/consoles/{vm_id}/vnc", get(vnc))
        .route("/consoles/{vm_id}/serial", get(serial))
        .with_state(consoles)
}

async fn vnc(
    State(consoles): State<Arc<ConsoleService>>,
    Path(vm): Path<String>,
    by: Option<Extension<Principal>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    match admit(&consoles, &vm, by.as_deref(), &upgrade, |wanted| matches!(wanted, Wanted::Vnc)) {
        Ok(admitted) => upgraded(&consoles, upgrade, admitted, None),
        Err(refusal) => refusal,
    }
}

async fn serial(
    State(consoles): State<Arc<ConsoleService>>,
    Path(vm): Path<String>,
    Query(resume): Query<Resume>,
    by: Option<Extension<Principal>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    match admit(&consoles, &vm, by.as_deref(), &upgrade, |wanted| matches!(wanted, Wanted::Serial(_))) {
        Ok(admitted) => upgraded(&consoles, upgrade, admitted, resume.from),
        Err(refusal) => refusal,
    }
}

/// Let in whoever offers our protocol and a ticket.
#[allow(clippy::result_large_err, reason = "an answer is made once, and sent")]
fn admit(
    consoles: &ConsoleService,
    vm: &str,
    by: Option<&Principal>,
    upgrade: &WebSocketUpgrade,
    is_it: fn(Wanted) -> bool,
) -> Result<Admitted, Response> {
    let refused = |status: StatusCode, why: &str| (status, format!("{why}\n")).into_response();
    let vm: VmId = vm.parse().map_err(|_| refused(StatusCode::NOT_FOUND, "the path names no VM"))?;
    let offered: Vec<&str> = upgrade.requested_protocols().filter_map(|protocol| protocol.to_str().ok()).collect();
    let ticket = offered.iter().find_map(|protocol| protocol.strip_prefix(TICKET));
    let Some(ticket) = ticket.filter(|_| offered.contains(&PROTOCOL)) else {
        return Err(refused(
            StatusCode::BAD_REQUEST,
            "offer two subprotocols: binary, and qkvm.ticket. with the ticket that GetConsole gives",
        ));
    };
    consoles.admit(vm, ticket, by, is_it).map_err(|why| {
        let status = match why {
            NotAdmitted::BadTicket => StatusCode::UNAUTHORIZED,
            NotAdmitted::Full => StatusCode::SERVICE_UNAVAILABLE,
        };
        refused(status, &why.to_string())
    })
}

fn upgraded(
    consoles: &Arc<ConsoleService>,
    mut upgrade: WebSocketUpgrade,
    admitted: Admitted,
    from: Option<u64>,
) -> Response {
    upgrade.set_selected_protocol(HeaderValue::from_static(PROTOCOL));
    let consoles = Arc::clone(consoles);
    let token = consoles.tasks.token();
    upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(MESSAGE_MAX)
        .max_frame_size(MESSAGE_MAX)
        .on_upgrade(move |socket| async move {
            // The end of the server waits for what it has yet to say.
            let _token = token;
            let vm = admitted.vm;
            tracing::info!(%vm, wanted = ?admitted.wanted, "a console is open");
            let mut client = Client { socket, heard: Instant::now() };
            let shown = async {
                match admitted.wanted {
                    Wanted::Vnc => show(&consoles, &mut client, vm).await,
                    Wanted::Serial(hold) => match consoles.serial(vm, hold, from).await {
                        Ok(viewer) => talk(&mut client, viewer).await,
                        Err(over) => Ok(over),
                    },
                }
            };
            let ended = tokio::select! {
                ended = shown => ended,
                () = admitted.ended.cancelled() => Ok(Over::SignedOut),
            };
            match ended {
                Ok(over) => client.leave(&over).await,
                Err(Gone) => tracing::info!(%vm, "a console's client is gone"),
            }
        })
}

/// A client's socket.
struct Client {
    socket: WebSocket,
    /// When it last showed that it is there.
    heard: Instant,
}

impl Client {
    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        match tokio::time::timeout(SEND_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// What the client types; empty for a sign of life.
    async fn receive(&mut self) -> Result<Bytes, Gone> {
        let message = self.socket.recv().await;
        self.heard = Instant::now();
        match message {
            Some(Ok(Message::Binary(bytes))) => Ok(bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Bytes::new()),
            // Text is no byte of a console's.
            Some(Ok(Message::Text(_) | Message::Close(_)) | Err(_)) | None => Err(Gone),
        }
    }

    /// Ask for a sign of life.
    async fn ping(&mut self) -> Result<(), Gone> {
        if self.heard.elapsed() > GONE_AFTER {
            return Err(Gone);
        }
        self.send(Message::Ping(Bytes::new())).await
    }

    /// Say why it is over, and wait a moment until it was heard.
    async fn leave(mut self, over: &Over) {
        let code = match over {
            Over::Stopped(_) => 4001,
            Over::TakenOver(_) => 4002,
            Over::ServerStops => 4003,
            Over::TooSlow => 4004,
            Over::SignedOut => 4005,
            Over::Lost(_) => 1011,
        };
        // A control frame holds 125 bytes, two of them the code.
        let reason = clip_bytes(over.sentence(), 123);
        let said = self.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
        if said.is_ok() {
            let heard = async { while let Some(Ok(_)) = self.socket.recv().await {} };
            let _ = tokio::time::timeout(LEAVE_WITHIN, heard).await;
        }
    }
}

/// At most so many bytes of a text.
fn clip_bytes(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

fn pings() -> tokio::time::Interval {
    let mut pings = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    pings
}

/// A serial port: what it says goes out, what is typed goes in. While the guest does not read, the
/// client is not read either.
async fn talk(client: &mut Client, mut viewer: Viewer) -> Result<Over, Gone> {
    client.send(Message::Text(serde_json::json!({ "from": viewer.from() }).to_string().into())).await?;
    let typing: mpsc::Sender<Bytes> = viewer.typing();
    let mut typed = Bytes::new();
    let mut pings = pings();
    loop {
        tokio::select! {
            said = viewer.read() => match said {
                Ok(bytes) => client.send(Message::Binary(bytes)).await?,
                Err(over) => return Ok(over),
            },
            room = typing.reserve(), if !typed.is_empty() => match room {
                Ok(room) => {
                    room.send(std::mem::take(&mut typed));
                    client.heard = Instant::now();
                }
                // The line is over; what it says last comes.
                Err(_) => typed.clear(),
            },
            received = client.receive(), if typed.is_empty() => typed = received?,
            _ = pings.tick() => {
                if !typed.is_empty() {
                    client.heard = Instant::now();
                }
                client.ping().await?;
            }
        }
    }
}

/// A display: bytes both ways, as they come.
async fn show(consoles: &ConsoleService, client: &mut Client, vm: VmId) -> Result<Over, Gone> {
    let pipe: UnixStream = match consoles.vnc(vm).await {
        Ok(pipe) => pipe,
        Err(over) => return Ok(over),
    };
    let mut typed = Bytes::new();
    let mut pings = pings();
    let mut stopping = pin!(consoles.stopping().cancelled());
    loop {
        tokio::select! {
            () = &mut stopping => return Ok(Over::ServerStops),
            ready = pipe.readable() => {
                let mut shown = BytesMut::new();
                let read = ready.and_then(|()| {
                    shown.reserve(CHUNK);
                    pipe.try_read_buf(&mut shown)
                });
                match read {
                    Ok(0) => return Ok(consoles.why_closed(vm, "QEMU closed it").await),
                    Ok(_) => client.send(Message::Binary(shown.freeze())).await?,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(error) => return Ok(consoles.why_closed(vm, &error.to_string()).await),
                }
            }
            ready = pipe.writable(), if !typed.is_empty() => match ready.and_then(|()| pipe.try_write(&typed)) {
                Ok(written) => typed.advance(written),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Ok(consoles.why_closed(vm, &error.to_string()).await),
            },
            received = client.receive(), if typed.is_empty() => typed = received?,
            _ = pings.tick() => {
                if !typed.is_empty() {
                    client.heard = Instant::now();
                }
                client.ping().await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In real time until it is connected, then in time that passes when nothing happens.
    #[tokio::test]
    async fn a_client_that_answers_no_ping_is_let_go() {
        let (told, heard) = tokio::sync::oneshot::channel();
        let told = Arc::new(std::sync::Mutex::new(Some(told)));
        let open = move |upgrade: WebSocketUpgrade| async move {
            upgrade.on_upgrade(move |socket| async move {
                let begun = Instant::now();
                let mut client = Client { socket, heard: begun };
                let ended = talk(&mut client, Viewer::of_silence()).await;
                if let Some(told) = told.lock().expect("a lock").take() {
                    told.send((ended.is_err(), begun.elapsed())).expect("it is waited for");
                }
            })
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let serving = tokio::spawn(async move { axum::serve(listener, Router::new().route("/", get(open))).await });
        // It is open, and whoever opened it never looks at it again.
        let (socket, _) = tokio_tungstenite::connect_async(format!("ws://{at}/")).await.expect("it connects");
        tokio::time::pause();
        let (is_gone, after) = heard.await.expect("it ends");
        assert!(is_gone, "something was said instead");
        assert!(after > GONE_AFTER && after <= GONE_AFTER + PING_EVERY, "{after:?}");
        drop(socket);
        serving.abort();
    }

    proptest::proptest! {
        #![proptest_config(crate::hostile::cases(500, "tests/corpus/console.regressions"))]

        /// A guest's or libvirt's words go into a frame of 125 bytes.
        #[test]
        fn any_reason_fits_into_its_frame(text in "\\PC{0,200}", most in 0..130_usize) {
            let cut = clip_bytes(&text, most);
            proptest::prop_assert!(cut.len() <= most && text.starts_with(cut));
            proptest::prop_assert!(cut.len() == text.len() || most - cut.len() < 4, "no more is cut than must be");
        }
    }

    #[test]
    fn a_reason_fits_into_its_frame_whole_characters_only() {
        assert_eq!(clip_bytes("abc", 123), "abc");
        assert_eq!(clip_bytes("aé", 2), "a");
        assert_eq!(clip_bytes("", 5), "");
        assert_eq!(clip_bytes(&"é".repeat(100), 123).len(), 122);
    }
}
