//! Hostile requests by the table, as each role sends them: names and texts, numbers, JSON, framing.
//! Each is answered, never by a failure of our own, and names what is at fault; nothing changes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Server, small_spec};

const UUID: &str = "00000000-0000-4000-8000-0000000000aa";

/// Texts that are no name of a VM.
fn bad_names() -> Vec<(&'static str, Value)> {
    vec![
        ("empty", json!("")),
        ("a blank", json!(" ")),
        ("too long", json!("a".repeat(300))),
        ("far too long", json!("a".repeat(100_000))),
        ("a way up", json!("../../etc/passwd")),
        ("a path", json!("/etc/passwd")),
        ("NUL", json!("a\0b")),
        ("a flag", json!("-rf")),
        ("two flags", json!("--help")),
        ("XML", json!("</name><name>x")),
        ("an attribute", json!("x' y='z")),
        ("a DOCTYPE", json!("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>")),
        ("an entity", json!("&amp;&lt;&#0;")),
        ("a command", json!("$(reboot)")),
        ("a backtick", json!("`reboot`")),
        ("a semicolon", json!("a;reboot")),
        ("a pipe", json!("a|b")),
        ("quotes", json!("\"a\"")),
        ("SQL", json!("'; DROP TABLE vms; --")),
        ("YAML", json!("a: b\n- c")),
        ("CRLF", json!("a\r\nX-Injected: 1")),
        ("ANSI", json!("\u{1b}[31mred\u{1b}[0m")),
        ("a bell", json!("a\u{7}")),
        ("DEL", json!("a\u{7f}")),
        ("right to left", json!("\u{202e}txt.exe")),
        ("a zero width", json!("a\u{200b}b")),
        ("a homoglyph", json!("аdmin")),
        ("an emoji", json!("\u{1f4a9}")),
        ("a BOM", json!("\u{feff}a")),
        ("format words", json!("%s%n{}{0}")),
        ("a slash", json!("a/b")),
        ("a backslash", json!("a\\b")),
        ("a UUID", json!(UUID)),
        ("a number", json!(5)),
        ("a truth", json!(true)),
        ("a list", json!(["a"])),
        ("an object", json!({ "a": "b" })),
    ]
}

/// Numbers that are none of vCPUs, mebibytes or gibibytes.
fn bad_numbers() -> Vec<(&'static str, Value)> {
    vec![
        ("zero", json!(0)),
        ("negative", json!(-1)),
        ("the least", json!(i64::MIN)),
        ("the most", json!(u64::MAX)),
        ("as text", json!("18446744073709551616")),
        ("overflow of bytes", json!("17592186044416")),
        ("a fraction", json!(4.5)),
        ("a fraction as text", json!("4.5")),
        ("huge", json!(1e300)),
        ("NaN", json!("NaN")),
        ("Infinity", json!("Infinity")),
        ("hexadecimal", json!("0x10")),
        ("a truth", json!(true)),
        ("a word", json!("many")),
        ("a list", json!([1])),
        ("an object", json!({})),
    ]
}

/// One case: what it is, the method, its body to the letter, and what the refusal must name.
struct Case {
    what: String,
    method: &'static str,
    body: String,
    names: &'static str,
}

fn case(what: impl Into<String>, method: &'static str, body: impl ToString, names: &'static str) -> Case {
    Case { what: what.into(), method, body: body.to_string(), names }
}

