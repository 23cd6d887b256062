//! The one live connection: every topic over a real WebSocket, many at once, what is too much, what
//! is none of it, and how it ends.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of frame among all")]

use std::collections::{BTreeMap, VecDeque};
use std::io::Read as _;
use std::time::{Duration, Instant};

use buffa::Message as _;
use futures::{SinkExt as _, StreamExt as _};
use quantixkvm_proto::Quantixkvm::compute::v1 as compute;
use quantixkvm_proto::Quantixkvm::compute::v1::vm_update::UpdateType;
use quantixkvm_proto::Quantixkvm::live::v1 as wire;
use quantixkvm_proto::Quantixkvm::live::v1::__buffa::oneof::live_frame::Message as Told;
use quantixkvm_proto::Quantixkvm::live::v1::__buffa::oneof::live_request::Ask;
use quantixkvm_proto::Quantixkvm::operation::v1 as operation;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::{SOON, Server, small_spec};

const DEV: &str = "11111111-1111-1111-1111-111111111111";
const WEB: &str = "22222222-2222-2222-2222-222222222222";
const NODE: &str = "d0000000-0000-4000-8000-000000000001";

/// A page's end of its live connection.
struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    waiting: VecDeque<wire::LiveFrame>,
    /// Bytes that came, as they came.
    received: usize,
    messages: usize,
}

/// How a connection was closed.
type Close = Option<(u16, String)>;

async fn connect(server: &Server, headers: &[(&str, &str)]) -> Result<Page, tungstenite::Error> {
    let mut request = server.url.replace("http://", "ws://").into_client_request()?;
    *request.uri_mut() = format!("{}/live", server.url.replace("http://", "ws://")).parse().expect("a URI");
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().expect("a header's name");
        request.headers_mut().insert(name, value.parse().expect("a header's value"));
    }
    if let Some(token) = &server.token {
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header's value"));
    }
    let (socket, _) = tokio_tungstenite::connect_async(request).await?;
    Ok(Page { socket, waiting: VecDeque::new(), received: 0, messages: 0 })
}

impl Page {
    async fn open(server: &Server) -> Self {
        connect(server, &[("origin", &server.url)]).await.expect("a live connection")
    }

    async fn send(&mut self, message: Message) {
        self.socket.send(message).await.expect("it is taken");
    }

    async fn ask(&mut self, topic: u32, ask: impl Into<Option<Ask>>) {
        let request = wire::LiveRequest { topic, ask: ask.into(), ..Default::default() };
        self.send(Message::Binary(request.encode_to_vec().into())).await;
    }

