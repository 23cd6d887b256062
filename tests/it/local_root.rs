//! Root on the host needs no token on loopback, and nobody else is taken for root: not another user,
//! not the service's own, not a page in root's browser, not a proxy, not somebody who was gone before
//! anybody looked. The server runs as a user of its own here, as the package has it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{BINARY, Server};

/// Users that nobody is: the server's, and another's.
const SERVICE: u32 = 64_990;
const OTHER: u32 = 64_991;
const CREATE: &str = "/Quantixkvm.compute.v1.VMService/CreateVM";

/// A command as this user.
fn as_user(uid: u32) -> Vec<String> {
    ["setpriv", &format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups", "--"].map(str::to_owned).into()
}

fn body(name: &str) -> String {
    json!({ "name": name, "spec": crate::support::small_spec() }).to_string()
}

/// A request, to the letter.
fn request(line: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{line} HTTP/1.1\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()));
    text
}

/// The status that a request gets on a connection of this process, which is root's.
fn as_root(at: &str, request: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(at).expect("the server listens");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
    socket.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer)
}

/// What a request gets on a connection of another user's; `read`: whether the user waits for it.
fn as_other(uid: u32, at: &str, request: &str, read: bool) -> String {
    through(as_user(uid), at, request, read)
}

/// What a request gets on a connection of a process that `command` begins.
fn through(mut command: Vec<String>, at: &str, request: &str, read: bool) -> String {
    let (host, port) = at.rsplit_once(':').expect("an address");
    let script = format!(
        "exec 3<>/dev/tcp/{host}/{port} && printf %s \"$1\" >&3 {}",
        if read { "&& cat <&3" } else { "&& exec 3>&-" }
    );
    command.extend(["bash", "-c", &script, "bash", request].map(str::to_owned));
    let done = Command::new(&command[0]).args(&command[1..]).output().expect("it runs");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// A server that runs as [`SERVICE`], in a directory that all may pass.
async fn guarded(home: &Path, flags: &[&str]) -> Server {
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let program = home.join("quantixkvm");
    std::fs::copy(BINARY, &program).expect("a copy that the user may run");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let data = home.join("data");
    std::fs::create_dir(&data).expect("a directory");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).expect("its mode");
    chown(&data, Some(SERVICE), Some(SERVICE)).expect("its owner");
    let mut command = as_user(SERVICE);
    command.push(program.display().to_string());
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let all: Vec<&str> = ["--libvirt-uri", "test:///default"].into_iter().chain(flags.iter().copied()).collect();
    let mut server = Server::launch(&command, Some(&data), &all);
    server.sign_in().await;
    server.ready().await;
    server
}