/// A creation with one thing changed: the path's last key is set.
fn creation(path: &str, value: &Value) -> Value {
    let mut body = json!({ "name": "hostile", "spec": small_spec() });
    let mut at = &mut body;
    for key in path.split('.') {
        at = match key.parse::<usize>() {
            Ok(index) => {
                if !at.is_array() {
                    *at = json!([{}]);
                }
                &mut at[index]
            }
            Err(_) => &mut at[key],
        };
    }
    *at = value.clone();
    body
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for (what, name) in bad_names() {
        all.push(case(format!("name: {what}"), "CreateVM", creation("name", &name), "name"));
        for (method, key) in [("GetVM", "id"), ("StartVM", "id"), ("DeleteVM", "id"), ("GetNode", "id")] {
            // An id that could be one is only unknown.
            if name != json!(UUID) {
                all.push(case(format!("{method}: {what}"), method, json!({ key: name }), key));
            }
        }
        if name != json!("") && name != json!(UUID) {
            all.push(case(format!("project: {what}"), "CreateVM", creation("projectId", &name), "project"));
        }
    }
    for (what, number) in bad_numbers() {
        for path in ["spec.cpu.cores", "spec.cpu.sockets", "spec.memory.sizeMib", "spec.disks.0.sizeGib"] {
            // Left out and zero are the same in this protocol, where a default takes its place.
            let has_default = number == json!(0) && path == "spec.cpu.sockets";
            if !has_default {
                all.push(case(format!("{path}: {what}"), "CreateVM", creation(path, &number), ""));
            }
        }
        if !matches!(number.as_i64(), Some(0)) {
            all.push(case(format!("page size: {what}"), "ListVMs", json!({ "pageSize": number }), ""));
        }
    }
    for (what, path) in [
        ("relative", "disk.img"),
        ("a way up", "/var/lib/libvirt/images/../../../../etc/shadow"),
        ("NUL", "/var/lib/libvirt/images/a\0b"),
        ("a device", "/dev/mem"),
        ("a directory", "/etc"),
        ("a flag", "-drive"),
        ("a newline", "/tmp/a\nb"),
        ("a scheme", "http://127.0.0.1/x"),
        ("json:", "json:{\"driver\":\"file\"}"),
        ("nbd:", "nbd:unix:/x"),
        ("fd:", "/dev/fdset/1"),
        ("proc", "/proc/self/environ"),
        ("long", &"/a".repeat(3000)),
    ] {
        for field in ["path", "backingFile"] {
            let disk = json!([{ "sizeGib": 1, field: path }]);
            all.push(case(format!("{field}: {what}"), "CreateVM", creation("spec.disks", &disk), ""));
        }
    }
    let good = json!({ "name": "hostile", "spec": small_spec() }).to_string();
    for (what, body) in [
        ("not JSON", "hello".to_owned()),
        ("nothing", String::new()),
        ("half", good[..good.len() / 2].to_owned()),
        ("a list", "[]".to_owned()),
        ("null", "null".to_owned()),
        ("a text", "\"a\"".to_owned()),
        ("trailing", format!("{good}x")),
        ("two of them", format!("{good}{good}")),
        ("a BOM", format!("\u{feff}{good}")),
        ("one key twice", "{\"name\":\"a\",\"name\":\"b\"}".to_owned()),
        ("both spellings", "{\"projectId\":\"\",\"project_id\":\"x\",\"name\":\"\"}".to_owned()),
        ("an unknown enum", creation("spec.firmware", &json!("WARP")).to_string()),
        ("an enum's number", creation("spec.firmware", &json!(99_999)).to_string()),
        ("deep", format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
        ("deep objects", format!("{}1{}", "{\"spec\":".repeat(20_000), "}".repeat(20_000))),
        ("a lone surrogate", "{\"name\":\"\\ud800\"}".to_owned()),
        ("a control", "{\"name\":\"a\tb\"}".to_owned()),
        ("a comment", "{/*x*/\"name\":\"\"}".to_owned()),
        ("a wrong type deep inside", creation("spec.disks", &json!([{ "sizeGib": { "a": 1 } }])).to_string()),
        ("a list for an object", creation("spec", &json!([])).to_string()),
        ("a text for an object", creation("spec", &json!("x")).to_string()),
        ("labels of labels", creation("labels", &json!({ "a": { "b": "c" } })).to_string()),
        ("a label of nothing", creation("labels", &json!({ "": "x" })).to_string()),
        ("a label with a newline", creation("labels", &json!({ "a\nb": "x" })).to_string()),
        ("a long label", creation("labels", &json!({ "a".repeat(5000): "x" })).to_string()),
    ] {
        all.push(case(format!("JSON: {what}"), "CreateVM", body, ""));
    }
    for (what, body) in [
        ("a token that is none", json!({ "pageToken": "nonsense" })),
        ("a long token", json!({ "pageToken": "A".repeat(100_000) })),
        ("a token of zeros", json!({ "pageToken": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" })),
        ("an unknown state", json!({ "states": ["DANCING"] })),
    ] {
        for method in ["ListVMs", "ListOperations", "ListEvents"] {
            if what != "an unknown state" || method == "ListVMs" {
                all.push(case(format!("{method}: {what}"), method, &body, ""));
            }
        }
    }
    for (what, body, names) in [
        ("no name", json!({ "password": "correct horse", "role": "VIEWER" }), "name"),
        ("a short password", json!({ "name": "x", "password": "short", "role": "VIEWER" }), "password"),
        ("a long password", json!({ "name": "x", "password": "a".repeat(10_000), "role": "VIEWER" }), "password"),
        ("no role", json!({ "name": "x", "password": "correct horse" }), "role"),
        ("a role of its own", json!({ "name": "x", "password": "correct horse", "role": "ROOT" }), "role"),
        ("a name of root's", json!({ "name": "local-root", "password": "correct horse", "role": "ADMIN" }), "name"),
        ("a name with a newline", json!({ "name": "a\nb", "password": "correct horse", "role": "ADMIN" }), "name"),
        ("a path for a name", json!({ "name": "../x", "password": "correct horse", "role": "ADMIN" }), "name"),
        ("nobody's name", json!({ "name": "(nobody)", "password": "correct horse", "role": "ADMIN" }), "name"),
    ] {
        all.push(case(format!("CreateUser: {what}"), "CreateUser", body, names));
    }
    for (what, body, names) in [
        ("a year and more", json!({ "name": "x", "days": 4000 }), "days"),
        ("no name", json!({ "days": 1 }), "name"),
        ("a long name", json!({ "name": "a".repeat(1000) }), "name"),
        ("days below nothing", json!({ "name": "x", "days": -1 }), "days"),
    ] {
        all.push(case(format!("CreateToken: {what}"), "CreateToken", body, names));
    }
    all
}

/// What must not have changed.
async fn state(server: &Server) -> Value {
    let vms = server.ok("ListVMs", json!({ "pageSize": 1000 })).await;
    let users = server.ok("ListUsers", json!({})).await;
    let tokens = server.ok("ListTokens", json!({})).await;
    let names = |list: &Value, key: &str| -> Vec<String> {
        let rows = list.as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| format!("{} {}", row[key], row["resourceVersion"])).collect()
    };
    json!([names(&vms["vms"], "name"), names(&users["users"], "name"), names(&tokens["tokens"], "id")])
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_table_each_role_is_refused_and_nothing_changes() {
    let server = Server::on("test:///default").await;
    let mut roles = Vec::new();
    for role in ["VIEWER", "OPERATOR", "ADMIN"] {
        roles.push((role, server.token_of(&format!("a-{}", role.to_lowercase()), role).await));
    }
    let before = state(&server).await;
    let cases = cases();
    assert!(cases.len() >= 300, "{} cases", cases.len());
    let (mut times, mut wrong) = (Vec::new(), Vec::new());
    for (role, token) in &roles {
        for case in &cases {
            let service = crate::support::service_of(case.method);
            let begun = Instant::now();
            let answer = reqwest::Client::new()
                .post(format!("{}/{service}/{}", server.url, case.method))
                .header("Content-Type", "application/json")
                .bearer_auth(token)
                .body(case.body.clone())
                .send()
                .await
                .unwrap_or_else(|error| panic!("{role}, {}: {error}\n{}", case.what, server.log()));
            let status = answer.status().as_u16();
            let said = answer.text().await.expect("a whole answer");
            times.push(begun.elapsed());
            let told: Value = serde_json::from_str(&said)
                .unwrap_or_else(|_| panic!("{role}, {}: {status} without JSON: {said}", case.what));
            let code = told["code"].as_str().unwrap_or_default();
            let refused = (400..500).contains(&status) && !["", "internal", "unknown", "data_loss"].contains(&code);
            // Where it is no JSON of the request's, the place is named.
            let named = code != "invalid_argument" || said.contains(case.names) || said.contains(" column ");
            if !refused || !named {
                let said: String = said.chars().take(200).collect();
                wrong.push(format!("{role}, {}: {status}, to name {:?}: {said}", case.what, case.names));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), times.len(), wrong.join("\n"));
    assert_eq!(state(&server).await, before);
    assert!(!server.log().contains("panicked"), "{}", server.log());
    // What is hostile to whoever reads the log by eye is not in it as it came.
    assert!(!server.log().contains('\u{1b}') && !server.log().contains('\u{202e}'), "{}", server.log());
    times.sort();
    let (all, slow) = (times.len(), times[times.len() * 99 / 100]);
    println!("hostile cases: {all} of {all} refused ({} a role); 99 % within {slow:?}", cases.len());
    assert!(slow < Duration::from_secs(1), "99 % within {slow:?}");
}

/// Bytes as they are, and the answer's first line; empty where the connection is closed.
fn raw(at: &str, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(at).expect("the server listens");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a time");
    // It may be refused before it is all sent.
    let _ = socket.write_all(bytes);
    let _ = socket.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_lie_are_refused() {
    let server = Server::on("test:///default").await;
    let at = server.url.strip_prefix("http://").expect("an address").to_owned();
    let token = server.token.clone().expect("a token");
    let before = state(&server).await;
    let head = format!(
        "POST /Quantixkvm.compute.v1.VMService/CreateVM HTTP/1.1\r\nHost: {at}\r\nAuthorization: Bearer {token}\r\n"
    );
    let json = format!("{head}Content-Type: application/json\r\n");
    let stream = head.replace("CreateVM", "WatchVMs") + "Content-Type: application/connect+json\r\n";
    let good = json!({ "name": "hostile", "spec": small_spec() }).to_string();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a length that lies", format!("{json}Content-Length: 100000\r\n\r\n{good}").into()),
        ("a length below nothing", format!("{json}Content-Length: -1\r\n\r\n{good}").into()),
        ("two lengths", format!("{json}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{good}").into()),
        (
            "a length and chunks",
            format!("{json}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").into(),
        ),
        ("a chunk without end", format!("{json}Transfer-Encoding: chunked\r\n\r\nffffffff\r\n{good}").into()),
        ("a chunk of nonsense", format!("{json}Transfer-Encoding: chunked\r\n\r\nzz\r\n{good}").into()),
        ("a header without end", format!("{json}X: {}", "a".repeat(1 << 20)).into()),
        ("thousands of headers", format!("{json}{}\r\n\r\n", "A: b\r\n".repeat(5000)).into()),
        ("a body without end", format!("{json}Content-Length: 99999999999\r\n\r\n{}", " ".repeat(1 << 20)).into()),
        ("an old version", b"POST / HTTP/0.9\r\n\r\n".to_vec()),
        ("no version", b"POST /\r\n\r\n".to_vec()),
        ("nonsense", vec![0xff; 4096]),
        ("a half handshake", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]),
        ("a handshake of nonsense", [&[0x16_u8, 3, 1, 0xff, 0xff][..], &[0; 4096]].concat()),
        ("HTTP/2 and nothing more", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("HTTP/2 and nonsense", [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0xff; 512]].concat()),
        (
            "a gzip that is none",
            format!("{json}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n{good}", good.len()).into(),
        ),
        (
            "an encoding of nobody's",
            format!("{json}Content-Encoding: warp\r\nContent-Length: {}\r\n\r\n{good}", good.len()).into(),
        ),
        (
            "an envelope of 4 GiB",
            [format!("{stream}Content-Length: 7\r\n\r\n").as_bytes(), &[0, 0xff, 0xff, 0xff, 0xff, 0x7b, 0x7d]]
                .concat(),
        ),
        ("half an envelope", [format!("{stream}Content-Length: 3\r\n\r\n").as_bytes(), &[0, 0, 0]].concat()),
        (
            "an envelope of a kind of its own",
            [format!("{stream}Content-Length: 7\r\n\r\n").as_bytes(), &[0x7f, 0, 0, 0, 2, 0x7b, 0x7d]].concat(),
        ),
    ];
    for (what, bytes) in &cases {
        let line = tokio::task::block_in_place(|| raw(&at, bytes));
        let status: u16 = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        // A stream tells its refusal in its last message.
        let refused = status == 0 || (400..500).contains(&status) || (status == 200 && what.contains("envelope"));
        assert!(refused || status == 501, "{what}: {line}\n{}", server.log());
    }
    // A bomb: 64 MiB of blanks in some 64 kB.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 64 << 20]).and_then(|()| bomb.write_all(good.as_bytes())).expect("it is packed");
    let bomb = bomb.finish().expect("it is packed");
    let head = format!("{json}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());
    let line = tokio::task::block_in_place(|| raw(&at, &[head.as_bytes(), &bomb].concat()));
    // Refused, and perhaps cut off before the refusal was read.
    assert!(line.is_empty() || line.contains(" 4"), "a bomb: {line}");
    assert_eq!(state(&server).await, before);
    assert!(!server.log().contains("panicked"), "{}", server.log());
    println!("frames that lie: {} of {} refused", cases.len() + 1, cases.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_strangers_keep_nobody_out() {
    let server = Server::on("test:///default").await;
    let at = server.url.strip_prefix("http://").expect("an address").to_owned();
    let idle: Vec<TcpStream> = tokio::task::block_in_place(|| {
        (0..1000)
            .map(|number| {
                let mut socket = TcpStream::connect(&at).expect("the server listens");
                // Some say nothing, some begin a handshake, some a request.
                match number % 3 {
                    0 => {}
                    1 => socket.write_all(&[0x16]).expect("it is sent"),
                    _ => socket.write_all(b"POST / HTTP/1.1\r\nHost: ").expect("it is sent"),
                }
                socket
            })
            .collect()
    });
    let begun = Instant::now();
    let fresh = server.client();
    for _ in 0..20 {
        let asked = fresh.post(format!("{}/Quantixkvm.compute.v1.VMService/ListVMs", server.url)).json(&json!({}));
        assert_eq!(asked.send().await.expect("an answer").status(), 200);
    }
    println!("beside {} idle connections 20 calls took {:?}", idle.len(), begun.elapsed());
    // Each is closed in its time, which makes room.
    let ended = tokio::task::block_in_place(|| {
        idle.into_iter()
            .filter(|socket| {
                socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a time");
                let mut socket = socket;
                let mut rest = Vec::new();
                socket.read_to_end(&mut rest).is_ok()
            })
            .count()
    });
    assert_eq!(ended, 1000, "some idle connections are never closed");
}