    /// The next frame, or how the connection was closed.
    async fn next(&mut self) -> Result<wire::LiveFrame, Close> {
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                return Ok(frame);
            }
            let next = tokio::time::timeout(SOON, self.socket.next()).await.expect("something comes in time");
            match next {
                Some(Ok(Message::Binary(bytes))) => {
                    self.received += bytes.len();
                    self.messages += 1;
                    let (how, rest) = bytes.split_first().expect("a first byte");
                    let mut plain = Vec::new();
                    match how {
                        0 => plain.extend_from_slice(rest),
                        1 => {
                            flate2::read::GzDecoder::new(rest).read_to_end(&mut plain).expect("gzip");
                        }
                        other => panic!("the first byte is {other}"),
                    }
                    let batch = wire::LiveBatch::decode_from_slice(&plain).expect("a batch");
                    assert!(!batch.frames.is_empty() && batch.frames.len() <= 256, "{} frames", batch.frames.len());
                    self.waiting.extend(batch.frames);
                }
                Some(Ok(Message::Close(close))) => {
                    return Err(close.map(|close| (close.code.into(), close.reason.to_string())));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    async fn frame(&mut self) -> (u32, Told) {
        let frame = self.next().await.expect("a frame, and no end");
        (frame.topic, frame.message.expect("a message in it"))
    }

    /// Until `look` finds something in a frame; answers with all that came before, too.
    async fn until<T>(&mut self, look: impl Fn(u32, &Told) -> Option<T>) -> (Vec<(u32, Told)>, T) {
        let mut before = Vec::new();
        loop {
            let (topic, told) = self.frame().await;
            if let Some(found) = look(topic, &told) {
                return (before, found);
            }
            before.push((topic, told));
        }
    }

    /// Until this topic ends; answers with code and sentence.
    async fn end_of(&mut self, wanted: u32) -> (String, String) {
        let look = |topic, told: &Told| match told {
            Told::End(end) if topic == wanted => Some((end.code.clone(), end.message.clone())),
            _ => None,
        };
        self.until(look).await.1
    }

    /// Until the connection is closed; answers with the topics that ended first, and how.
    async fn closed(&mut self) -> (BTreeMap<u32, String>, Close) {
        let mut ends = BTreeMap::new();
        loop {
            match self.next().await {
                Ok(frame) => {
                    if let Some(Told::End(end)) = frame.message {
                        ends.insert(frame.topic, end.code);
                    }
                }
                Err(close) => return (ends, close),
            }
        }
    }

    /// The present of a topic of VMs, by name.
    async fn vms(&mut self, topic: u32) -> BTreeMap<String, compute::VirtualMachine> {
        let look = |of, told: &Told| match told {
            Told::Vms(update) if of == topic && update.r#type == UpdateType::SYNCED => Some(()),
            _ => None,
        };
        let (before, ()) = self.until(look).await;
        before
            .into_iter()
            .filter_map(|(of, told)| match told {
                Told::Vms(update) if of == topic => {
                    assert_eq!(update.r#type, UpdateType::ADDED);
                    let vm = update.vm.as_option().cloned().expect("a VM");
                    Some((vm.name.clone(), vm))
                }
                _ => None,
            })
            .collect()
    }
}

fn all_vms() -> Ask {
    Ask::Vms(Box::default())
}

fn as_json(message: &impl serde::Serialize) -> Value {
    serde_json::to_value(message).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_topic_says_what_its_rpc_says() {
    let server = Server::demo().await;
    let mut page = Page::open(&server).await;
    page.ask(1, all_vms()).await;
    let vms = page.vms(1).await;
    assert_eq!(vms.keys().collect::<Vec<_>>(), ["cache-server", "db-server-01", "dev-workstation", "web-server-01"]);
    let mut told = as_json(&vms["dev-workstation"]);
    let mut got = server.vm(DEV).await;
    // Relative to now, and so never twice the same.
    for vm in [&mut told, &mut got] {
        vm["status"].as_object_mut().expect("a status").remove("resourceUsage");
    }
    assert_eq!(told, got);

    page.ask(2, Ask::Nodes(Box::default())).await;
    let (nodes, ()) = page
        .until(|topic, told| match told {
            Told::Nodes(update) if topic == 2 => {
                (update.r#type == compute::node_update::UpdateType::SYNCED).then_some(())
            }
            _ => None,
        })
        .await;
    assert_eq!(nodes.iter().filter(|(topic, _)| *topic == 2).count(), 3);

    page.ask(3, Ask::Operations(Box::default())).await;
    page.until(|topic, told| matches!(told, Told::Operations(_) if topic == 3).then_some(())).await;
    let metrics = compute::StreamNodeMetricsRequest { node_id: NODE.to_owned(), interval_sec: 1, ..Default::default() };
    page.ask(4, Ask::NodeMetrics(Box::new(metrics))).await;
    for _ in 0..2 {
        let look = |topic, told: &Told| match told {
            Told::NodeMetrics(metrics) if topic == 4 => Some(metrics.node_id.clone()),
            _ => None,
        };
        assert_eq!(page.until(look).await.1, NODE);
    }
    page.ask(5, Ask::VmUsage(Box::default())).await;
    page.until(|topic, told| match told {
        Told::VmUsage(update) if topic == 5 => (update.vms.len() == 3).then_some(()),
        _ => None,
    })
    .await;
    page.ask(6, Ask::Events(Box::default())).await;
    page.until(|topic, told| matches!(told, Told::Events(_) if topic == 6).then_some(())).await;
    server.ok("StartVM", json!({ "id": DEV })).await;
    let running = |topic, told: &Told| match told {
        Told::Vms(update) if topic == 1 => update
            .vm
            .as_option()
            .filter(|vm| vm.id == DEV && as_json(*vm)["status"]["state"] == "RUNNING")
            .map(|_| update.version),
        _ => None,
    };
    let (before, version) = page.until(running).await;
    assert!(version > 5);
    // Each topic is in order for itself; between topics there is none.
    let begun = |topic, told: &Told| match told {
        Told::Operations(update) if topic == 3 => {
            update.operation.as_option().filter(|operation| operation.resource_id == DEV).map(|_| ())
        }
        _ => None,
    };
    let started = |topic, told: &Told| match told {
        Told::Events(update) if topic == 6 => update
            .event
            .as_option()
            .filter(|event| event.r#type == "vm.started" && event.resource_id == DEV)
            .map(|_| ()),
        _ => None,
    };
    let mut before = before;
    if before.iter().all(|(topic, told)| begun(*topic, told).is_none()) {
        before.extend(page.until(begun).await.0);
    }
    if before.iter().all(|(topic, told)| started(*topic, told).is_none()) {
        page.until(started).await;
    }
    for topic in 1..=6 {
        page.ask(topic, Ask::Stop(Box::default())).await;
        assert_eq!(page.end_of(topic).await, (String::new(), String::new()));
    }
    // A topic's number is free again, and what is no filter is refused on its topic alone.
    page.ask(1, all_vms()).await;
    assert_eq!(page.vms(1).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_in_use_ends_and_is_begun_anew() {
    let server = Server::demo().await;
    let mut page = Page::open(&server).await;
    page.ask(7, all_vms()).await;
    assert_eq!(page.vms(7).await.len(), 4);
    let filter = compute::WatchVMsRequest {
        labels: [("team".to_owned(), "nobody".to_owned())].into_iter().collect(),
        ..Default::default()
    };
    page.ask(7, Ask::Vms(Box::new(filter))).await;
    assert_eq!(page.end_of(7).await.0, "");
    assert_eq!(page.vms(7).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_ends_its_topic_and_nothing_else() {
    let server = Server::demo().await;
    let mut page = Page::open(&server).await;
    page.ask(1, all_vms()).await;
    page.vms(1).await;
    let wrong = [
        (
            Some(Ask::Vms(Box::new(compute::WatchVMsRequest { node_id: "x".to_owned(), ..Default::default() }))),
            "node_id",
        ),
        (
            Some(Ask::Operations(Box::new(operation::WatchOperationsRequest {
                resource_id: "x".to_owned(),
                ..Default::default()
            }))),
            "resource_id",
        ),
        (
            Some(Ask::NodeMetrics(Box::new(compute::StreamNodeMetricsRequest {
                node_id: "x".to_owned(),
                ..Default::default()
            }))),
            "node_id",
        ),
        (None, "ask"),
    ];
    for (topic, (ask, field)) in (10..).zip(wrong) {
        page.ask(topic, ask).await;
        let (code, message) = page.end_of(topic).await;
        assert_eq!(code, "invalid_argument", "{message}");
        assert!(message.contains(field), "{message}");
    }
    let unknown = compute::StreamNodeMetricsRequest { node_id: DEV.to_owned(), ..Default::default() };
    page.ask(20, Ask::NodeMetrics(Box::new(unknown))).await;
    assert_eq!(page.end_of(20).await.0, "not_found");
    // Stopping what does not run is nothing.
    page.ask(21, Ask::Stop(Box::default())).await;
    for topic in 100..163 {
        page.ask(topic, all_vms()).await;
        page.vms(topic).await;
    }
    page.ask(163, all_vms()).await;
    let (code, message) = page.end_of(163).await;
    assert_eq!(code, "resource_exhausted", "{message}");
    page.ask(100, Ask::Stop(Box::default())).await;
    page.ask(163, all_vms()).await;
    page.vms(163).await;
    // The first topic heard it all and goes on.
    server.ok("UpdateVM", json!({ "id": DEV, "description": "told" })).await;
    page.until(|topic, told| match told {
        Told::Vms(update) if topic == 1 => update.vm.as_option().filter(|vm| vm.description == "told").map(|_| ()),
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_of_ours_closes_the_connection_with_its_reason() {
    let server = Server::demo().await;
    let too_long = vec![0_u8; (64 << 10) + 1];
    for (message, code) in [
        (Message::Binary(vec![0xff; 40].into()), 1002),
        (Message::Binary(vec![0x12, 0x7f].into()), 1002),
        (Message::Text("{}".into()), 1003),
        (Message::Binary(too_long.into()), 1009),
    ] {
        let what = format!("{message:?}");
        let mut page = Page::open(&server).await;
        page.send(message).await;
        let (_, close) = page.closed().await;
        let (told, why) = close.unwrap_or_else(|| panic!("{what:.40} was answered by nothing"));
        assert_eq!(told, code, "{why}");
        assert!(!why.is_empty());
    }
    // Nobody else noticed.
    assert_eq!(server.ok("ListVMs", json!({})).await["totalCount"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_pages_origin_and_another_host_are_refused() {
    let server = Server::demo().await;
    for headers in [
        [("origin", "http://evil.example")],
        [("origin", "null")],
        [("host", "evil.example")],
        [("sec-fetch-site", "cross-site")],
    ] {
        match connect(&server, &headers).await.map(drop) {
            Err(tungstenite::Error::Http(answer)) => {
                assert!([403, 421].contains(&answer.status().as_u16()), "{headers:?}: {}", answer.status());
            }
            other => panic!("{headers:?}: {other:?}"),
        }
    }
    // What is no WebSocket is told so.
    let plain = server.http.get(format!("{}/live", server.url)).send().await.expect("an answer");
    assert!(plain.status().is_client_error(), "{}", plain.status());
}

/// A VM with a lot to tell, which does not pack: what is not read fills the connection soon.
async fn heavy(server: &Server, index: usize) -> String {
    let mut random = fastrand::Rng::with_seed(index as u64);
    let mut noise = || -> String { std::iter::repeat_with(|| random.alphanumeric()).take(255).collect() };
    let labels: serde_json::Map<String, Value> =
        (0..50).map(|index| (format!("key-{index}"), json!(noise()))).collect();
    let body = json!({ "name": format!("heavy-{index}"), "labels": labels, "spec": small_spec() });
    server.ok("CreateVM", body).await["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_not_read_is_told_to_begin_again_and_holds_nobody_up() {
    let server = Server::demo().await;
    let mut ids = Vec::new();
    for index in 0..20 {
        ids.push(heavy(&server, index).await);
    }
    let mut idle = Page::open(&server).await;
    for topic in 0..2 {
        idle.ask(topic, all_vms()).await;
    }
    let mut busy = Page::open(&server).await;
    busy.ask(1, all_vms()).await;
    assert_eq!(busy.vms(1).await.len(), 24);
    let reading = tokio::spawn(async move {
        let last = |_, told: &Told| match told {
            Told::Vms(update) => {
                assert_ne!(update.r#type, UpdateType::RESYNC, "one that reads was told to begin again");
                update.vm.as_option().filter(|vm| vm.description == "last").map(|_| ())
            }
            _ => None,
        };
        busy.until(last).await.0.len()
    });
    let begun = Instant::now();
    // First the connection is filled, then the channel of the topics overflows.
    for round in 0..20 {
        let all = ids.iter().map(async |id| {
            server.ok("UpdateVM", json!({ "id": id, "description": format!("round {round}") })).await;
        });
        futures::future::join_all(all).await;
    }
    let light = (0..4200).map(|index| {
        let server = &server;
        async move { server.ok("UpdateVM", json!({ "id": DEV, "description": format!("change {index}") })).await }
    });
    futures::stream::iter(light).buffer_unordered(16).for_each(|_| std::future::ready(())).await;
    server.ok("UpdateVM", json!({ "id": DEV, "description": "last" })).await;
    let heard = reading.await.expect("the busy reader ends");
    println!("4600 changes in {:?}; the page that reads read {heard} frames", begun.elapsed());
    // It begins to read: every topic that overflowed says so, and ends.
    let mut resyncs = 0;
    for _ in 0..2 {
        let look = |_, told: &Told| match told {
            Told::End(end) => Some(end.code.clone()),
            _ => None,
        };
        let (before, code) = idle.until(look).await;
        assert_eq!(code, "");
        resyncs += before
            .iter()
            .filter(|(_, told)| matches!(told, Told::Vms(update) if update.r#type == UpdateType::RESYNC))
            .count();
    }
    assert_eq!(resyncs, 2);
    idle.ask(1, all_vms()).await;
    assert_eq!(idle.vms(1).await.len(), 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_pages_and_a_thousand_vms_open_small_and_quickly() {
    let server = Server::demo().await;
    let make = |index: usize| {
        let server = &server;
        async move { server.ok("CreateVM", json!({ "name": format!("vm-{index:04}"), "spec": small_spec() })).await }
    };
    futures::stream::iter((0..996).map(make)).buffer_unordered(16).for_each(|_| std::future::ready(())).await;
    let begun = Instant::now();
    let pages = (0..8).map(async |_| {
        let mut page = Page::open(&server).await;
        page.ask(1, all_vms()).await;
        let vms = page.vms(1).await;
        assert_eq!(vms.len(), 1000);
        page
    });
    let mut pages = futures::future::join_all(pages).await;
    let took = begun.elapsed();
    let (bytes, messages) = (pages[0].received, pages[0].messages);
    println!("eight pages open a thousand VMs in {took:?}: {bytes} bytes in {messages} messages each");
    assert!(bytes < 120_000, "{bytes} bytes for a thousand VMs");
    // Beside eight open pages the API answers, and a change reaches each.
    server.ok("UpdateVM", json!({ "id": WEB, "description": "seen by all" })).await;
    for page in &mut pages {
        page.until(|_, told| match told {
            Told::Vms(update) => update.vm.as_option().filter(|vm| vm.description == "seen by all").map(|_| ()),
            _ => None,
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_the_server_and_says_so() {
    let mut server = Server::demo().await;
    let mut page = Page::open(&server).await;
    page.ask(1, all_vms()).await;
    page.ask(2, Ask::Nodes(Box::default())).await;
    page.vms(1).await;
    // One that takes nothing must not hold up the end.
    let mut deaf = Page::open(&server).await;
    deaf.ask(1, all_vms()).await;
    let reading = tokio::spawn(async move { page.closed().await });
    let took = tokio::task::block_in_place(|| server.terminate());
    let (ends, close) = reading.await.expect("it ends");
    assert_eq!(ends, [(1, "unavailable".to_owned()), (2, "unavailable".to_owned())].into());
    assert_eq!(close.map(|(code, _)| code), Some(1001));
    println!("SIGTERM with two live connections took {took:?}");
    assert!(took < Duration::from_secs(10), "it took {took:?}");
}
