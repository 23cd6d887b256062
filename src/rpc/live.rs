//! The one live connection of a page: its watches as topics, each the very stream that the Watch
//! RPC answers with.
//!
//! ```text
//! requests ──► begin / end a topic                        ┌─ topic: stream of a Watch RPC
//! messages ◄── pack (gzip) ◄── batch of what is ready ◄───┼─ topic
//!                                                         └─ topic
//! ```
//!
//! Frames are made only as the page takes them: what is ready together goes out as one message,
//! and while a message waits for a slow page nothing is made and nothing is kept. What a topic
//! then misses overflows in its own bounded channel, which ends that topic with RESYNC. Frames are
//! written by hand around the bytes that rows keep, so that a thousand VMs are not serialized
//! again for each page.

use std::collections::HashMap;
use std::io::Write as _;

use buffa::Message as _;
use bytes::Bytes;
use connectrpc::{CodecFormat, ConnectError, Encodable};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{AbortHandle, BoxStream, SelectAll};
use futures::{FutureExt as _, Stream, StreamExt as _};
use quantixkvm_proto::Quantixkvm::live::v1 as wire;
use quantixkvm_proto::Quantixkvm::live::v1::__buffa::oneof::live_request::Ask;

use crate::model::id::clip;
use crate::service::error::ServiceError;

use super::rows::{put_bytes, put_number};
use super::watch::stopping;
use super::{RpcState, error, event, node, operation, vm, vm_usage};

/// Topics of one connection.
const TOPICS_MAX: usize = 64;
/// A message holds no more frames once it has so many of them or so many bytes.
const BATCH_FRAMES: usize = 256;
const BATCH_BYTES: usize = 256 << 10;
/// What is shorter goes as it is.
const PACK_FROM: usize = 1 << 10;
/// Rows are much alike: a thousand pack into 130 kB at level 1 and into half of that at this one,
/// in a millisecond or two a message.
const LEVEL: Compression = Compression::new(5);

/// `LiveBatch.frames`, `LiveFrame.topic`.
const FRAMES: u32 = 1;
const TOPIC: u32 = 1;
/// `LiveFrame.vms`, `.nodes`, `.operations`, `.node_metrics`, `.vm_usage`, `.events`, `.end`.
const VMS: u32 = 2;
const NODES: u32 = 3;
const OPERATIONS: u32 = 4;
const NODE_METRICS: u32 = 5;
const VM_USAGE: u32 = 6;
const EVENTS: u32 = 7;
const END: u32 = 15;

/// What the first byte of a message says of the rest.
const PLAIN: u8 = 0;
const GZIP: u8 = 1;

/// The messages for a page whose messages are `requests`, until the page has gone or the server
/// stops. An error, of a message that is none of ours, is the last: the connection is closed with
/// its sentence.
pub fn talk(
    state: RpcState,
    request_id: String,
    requests: BoxStream<'static, Bytes>,
) -> impl Stream<Item = Result<Bytes, String>> + Send {
    let talk = Talk {
        state,
        request_id,
        requests: Some(requests),
        topics: SelectAll::new(),
        running: HashMap::new(),
        begun: 0,
        batch: Batch::default(),
    };
    futures::stream::unfold(talk, |mut talk| async move {
        let next = talk.next().await?;
        Some((next, talk))
    })
}

/// What a topic says.
enum Said {
    /// A message of its watch: the field of `LiveFrame` that carries it, and its bytes.
    Message(u32, Bytes),
    /// It has ended.
    End(ConnectError),
    /// It has ended, and not in an error.
    Over,
}

/// Which topic, and which beginning of it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Which {
    topic: u32,
    begun: u64,
}

struct Running {
    begun: u64,
    handle: AbortHandle,
}

struct Talk {
    state: RpcState,
    request_id: String,
    /// `None`: an error was the last word.
    requests: Option<BoxStream<'static, Bytes>>,
    topics: SelectAll<BoxStream<'static, (Which, Said)>>,
    running: HashMap<u32, Running>,
    begun: u64,
    batch: Batch,
}

impl Talk {
    async fn next(&mut self) -> Option<Result<Bytes, String>> {
        loop {
            let requests = self.requests.as_mut()?;
            let stop = self.state.stop.clone();
            tokio::select! {
                biased;
                request = requests.next() => match request {
                    Some(request) => if let Err(why) = self.hear(&request) {
                        self.requests = None;
                        return Some(Err(why));
                    },
                    None => return None,
                },
                said = self.topics.next(), if !self.topics.is_empty() => if let Some((which, said)) = said {
                    self.say(which, said);
                },
                // Each topic ends with the server, and says so first.
                () = stop.cancelled(), if self.topics.is_empty() => return None,
            }
            while !self.batch.is_full() {
                match self.topics.next().now_or_never() {
                    Some(Some((which, said))) => self.say(which, said),
                    Some(None) | None => break,
                }
            }
            if let Some(message) = self.batch.take() {
                return Some(Ok(message));
            }
        }
    }