async fn names(server: &Server) -> Vec<String> {
    let list = server.ok("ListVMs", json!({ "pageSize": 1000 })).await;
    let vms = list["vms"].as_array().cloned().unwrap_or_default();
    vms.iter().map(|vm| vm["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn root_is_known_by_its_socket_and_nobody_else_is_taken_for_it() {
    if !rustix::process::geteuid().is_root() {
        println!("left out: this needs root, which it is about");
        return;
    }
    let home = tempfile::tempdir().expect("a temporary directory");
    let server = guarded(home.path(), &[]).await;
    let at = server.url.strip_prefix("http://").expect("an address").to_owned();
    let port = at.rsplit_once(':').expect("a port").1.to_owned();
    let (local, named) =
        (format!("localhost:{port}"), format!("{}:{port}", rustix::system::uname().nodename().to_string_lossy()));
    let plain = [("Host", local.as_str()), ("Content-Type", "application/json")];
    let post = format!("POST {CREATE}");

    // The documentation's line, word for word.
    for host in [&local, &at, &format!("LOCALHOST:{port}")] {
        let name = format!("by-root-{}", names(&server).await.len());
        let (status, answer) =
            as_root(&at, &request(&post, &[("Host", host), ("Content-Type", "application/json")], &body(&name)));
        assert_eq!(status, 200, "{host}: {answer}");
        assert!(answer.contains("\"createdBy\":\"local-root\""), "{answer}");
    }
    let by_curl = [plain[0], plain[1], ("User-Agent", "curl/8"), ("Accept", "*/*")];
    assert_eq!(as_root(&at, &request(&post, &by_curl, &body("by-curl"))).0, 200);
    let before = names(&server).await;

    let attacks: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("Origin", vec![("Origin", &server.url)]),
        ("Origin null", vec![("Origin", "null")]),
        ("Origin of another site", vec![("Origin", "https://evil.example")]),
        ("Referer", vec![("Referer", "http://evil.example/")]),
        ("Cookie", vec![("Cookie", "a=b")]),
        ("an empty Cookie", vec![("Cookie", "")]),
        ("a session's Cookie", vec![("Cookie", "__Host-quantixkvm=x")]),
        ("Sec-Fetch-Site cross-site", vec![("Sec-Fetch-Site", "cross-site")]),
        ("Sec-Fetch-Site none", vec![("Sec-Fetch-Site", "none")]),
        ("Sec-Fetch-Mode", vec![("Sec-Fetch-Mode", "no-cors")]),
        ("Sec-Fetch-Dest", vec![("Sec-Fetch-Dest", "empty")]),
        ("Sec-Fetch-User", vec![("Sec-Fetch-User", "?1")]),
        ("Forwarded", vec![("Forwarded", "for=192.0.2.1")]),
        ("X-Forwarded-For", vec![("X-Forwarded-For", "192.0.2.1")]),
        ("X-Forwarded-Host", vec![("X-Forwarded-Host", "localhost")]),
        ("X-Forwarded-Proto", vec![("x-forwarded-proto", "https")]),
        ("Via", vec![("Via", "1.1 proxy")]),
        ("X-Real-IP", vec![("X-Real-IP", "127.0.0.1")]),
        ("Proxy-Authorization", vec![("Proxy-Authorization", "Basic eA==")]),
        ("Authorization Basic", vec![("Authorization", "Basic cm9vdDo=")]),
        ("Authorization empty", vec![("Authorization", "")]),
        ("a wrong Bearer", vec![("Authorization", "Bearer nonsense")]),
        ("a token of nobody", vec![("Authorization", "Bearer qkvm_x_y")]),
        ("two Authorizations", vec![("Authorization", "Bearer a"), ("Authorization", "Bearer b")]),
    ];
    let mut tried = 0;
    let mut refused = |what: &str, (status, answer): (u16, String)| {
        tried += 1;
        assert!((400..500).contains(&status), "{what}: {status} {answer}");
    };
    for (what, more) in &attacks {
        let headers: Vec<(&str, &str)> = plain.iter().chain(more).copied().collect();
        refused(what, as_root(&at, &request(&post, &headers, &body("evil"))));
    }
    let json = ("Content-Type", "application/json");
    for host in [
        named.as_str(),
        "evil.example",
        "",
        "127.0.0.2",
        "127.1",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "localhost.",
        "localhost.evil.example",
        "localhost@evil.example",
    ] {
        refused(&format!("Host {host:?}"), as_root(&at, &request(&post, &[("Host", host), json], &body("evil"))));
    }
    refused("two Hosts", as_root(&at, &request(&post, &[plain[0], ("Host", "evil.example"), json], &body("evil"))));
    refused("no Host", as_root(&at, &request(&post, &[json], &body("evil"))));
    let elsewhere = format!("POST http://evil.example{CREATE}");
    refused("another host's URL", as_root(&at, &request(&elsewhere, &plain, &body("evil"))));
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "text/json",
        "",
    ] {
        refused(
            &format!("Content-Type {kind:?}"),
            as_root(&at, &request(&post, &[plain[0], ("Content-Type", kind)], &body("evil"))),
        );
    }
    refused("no Content-Type", as_root(&at, &request(&post, &[plain[0]], &body("evil"))));
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS"] {
        refused(method, as_root(&at, &request(&format!("{method} {CREATE}"), &plain, &body("evil"))));
    }
    let upgrade = [
        plain[0],
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    refused("a WebSocket", as_root(&at, &request("GET /live", &upgrade, "")));

    // Other users of the host: who waits, who is gone at once, and the service's own.
    for uid in [OTHER, SERVICE] {
        let answer = as_other(uid, &at, &request(&post, &plain, &body("evil")), true);
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("sudo"), "uid {uid}: {answer}");
    }
    // Root of a user namespace is whoever made it, where this kernel lets users make them.
    let mut contained = as_user(OTHER);
    contained.extend(["unshare", "--user", "--map-root-user", "--"].map(str::to_owned));
    let answer = through(contained, &at, &request(&post, &plain, &body("evil")), true);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 401"), "root of a namespace: {answer}");
    // The second request of a connection is judged as the first is.
    let first = request(&post, &plain, &body("twice")).replace("Connection: close\r\n", "");
    let forwarded = [plain[0], plain[1], ("X-Forwarded-For", "192.0.2.1")];
    let (status, answers) = as_root(&at, &format!("{first}{}", request(&post, &forwarded, &body("evil"))));
    assert!(status == 200 && answers.contains("HTTP/1.1 401"), "{answers}");
    let before: Vec<String> = before.into_iter().chain(["twice".to_owned()]).collect();
    tried += 2;
    for _ in 0..40 {
        as_other(OTHER, &at, &request(&post, &plain, &body("evil")), false);
    }
    tried += 42;
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let before = sorted(before);
    assert_eq!(sorted(names(&server).await), before, "somebody was taken for root");
    println!("root on loopback: {tried} attempts to be taken for it, none was");

    // Signs of life are everybody's, the rest is not.
    let get = |path: &str| as_other(OTHER, &at, &request(&format!("GET {path}"), &plain[..1], ""), true);
    assert!(get("/healthz").starts_with("HTTP/1.1 200"));
    for path in ["/metrics", "/readyz"] {
        assert!(get(path).starts_with("HTTP/1.1 401"), "{path}");
        assert_eq!(as_root(&at, &request(&format!("GET {path}"), &plain[..1], "")).0, 200, "{path}");
    }
    // The API socket asks the kernel who it is.
    let who: Value = {
        let by_socket = reqwest::Client::builder().unix_socket(server.socket()).build().expect("a client");
        let asked = by_socket.post("http://localhost/Quantixkvm.auth.v1.AuthService/WhoAmI").json(&json!({}));
        asked.send().await.expect("an answer").json().await.expect("JSON")
    };
    assert_eq!((&who["kind"], &who["name"]), (&json!("SOCKET"), &json!("root")));
    let socket = std::fs::metadata(server.socket()).expect("the socket");
    assert_eq!(socket.permissions().mode() & 0o007, 0, "others may use the API socket");
    assert_eq!(sorted(names(&server).await), before, "somebody who left was taken for root");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trust_in_root_can_be_switched_off_and_is_off_for_a_server_that_runs_as_root() {
    if !rustix::process::geteuid().is_root() {
        println!("left out: this needs root, which it is about");
        return;
    }
    let home = tempfile::tempdir().expect("a temporary directory");
    let configuration = home.path().join("off.toml");
    std::fs::write(&configuration, "local_root_trust = \"off\"\n").expect("a configuration");
    let off = guarded(home.path(), &["--config", &configuration.display().to_string()]).await;
    let as_itself = Server::on("test:///default").await;
    for server in [&off, &as_itself] {
        let at = server.url.strip_prefix("http://").expect("an address");
        let plain = [("Host", at), ("Content-Type", "application/json")];
        let (status, answer) = as_root(at, &request(&format!("POST {CREATE}"), &plain, &body("evil")));
        assert_eq!(status, 401, "{answer}");
    }
}
