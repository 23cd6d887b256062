//! A reader of Connect's server streams in JSON: envelopes of a flag, a length and a message, the
//! last of them with what the stream ended with.

use std::time::Duration;

use futures::{Stream, StreamExt as _};
use serde_json::Value;

use crate::support::{SOON, Server, service_of};

/// The flag of the envelope that ends a stream.
const END: u8 = 2;

/// An open stream.
pub struct Frames {
    body: std::pin::Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    rest: Vec<u8>,
}

/// What a stream sent next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    Message(Value),
    /// The code and sentence that it ended with; empty: without an error.
    Ended(String, String),
}

impl Frames {
    /// Begin a stream.
    pub async fn open(server: &Server, method: &str, body: &Value) -> Self {
        Self::open_as(server, server.token.as_deref(), method, body).await
    }

    /// As whoever has this token.
    pub async fn open_as(server: &Server, token: Option<&str>, method: &str, body: &Value) -> Self {
        let service = service_of(method);
        let text = body.to_string();
        let mut envelope = vec![0];
        envelope.extend(u32::try_from(text.len()).expect("a short message").to_be_bytes());
        envelope.extend(text.as_bytes());
        // A client of its own: a connection that is not read must be nobody else's.
        let mut request = reqwest::Client::new()
            .post(format!("{}/{service}/{method}", server.url))
            .header("Content-Type", "application/connect+json")
            .header("Connect-Protocol-Version", "1")
            .body(envelope);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("the stream begins");
        assert_eq!(answer.status(), 200, "{method} {body}");
        assert_eq!(answer.headers()["content-type"], "application/connect+json");
        Self { body: Box::pin(answer.bytes_stream()), rest: Vec::new() }
    }

    /// The next envelope.
    pub async fn next(&mut self) -> Next {
        self.next_within(SOON).await
    }

    pub async fn next_within(&mut self, within: Duration) -> Next {
        tokio::time::timeout(within, self.read()).await.unwrap_or_else(|_| panic!("no message within {within:?}"))
    }

    async fn read(&mut self) -> Next {
        loop {
            if let [flag, a, b, c, d, ..] = self.rest[..] {
                let end = 5 + u32::from_be_bytes([a, b, c, d]) as usize;
                if self.rest.len() >= end {
                    let message: Value = serde_json::from_slice(&self.rest[5..end]).expect("a message in JSON");
                    self.rest.drain(..end);
                    if flag & END == 0 {
                        return Next::Message(message);
                    }
                    let word = |name: &str| message["error"][name].as_str().unwrap_or_default().to_owned();
                    return Next::Ended(word("code"), word("message"));
                }
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.rest.extend_from_slice(&bytes),
                Some(Err(error)) => return Next::Ended("broken".to_owned(), error.to_string()),
                None => return Next::Ended("broken".to_owned(), "it ended without its last envelope".to_owned()),
            }
        }
    }

    /// The next message; a stream that ends fails the test.
    pub async fn message(&mut self) -> Value {
        match self.next().await {
            Next::Message(message) => message,
            ended @ Next::Ended(..) => panic!("the stream ended: {ended:?}"),
        }
    }

    /// Messages until one is as wanted, that one the last.
    pub async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut read = Vec::new();
        loop {
            let message = self.message().await;
            let found = wanted(&message);
            read.push(message);
            if found {
                return read;
            }
        }
    }

    /// Read to the end; how many messages came, and what it ended with.
    pub async fn end(&mut self) -> (Vec<Value>, String, String) {
        let mut read = Vec::new();
        loop {
            match self.next().await {
                Next::Message(message) => read.push(message),
                Next::Ended(code, message) => return (read, code, message),
            }
        }
    }
}

/// What a message of a watch says; ADDED is left out of JSON, being zero.
pub fn kind(message: &Value) -> &str {
    message["type"].as_str().unwrap_or("ADDED")
}

/// The version of a message of a watch.
pub fn version(message: &Value) -> u64 {
    message["version"].as_str().expect("a version").parse().expect("a number")
}