    /// Begin or end what the page asks for. An error: this is none of our messages.
    fn hear(&mut self, request: &[u8]) -> Result<(), String> {
        let request = wire::LiveRequest::decode_from_slice(request)
            .map_err(|why| clip(&format!("this is no LiveRequest: {why}"), 100))?;
        let topic = request.topic;
        self.end(topic);
        let begun = match request.ask {
            Some(Ask::Stop(_)) => return Ok(()),
            _ if self.state.stop.is_cancelled() => Err(stopping()),
            _ if self.running.len() >= TOPICS_MAX => Err(ConnectError::resource_exhausted(format!(
                "this connection has {TOPICS_MAX} topics, which is all that one may have; stop one first"
            ))),
            ask => self.watch(ask).map_err(|failure| error::connect(&failure, &self.request_id)),
        };
        match begun {
            Ok(stream) => {
                self.begun += 1;
                let which = Which { topic, begun: self.begun };
                let (stream, handle) = futures::stream::abortable(stream);
                self.running.insert(topic, Running { begun: which.begun, handle });
                self.topics.push(stream.map(move |said| (which, said)).boxed());
            }
            Err(error) => self.batch.end(topic, &error),
        }
        Ok(())
    }

    /// What the watch that is asked for says, up to its end.
    fn watch(&self, ask: Option<Ask>) -> Result<BoxStream<'static, Said>, ServiceError> {
        let state = &self.state;
        Ok(match ask {
            Some(Ask::Vms(sent)) => said(VMS, vm::watched(state, &sent)?),
            Some(Ask::Nodes(sent)) => said(NODES, node::watched(state, &sent)),
            Some(Ask::Operations(sent)) => said(OPERATIONS, operation::watched(state, &sent)?),
            Some(Ask::NodeMetrics(sent)) => said(NODE_METRICS, node::measured(state, &sent, &self.request_id)?),
            Some(Ask::VmUsage(sent)) => said(VM_USAGE, vm_usage::watched(state, &sent)?),
            Some(Ask::Events(sent)) => said(EVENTS, event::watched(state, &sent)?),
            Some(Ask::Stop(_)) | None => {
                return Err(ServiceError::invalid("ask", "is required: what is watched"));
            }
        })
    }

    /// End a topic as the page asked, if there is one of this number.
    fn end(&mut self, topic: u32) {
        if let Some(running) = self.running.remove(&topic) {
            running.handle.abort();
            self.batch.over(topic);
        }
    }

    fn say(&mut self, which: Which, said: Said) {
        let error = match said {
            Said::Message(field, bytes) => return self.batch.message(which.topic, field, &bytes),
            Said::End(error) => Some(error),
            Said::Over => None,
        };
        if self.running.get(&which.topic).is_some_and(|running| running.begun == which.begun) {
            self.running.remove(&which.topic);
        }
        match error {
            Some(error) => self.batch.end(which.topic, &error),
            None => self.batch.over(which.topic),
        }
    }
}

/// A watch's messages as what its topic says; the last says that it has ended.
fn said<M: 'static, T: Encodable<M> + Send + 'static>(
    field: u32,
    stream: impl Stream<Item = Result<T, ConnectError>> + Send + 'static,
) -> BoxStream<'static, Said> {
    let last = futures::stream::once(std::future::ready(None));
    let all = stream.map(Some).chain(last).scan(false, move |ended, item| {
        let said = match item.map(|item| item.and_then(|message| message.encode(CodecFormat::Proto))) {
            _ if *ended => None,
            Some(Ok(bytes)) => Some(Said::Message(field, bytes)),
            Some(Err(error)) => {
                *ended = true;
                Some(Said::End(error))
            }
            None => Some(Said::Over),
        };
        std::future::ready(said)
    });
    all.boxed()
}

/// The message that is being made: a `LiveBatch` behind the byte that says how it is packed.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    frames: usize,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.frames >= BATCH_FRAMES || self.bytes.len() >= BATCH_BYTES
    }

    fn message(&mut self, topic: u32, field: u32, bytes: &[u8]) {
        if self.bytes.is_empty() {
            self.bytes.push(PLAIN);
        }
        let mut frame = Vec::with_capacity(bytes.len() + 16);
        put_number(&mut frame, TOPIC, u64::from(topic));
        put_bytes(&mut frame, field, bytes);
        put_bytes(&mut self.bytes, FRAMES, &frame);
        self.frames += 1;
    }

    fn end(&mut self, topic: u32, error: &ConnectError) {
        let end = wire::LiveEnd {
            code: error.code.as_str().to_owned(),
            message: error.message.clone().unwrap_or_default(),
            ..Default::default()
        };
        self.message(topic, END, &end.encode_to_vec());
    }

    fn over(&mut self, topic: u32) {
        self.message(topic, END, &[]);
    }

    /// What there is to send, if anything.
    fn take(&mut self) -> Option<Bytes> {
        let Self { bytes, frames } = std::mem::take(self);
        if frames == 0 {
            return None;
        }
        Some(pack(bytes).into())
    }
}

/// Packed where that is worth it.
fn pack(plain: Vec<u8>) -> Vec<u8> {
    let Some((_, body)) = plain.split_first().filter(|_| plain.len() > PACK_FROM) else {
        return plain;
    };
    let mut encoder = GzEncoder::new(vec![GZIP], LEVEL);
    match encoder.write_all(body).and_then(|()| encoder.finish()) {
        Ok(packed) if packed.len() < plain.len() => packed,
        // Memory does not fail to be written to; and what grows is sent as it is.
        Ok(_) | Err(_) => plain,
    }
}
