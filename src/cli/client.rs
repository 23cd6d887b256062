//! What a subcommand asks of the server that runs: one call of the API, as JSON, by the API socket.
//!
//! By the socket alone: it lies where only the service and root can put one. Turned down: TCP on
//! loopback where there is no socket, since any user of this host may listen there while the service
//! does not, and would be told the passwords.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::config::Config;

/// How long the server may take: a backup of a large state is read back before it is answered.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);
/// Bytes of an answer at most.
const ANSWER_MAX: usize = 16 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "the API socket {} may not be used: you are not root and not in the group quantixkvm-admin; use sudo",
        .0.display()
    )]
    Denied(PathBuf),
    #[error(
        "no server listens at {}: see why with `systemctl status quantixkvm`, start it with `systemctl start \
         quantixkvm`, or name the socket of another with --socket",
        .0.display()
    )]
    Away(PathBuf),
    #[error("the server at {} cannot be reached: {why}", at.display())]
    Unreachable { at: PathBuf, why: String },
    #[error("the server did not answer within {} s", ANSWER_WITHIN.as_secs())]
    Silent,
    #[error("what answers at {} is no quantixkvm: {why}", at.display())]
    Foreign { at: PathBuf, why: String },
    /// The API's own words.
    #[error("{0}")]
    Refused(String),
    #[error("no thread for the call: {0}")]
    Runtime(std::io::Error),
}

/// One call: `Quantixkvm.state.v1.StateService/ListBackups` and its request.
///
/// # Errors
/// [`ClientError`].
pub fn call(config: &Config, method: &str, request: &Value) -> Result<Value, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ClientError::Runtime)?;
    let asked = async { tokio::time::timeout(ANSWER_WITHIN, ask(config, method, request)).await };
    runtime.block_on(asked).unwrap_or(Err(ClientError::Silent))
}

/// Whether there is a server to ask.
///
/// # Errors
/// [`ClientError`].
pub fn reach(config: &Config) -> Result<(), ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ClientError::Runtime)?;
    runtime.block_on(connect(config)).map(drop)
}

async fn connect(config: &Config) -> Result<UnixStream, ClientError> {
    let at = config.socket.clone();
    UnixStream::connect(&at).await.map_err(|error| {
        if error.kind() == ErrorKind::PermissionDenied {
            ClientError::Denied(at)
        } else if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
            ClientError::Away(at)
        } else {
            ClientError::Unreachable { at, why: error.to_string() }
        }
    })
}

async fn ask(config: &Config, method: &str, request: &Value) -> Result<Value, ClientError> {
    let unreachable = |why: String| ClientError::Unreachable { at: config.socket.clone(), why };
    let foreign = |why: String| ClientError::Foreign { at: config.socket.clone(), why };
    let stream = connect(config).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(error.to_string()))?;
    // It ends with the sender; what goes wrong on it is the answer's error.
    tokio::spawn(connection);
    let request = Request::post(format!("/{method}"))
        .header(http::header::HOST, "localhost")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(request.to_string())))
        .map_err(|error| foreign(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| unreachable(error.to_string()))?;
    let status = answer.status();
    let body =
        Limited::new(answer.into_body(), ANSWER_MAX).collect().await.map_err(|error| foreign(error.to_string()))?;
    let body: Value =
        serde_json::from_slice(&body.to_bytes()).map_err(|_| foreign(format!("it answered {status} without JSON")))?;
    if status.is_success() {
        return Ok(body);
    }
    match body["message"].as_str() {
        Some(sentence) => Err(ClientError::Refused(sentence.to_owned())),
        None => Err(foreign(format!("it answered {status} without a reason"))),
    }
}
