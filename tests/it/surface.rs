//! The port and the command line: health, metrics, the gate, limits, refusals by name, exit codes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{BINARY, Server};

const LIST: &str = "Quantixkvm.compute.v1.VMService/ListVMs";

async fn get(server: &Server, path: &str) -> (u16, String) {
    let answer = server.http.get(format!("{}{path}", server.url)).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told() {
    let server = Server::demo().await;
    for path in ["/healthz", "/health", "/readyz"] {
        assert_eq!(get(&server, path).await.0, 200, "{path}");
    }
    let page = get(&server, "/").await;
    assert!(page.0 == 200 && page.1.contains("<html"), "{page:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_as_prometheus_reads_them() {
    let server = Server::demo().await;
    server.ok("ListVMs", json!({})).await;
    server.refused("GetVM", json!({ "id": "x" }), "invalid_argument").await;
    let answer = server.http.get(format!("{}/metrics", server.url)).send().await.expect("an answer");
    assert!(answer.headers()["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    let text = answer.text().await.expect("a text");
    let mut helped = BTreeSet::new();
    let mut typed: BTreeMap<String, String> = BTreeMap::new();
    let mut samples = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help");
            assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(typed.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is declared twice");
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            value.parse::<f64>().unwrap_or_else(|_| panic!("no number: {line}"));
            assert!(samples.insert(series.to_owned()), "{series} twice");
            let name = series.split('{').next().unwrap_or_default();
            assert!(
                name.starts_with("quantixkvm_")
                    && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|end| name.strip_suffix(end))
                .find(|stem| typed.get(*stem).is_some_and(|kind| kind == "histogram"))
                .unwrap_or(name);
            assert!(helped.contains(family) && typed.contains_key(family), "{name} has no HELP or TYPE");
            assert_eq!(typed[family] == "counter", family.ends_with("_total"), "{family} is a {}", typed[family]);
        }
    }
    for wanted in [
        "quantixkvm_rpcs_total{code=\"ok\",method=\"Quantixkvm.compute.v1.VMService/ListVMs\"}",
        "quantixkvm_rpcs_total{code=\"invalid_argument\",method=\"Quantixkvm.compute.v1.VMService/GetVM\"}",
        "quantixkvm_libvirt_connected",
        "quantixkvm_node_memory_bytes",
    ] {
        assert!(samples.contains(wanted), "{wanted} is missing in\n{text}");
    }
    let states = samples.iter().filter(|series| series.starts_with("quantixkvm_vm_state{")).count();
    assert_eq!(states, 4);
    // Its own word, where it is installed.
    let promtool = std::env::var_os("QKVM_PROMTOOL").unwrap_or_else(|| "promtool".into());
    if let Ok(mut promtool) =
        Command::new(promtool).args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
    {
        promtool.stdin.take().expect("its input").write_all(text.as_bytes()).expect("it reads");
        let told = promtool.wait_with_output().expect("it ends");
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stdout));
        println!("promtool has checked {} series", samples.len());
    } else {
        println!("promtool is not installed; {} series of {} families were checked here", samples.len(), typed.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_own_names_and_pages_pass_the_gate() {
    let server = Server::demo().await;
    let port = server.url.rsplit(':').next().expect("a port").to_owned();
    let ours = format!("127.0.0.1:{port}");
    for (headers, status) in [
        (vec![("Host", ours.clone())], 200),
        (vec![("Host", format!("localhost:{port}"))], 200),
        (vec![("Host", "hypervisor-01".to_owned())], 200),
        (vec![("Host", "evil.example".to_owned())], 421),
        (vec![("Host", "localhost:1".to_owned())], 421),
        (vec![("Host", format!("localhost.evil.example:{port}"))], 421),
        (vec![("Origin", format!("http://{ours}"))], 200),
        (vec![("Origin", "http://evil.example".to_owned())], 403),
        (vec![("Origin", "null".to_owned())], 403),
        (vec![("Host", format!("localhost:{port}")), ("Origin", format!("http://{ours}"))], 403),
        (vec![("Sec-Fetch-Site", "cross-site".to_owned())], 403),
        (vec![("Sec-Fetch-Site", "same-origin".to_owned())], 200),
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = server.call_with("ListVMs", json!({}), &headers).await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.body);
        if status != 200 {
            assert_eq!(answer.code(), "permission_denied", "{headers:?}");
        }
    }
    for path in ["/", "/metrics", "/healthz", "/readyz"] {
        let answer = server.http.get(format!("{}{path}", server.url)).header("Host", "evil.example").send().await;
        assert_eq!(answer.expect("an answer").status(), 421, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_too_large_is_refused_in_connects_shape() {
    let server = Server::demo().await;
    for path in ["Quantixkvm.compute.v1.VMService/ExplodeVM", "Quantixkvm.compute.v9.VMService/ListVMs", "nowhere/x"] {
        let answer = server.call(path, json!({})).await;
        assert_eq!((answer.status, answer.code()), (404, "unimplemented"), "{path}: {}", answer.body);
        assert_ne!(answer.message(), "", "{path}");
    }
    let post = |body: Vec<u8>, kind: &'static str| {
        let request = server
            .http
            .post(format!("{}/{LIST}", server.url))
            .header("Content-Type", kind)
            .header("X-Request-Id", "mine-42");
        async move {
            let answer = request.body(body).send().await.expect("an answer");
            let id = answer.headers()["x-request-id"].to_str().expect("an id").to_owned();
            let status = answer.status().as_u16();
            let body: Value = serde_json::from_str(&answer.text().await.expect("a text")).unwrap_or_default();
            (status, id, body)
        }
    };
    assert_eq!(post(b"{}".to_vec(), "application/json").await.1, "mine-42");
    let (status, id, body) = post(b"{".to_vec(), "application/json").await;
    assert_eq!((status, id.as_str(), &body["code"]), (400, "mine-42", &json!("invalid_argument")), "{body}");
    let (status, _, body) = post(b"{}".to_vec(), "text/plain").await;
    assert_eq!((status, &body["code"]), (415, &json!("invalid_argument")), "{body}");
    let told = tokio::task::block_in_place(|| one_byte_too_many(&server.url));
    assert!(told.contains("\"resource_exhausted\""), "{told}");
    // An id that is none of ours to repeat gets one of our own.
    let answer = server.http.get(format!("{}/healthz", server.url)).header("X-Request-Id", "a b").send().await;
    let own = answer.expect("an answer").headers()["x-request-id"].to_str().expect("an id").to_owned();
    assert_eq!(own.len(), 36, "{own}");
    assert_eq!(server.ok("ListVMs", json!({})).await["totalCount"], 4);
}

/// The answer to a body of the limit and one byte more: nothing of it is left unread, which would
/// end the connection before the answer is read.
fn one_byte_too_many(url: &str) -> String {
    use std::io::Read as _;
    let host = url.trim_start_matches("http://");
    let mut socket = std::net::TcpStream::connect(host).expect("a connection");
    socket.set_read_timeout(Some(crate::support::SOON)).expect("a deadline");
    let body = vec![b' '; (4 << 20) + 1];
    let head = format!(
        "POST /{LIST} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).expect("it is sent");
    socket.write_all(&body).expect("it is sent");
    let mut told = String::new();
    socket.read_to_string(&mut told).expect("an answer");
    told
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Output, String) {
    let mut command = Command::new(BINARY);
    command.args(arguments).env_remove("RUST_LOG");
    for (name, value) in environment {
        command.env(name, value);
    }
    let output = command.output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, told)
}

#[test]
fn what_cannot_be_served_is_refused_by_name_before_anything_is_done() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join("data").display().to_string();
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let unknown = file("unknown.toml", "data_dri = \"/tmp\"\n");
    let wrong = file("wrong.toml", "accelerator = \"warp\"\n");
    let missing = home.path().join("missing.toml").display().to_string();
    let open = home.path().join("open");
    std::fs::create_dir(&open).expect("a directory");
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    let open = open.display().to_string();
    let base = ["serve", "--allow-root", "--listen", "127.0.0.1:0"];
    for (arguments, environment, words) in [
        (vec!["--config", unknown.as_str()], vec![], vec!["unknown.toml", "data_dri", "data_dir"]),
        (vec!["--config", wrong.as_str()], vec![], vec!["wrong.toml", "accelerator", "warp"]),
        (vec!["--config", missing.as_str()], vec![], vec!["missing.toml"]),
        (vec!["--demo"], vec![("QUANTIXKVM_DATA_DRI", "/tmp")], vec!["QUANTIXKVM_DATA_DRI", "QUANTIXKVM_DATA_DIR"]),
        (vec!["--demo"], vec![("QUANTIXKVM_DEMO", "maybe")], vec!["QUANTIXKVM_DEMO", "maybe"]),
        (vec!["--accelerator", "warp"], vec![], vec!["--accelerator", "warp"]),
        (vec!["--data-dir", "relative"], vec![], vec!["--data-dir", "relative"]),
        (vec!["--listen", "0.0.0.0:0", "--demo"], vec![], vec!["0.0.0.0:0", "demonstration"]),
        (vec!["--data-dir", open.as_str()], vec![], vec![open.as_str(), "0700"]),
    ] {
        let all: Vec<&str> = base.into_iter().chain(arguments.iter().copied()).collect();
        let (output, told) = run(&all, &environment);
        assert_eq!(output.status.code(), Some(78), "{arguments:?} {environment:?}: {told}");
        for word in words {
            assert!(told.contains(word), "{arguments:?}: {word} is not in {told}");
        }
    }
    if rustix::process::geteuid().is_root() {
        let (output, told) = run(&["serve", "--demo", "--listen", "127.0.0.1:0"], &[]);
        assert_eq!(output.status.code(), Some(78), "{told}");
        assert!(told.contains("--allow-root"), "{told}");
    }
    let (output, told) = run(&["serve", "--data-dri", &data], &[]);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("--data-dri") && told.contains("--data-dir"), "{told}");
    assert!(!std::path::Path::new(&data).exists(), "a refused start left something");
    // A port that is taken says who may hold it.
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = held.local_addr().expect("its address").to_string();
    let (output, told) = run(&["serve", "--allow-root", "--demo", "--listen", &address], &[]);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&address) && told.contains("ss -ltnp"), "{told}");
}

#[test]
fn the_command_line_says_what_it_is() {
    let (output, _) = run(&["version", "--json"], &[]);
    let version: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let (output, _) = run(&["version"], &[]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("quantixkvm {}\n", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish"] {
        let (output, _) = run(&["completions", shell], &[]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("quantixkvm") && text.contains("data-dir"), "{shell}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_data_is_refused_at_once_and_the_first_ends_in_time() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join("data");
    let mut first = Server::start(Some(&data), &["--libvirt-uri", "test:///default"]).await;
    let begun = Instant::now();
    let place = data.display().to_string();
    let (output, told) = tokio::task::block_in_place(|| {
        run(
            &[
                "serve",
                "--allow-root",
                "--listen",
                "127.0.0.1:0",
                "--libvirt-uri",
                "test:///default",
                "--data-dir",
                &place,
            ],
            &[],
        )
    });
    let took = begun.elapsed();
    println!("R15: the second server was refused after {took:?}: {}", told.trim());
    assert!(!output.status.success(), "two servers on one data directory");
    assert!(told.contains(&first.pid().to_string()), "the first's pid {} is not in {told}", first.pid());
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    // Nor is the API socket taken from who has it, by a server on other data.
    let (other, socket) = (home.path().join("other").display().to_string(), first.socket().display().to_string());
    let (output, told) = tokio::task::block_in_place(|| {
        let base = ["serve", "--allow-root", "--listen", "127.0.0.1:0", "--libvirt-uri", "test:///default"];
        run(&[&base[..], &["--data-dir", &other, "--socket", &socket]].concat(), &[])
    });
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&socket) && told.contains("--socket"), "{told}");
    let by_socket = reqwest::Client::builder().unix_socket(first.socket()).build().expect("a client");
    let asked = by_socket.post("http://localhost/Quantixkvm.auth.v1.AuthService/WhoAmI").json(&json!({})).send().await;
    assert_eq!(asked.expect("the first still answers there").status(), 200);
    first.ok("ListVMs", json!({})).await;
    let took = tokio::task::block_in_place(|| first.terminate());
    println!("R24: SIGTERM took {took:?}");
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    first.again().await;
}
