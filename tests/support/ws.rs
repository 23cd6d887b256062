//! A console's WebSocket, as a browser or a script opens it.

use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::Server;

/// An open console.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
    /// All bytes so far.
    pub read: Vec<u8>,
    /// Why the server closed it.
    pub closed: Option<(u16, String)>,
}

/// Open a path with a ticket; the HTTP status where it is refused.
pub async fn open(server: &Server, path: &str, ticket: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let url = format!("{}{path}", server.url.replacen("http", "ws", 1));
    let mut request = url.into_client_request().expect("a request");
    let offered = format!("qkvm.ticket.{ticket}, binary");
    let bearer = server.token.as_ref().map(|token| format!("Bearer {token}"));
    let all = headers.iter().copied().chain([("sec-websocket-protocol", offered.as_str())]);
    let all = all.chain(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    for (name, value) in all {
        request.headers_mut().insert(name, value.parse().expect("a header"));
    }
    match tokio_tungstenite::connect_async_with_config(request, None, true).await {
        Ok((stream, answer)) => {
            assert_eq!(answer.headers()["sec-websocket-protocol"], "binary");
            Ok(Socket { stream, read: Vec::new(), closed: None })
        }
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{path}: {error}\n{}", server.log()),
    }
}

/// A ticket, and the path that takes it.
pub async fn ticket(server: &Server, vm: &str, kind: &str) -> (String, String) {
    let info = server.ok("GetConsole", json!({ "vmId": vm, "kind": kind })).await;
    let text = |key: &str| info[key].as_str().unwrap_or_default().to_owned();
    assert!(info["expiresAt"].is_string(), "{info}");
    (text("websocketUrl"), text("ticket"))
}

/// A console of this VM; `more` goes behind the path.
pub async fn console(server: &Server, vm: &str, kind: &str, more: &str) -> Socket {
    let (path, ticket) = ticket(server, vm, kind).await;
    open(server, &format!("{path}{more}"), &ticket, &[]).await.unwrap_or_else(|status| panic!("{path}: HTTP {status}"))
}

impl Socket {
    /// The next message of the server's, other than signs of life; `None` once it is closed.
    pub async fn next(&mut self, within: Duration) -> Option<Message> {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let message = tokio::time::timeout_at(deadline, self.stream.next()).await;
            match message.unwrap_or_else(|_| panic!("no message within {within:?}; read:\n{}", self.text()))? {
                Ok(Message::Close(frame)) => {
                    self.closed = frame.map(|frame| (u16::from(frame.code), frame.reason.to_string()));
                    return None;
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(message) => {
                    if let Message::Binary(bytes) = &message {
                        self.read.extend_from_slice(bytes);
                    }
                    return Some(message);
                }
                Err(_) => return None,
            }
        }
    }

    /// What is said before the first byte.
    pub async fn from(&mut self, within: Duration) -> u64 {
        match self.next(within).await {
            Some(Message::Text(text)) => {
                let said: Value = serde_json::from_str(&text).expect("JSON");
                said["from"].as_u64().expect("a position")
            }
            other => panic!("{other:?} came before the position"),
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.send(Message::Binary(bytes.to_vec().into())).await.expect("it is open");
    }

    /// Until there are so many bytes.
    pub async fn bytes(&mut self, count: usize, within: Duration) {
        let deadline = Instant::now() + within;
        while self.read.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                self.next(left).await.is_some(),
                "closed at {} bytes of {count}: {:?}",
                self.read.len(),
                self.closed
            );
        }
    }

    /// Until this was read, counting from `since` bytes; answers how much was read by then.
    pub async fn until(&mut self, wanted: &str, since: usize, within: Duration) -> usize {
        let deadline = Instant::now() + within;
        loop {
            let found = self
                .read
                .get(since..)
                .and_then(|read| read.windows(wanted.len()).position(|at| at == wanted.as_bytes()));
            if let Some(at) = found {
                return since + at + wanted.len();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let next = self.next(left).await;
            assert!(next.is_some(), "closed before {wanted:?}: {:?}; read:\n{}", self.closed, self.text());
        }
    }

    /// Until the server closes it; answers its code and reason, and how long that took.
    pub async fn until_closed(&mut self, within: Duration) -> (u16, String, Duration) {
        let begun = Instant::now();
        while self.next(within.saturating_sub(begun.elapsed())).await.is_some() {}
        let (code, reason) = self.closed.clone().expect("it is closed with a code");
        (code, reason, begun.elapsed())
    }

    /// Log in, however far the guest's boot is.
    pub async fn login(&mut self, within: Duration) {
        let deadline = Instant::now() + within;
        while !self.text().contains("login:") {
            assert!(Instant::now() < deadline, "no login within {within:?}:\n{}", self.text());
            // A prompt that was written before there was a reader is written again.
            self.send(b"\n").await;
            let _ = tokio::time::timeout(Duration::from_millis(500), self.next(within)).await;
        }
        let since = self.read.len();
        self.send(b"root\n").await;
        let since = self.until("#", since, within).await;
        self.send(b"echo in-$((6*7))\n").await;
        self.until("in-42", since, within).await;
    }
}
