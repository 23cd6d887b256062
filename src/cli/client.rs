//! What a subcommand asks of the server that runs: one call of the API, as JSON. How the server is
//! reached is one function, [`connect`]; all else is the same over whatever it answers with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::config::Config;

/// How long the server may take: a backup of a large state is read back before it is answered.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);
/// Bytes of an answer at most.
const ANSWER_MAX: usize = 16 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "the server that runs cannot be reached at {at}: {why}; give the address that it listens on: QUANTIXKVM_LISTEN"
    )]
    Unreachable { at: SocketAddr, why: String },
    #[error("the server did not answer within {} s", ANSWER_WITHIN.as_secs())]
    Silent,
    #[error("what answers at {at} is no quantixkvm: {why}")]
    Foreign { at: SocketAddr, why: String },
    /// The API's own words.
    #[error("{message} ({code})")]
    Refused { code: String, message: String },
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

/// Where the server is reached from this host.
fn address(config: &Config) -> SocketAddr {
    let here = |at: &SocketAddr| match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, at.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, at.port())),
        IpAddr::V4(_) | IpAddr::V6(_) => *at,
    };
    let all = || config.listen.iter().map(here);
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
    all().find(|at| at.ip().is_loopback()).or_else(|| all().next()).unwrap_or(default)
}

/// Both ways at once.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A stream to the server: by the API socket, where there is one, and over loopback otherwise, where
/// root is believed and a demonstration believes everybody.
async fn connect(config: &Config, at: SocketAddr) -> std::io::Result<Box<dyn Duplex>> {
    match UnixStream::connect(&config.socket).await {
        Ok(stream) => Ok(Box::new(stream)),
        // Who may not use it may still be told so by the server.
        Err(_) => Ok(Box::new(TcpStream::connect(at).await?)),
    }
}

async fn ask(config: &Config, method: &str, request: &Value) -> Result<Value, ClientError> {
    let at = address(config);
    let unreachable = |why: String| ClientError::Unreachable { at, why };
    let foreign = |why: String| ClientError::Foreign { at, why };
    let stream = connect(config, at).await.map_err(|error| unreachable(error.to_string()))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(error.to_string()))?;
    // It ends with the sender; what goes wrong on it is the answer's error.
    tokio::spawn(connection);
    let request = Request::post(format!("/{method}"))
        .header(http::header::HOST, at.to_string())
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
    let word = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    Err(ClientError::Refused { code: word("code"), message: word("message") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_reached_over_loopback_where_it_listens_there() {
        for (listen, wanted) in [
            (&["127.0.0.1:8080", "[::1]:8080"][..], "127.0.0.1:8080"),
            (&["192.0.2.7:8080", "[::1]:9000"], "[::1]:9000"),
            (&["0.0.0.0:81"], "127.0.0.1:81"),
            (&["[::]:82"], "[::1]:82"),
            (&["192.0.2.7:83"], "192.0.2.7:83"),
        ] {
            let listen = listen.iter().map(|at| at.parse().expect("an address")).collect();
            let config = Config { listen, ..Config::default() };
            assert_eq!(address(&config), wanted.parse().expect("an address"));
        }
    }
}
