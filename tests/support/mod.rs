//! What every whole-program test stands on: a server of its own, on ports and directories of its
//! own, ended and cleaned up whatever happens; calls as curl makes them; waiting for a level with
//! a deadline. A failure shows what was expected and the server's log.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod console;
pub mod testbed;
pub mod ws;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long anything may take that ought to be quick.
pub const SOON: Duration = Duration::from_secs(30);

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_quantixkvm");

/// A running server.
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:…`
    pub url: String,
    pub data_dir: PathBuf,
    socket: PathBuf,
    log: Arc<Mutex<String>>,
    /// Signs every request with the token.
    pub http: reqwest::Client,
    /// An administrator's API token; a demonstration needs none.
    pub token: Option<String>,
    arguments: Vec<String>,
    _home: Option<tempfile::TempDir>,
}

/// An answer: its HTTP status and JSON.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

impl Server {
    /// The demo: test driver, store in memory.
    pub async fn demo() -> Self {
        Self::start(None, &["--demo"]).await
    }

    /// On a libvirt URI, with a data directory of its own.
    pub async fn on(uri: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let data = home.path().join("data");
        let mut server = Self::start(Some(&data), &["--libvirt-uri", uri, "--accelerator", "tcg"]).await;
        server._home = Some(home);
        server
    }

    /// With these flags, and `data` as its data directory.
    pub async fn start(data: Option<&Path>, flags: &[&str]) -> Self {
        Self::start_by(&[BINARY], data, flags).await
    }

    /// As [`start`](Self::start), by a command that becomes the program: its arguments follow.
    pub async fn start_by(command: &[&str], data: Option<&Path>, flags: &[&str]) -> Self {
        let mut server = Self::launch(command, data, flags);
        if data.is_some() {
            server.sign_in().await;
        }
        server.ready().await;
        server
    }

    /// Just started: nobody has signed in.
    pub fn launch(command: &[&str], data: Option<&Path>, flags: &[&str]) -> Self {
        let mut arguments: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        arguments.extend(
            ["serve", "--allow-root", "--listen", "127.0.0.1:0", "--log-level", "info,quantixkvm=debug"]
                .map(str::to_owned),
        );
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let data_dir = data.map(Path::to_path_buf).unwrap_or_default();
        let mut socket = data_dir.join("api.sock");
        if data.is_some() {
            arguments.extend(["--data-dir".to_owned(), data_dir.display().to_string()]);
            match flags.iter().position(|flag| *flag == "--socket") {
                Some(at) => socket = PathBuf::from(flags[at + 1]),
                None => arguments.extend(["--socket".to_owned(), socket.display().to_string()]),
            }
        }
        let (child, url, log) = spawn(&arguments);
        Self { child, url, data_dir, socket, log, http: client(None), token: None, arguments, _home: None }
    }

    /// The API socket.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// An administrator and a token, by the API socket.
    pub async fn sign_in(&mut self) {
        let by_socket = reqwest::Client::builder().unix_socket(self.socket()).build().expect("a client");
        let ask = async |method: &str, body: Value| -> Value {
            let url = format!("http://localhost/Quantixkvm.auth.v1.AuthService/{method}");
            let asked = by_socket.post(url).json(&body).send().await.expect("the API socket answers");
            asked.json().await.expect("JSON")
        };
        // On data of an earlier server the user is there.
        ask("CreateUser", json!({ "name": USER, "password": "correct horse", "role": "ADMIN" })).await;
        let made = ask("CreateToken", json!({ "name": "tests", "userId": USER })).await;
        let token = made["secret"].as_str().unwrap_or_else(|| panic!("no token: {made}\n{}", self.log()));
        self.http = client(Some(token));
        self.token = Some(token.to_owned());
    }

    /// A user of this name and role, and an API token of theirs.
    pub async fn token_of(&self, name: &str, role: &str) -> String {
        self.ok("CreateUser", json!({ "name": name, "password": "correct horse", "role": role })).await;
        let made = self.ok("CreateToken", json!({ "name": "tests", "userId": name })).await;
        made["secret"].as_str().expect("a secret").to_owned()
    }

    /// One call as somebody else, or, without a token, as nobody.
    pub async fn call_as(&self, token: Option<&str>, method: &str, body: Value) -> Answer {
        let path = if method.contains('/') { method.to_owned() } else { format!("{}/{method}", service_of(method)) };
        let asked = client(token).post(format!("{}/{path}", self.url)).json(&body).send().await.expect("an answer");
        let status = asked.status().as_u16();
        let text = asked.text().await.expect("a whole answer");
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// A client with connections of its own, signed as [`Self::http`] is.
    pub fn client(&self) -> reqwest::Client {
        client(self.token.as_deref())
    }

    /// Until verbs are served.
    pub async fn ready(&self) {
        self.until("the server to be ready", SOON, async || {
            let answer = self.http.get(format!("{}/readyz", self.url)).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// One call, as curl makes it.
    pub async fn call(&self, method: &str, body: Value) -> Answer {
        self.call_with(method, body, &[]).await
    }

    /// With headers.
    pub async fn call_with(&self, method: &str, body: Value, headers: &[(&str, &str)]) -> Answer {
        self.try_call(method, &body, headers)
            .await
            .unwrap_or_else(|error| panic!("{method} {body}: {error}\n{}", self.log()))
    }

    /// Where the server may be gone.
    pub async fn try_call(
        &self,
        method: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let path = if method.contains('/') { method.to_owned() } else { format!("{}/{method}", service_of(method)) };
        let mut request = self
            .http
            .post(format!("{}/{path}", self.url))
            .header("Content-Type", "application/json")
            .body(body.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, body })
    }

    /// A call that must succeed.
    pub async fn ok(&self, method: &str, body: Value) -> Value {
        let answer = self.call(method, body.clone()).await;
        assert_eq!(answer.status, 200, "{method} {body}: {}\n{}", answer.body, self.log());
        answer.body
    }

    /// A call that must fail with this code; answers with the message.
    pub async fn refused(&self, method: &str, body: Value, code: &str) -> String {
        let answer = self.call(method, body.clone()).await;
        assert_eq!(answer.code(), code, "{method} {body}: {}\n{}", answer.body, self.log());
        answer.message().to_owned()
    }

    pub async fn vm(&self, id: &str) -> Value {
        self.ok("GetVM", json!({ "id": id })).await
    }

    /// The VM's state; what is left out of an answer is UNKNOWN.
    pub async fn state(&self, id: &str) -> String {
        state_of(&self.vm(id).await)
    }

    /// Until the VM is in this state.
    pub async fn until_state(&self, id: &str, wanted: &str, within: Duration) {
        self.until(&format!("VM {id} to be {wanted}"), within, async || (self.state(id).await == wanted).then_some(()))
            .await;
    }

    /// Until `look` finds something; a level, never an edge.
    pub async fn until<T>(&self, what: &str, within: Duration, look: impl AsyncFn() -> Option<T>) -> T {
        let deadline = Instant::now() + within;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "waited {within:?} for {what}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server ended");
    }

    /// SIGTERM, and how long it took to end.
    pub fn terminate(&mut self) -> Duration {
        let begun = Instant::now();
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the server can be signalled");
        let status = self.child.wait().expect("the server ended");
        assert!(status.success(), "SIGTERM ended it with {status}\n{}", self.log());
        begun.elapsed()
    }

    /// How it ended by itself, within this time.
    pub fn ended(&mut self, within: Duration) -> std::process::ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "it has not ended within {within:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The same server again, on the same data.
    pub async fn again(&mut self) {
        self.relaunch();
        self.ready().await;
    }

    /// As [`again`](Self::again), after a restore, which ends every token.
    pub async fn again_anew(&mut self) {
        self.relaunch();
        self.sign_in().await;
        self.ready().await;
    }

    /// As [`again`](Self::again), without waiting.
    pub fn relaunch(&mut self) {
        let (child, url, log) = spawn(&self.arguments);
        self.child = child;
        self.url = url;
        let earlier = self.log();
        self.log = log;
        let mut now = self.log.lock().expect("the log");
        *now = format!("{earlier}---- again ----\n{now}");
    }
}

/// The user whose token the tests show.
pub const USER: &str = "tester";

fn client(token: Option<&str>) -> reqwest::Client {
    let signed = token.map(|token| {
        let mut value: http::HeaderValue = format!("Bearer {token}").parse().expect("a header's value");
        value.set_sensitive(true);
        (http::header::AUTHORIZATION, value)
    });
    let builder = reqwest::Client::builder().timeout(Duration::from_secs(120)).tcp_nodelay(true);
    builder.default_headers(signed.into_iter().collect()).build().expect("a client")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- the server's log ----\n{}", self.log());
        }
    }
}

fn spawn(arguments: &[String]) -> (Child, String, Arc<Mutex<String>>) {
    let (program, arguments) = arguments.split_first().expect("a program");
    let mut child = Command::new(program)
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let log = Arc::new(Mutex::new(String::new()));
    let written = Arc::clone(&log);
    let stderr = child.stderr.take().expect("its standard error");
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut log = written.lock().expect("the log");
            log.push_str(&line);
            log.push('\n');
        }
    });
    let mut stdout = BufReader::new(child.stdout.take().expect("its standard output"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("its first line");
    let url = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
    if !url.starts_with("http") {
        let status = child.wait();
        std::thread::sleep(Duration::from_millis(100));
        panic!("the server did not start ({status:?}): {line}\n{}", log.lock().expect("the log"));
    }
    // Whatever else it prints is read, so that it never blocks.
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = stdout.read_to_end(&mut rest);
    });
    (child, url, log)
}

const AUTH: &str = "Quantixkvm.auth.v1.AuthService";

/// The service that a method belongs to.
pub fn service_of(method: &str) -> &'static str {
    match method {
        "GetSignIn" | "SetUp" | "Login" | "Logout" | "WhoAmI" | "RefreshToken" | "ChangePassword"
        | "CreateSetUpCode" | "CreateToken" | "RevokeToken" => AUTH,
        _ if ["User", "Users", "Tokens", "Session", "Sessions", "AuditEntries"]
            .iter()
            .any(|of| method.ends_with(of)) =>
        {
            AUTH
        }
        "ListEvents" | "WatchEvents" => "Quantixkvm.compute.v1.EventService",
        _ if method.ends_with("MetricHistory") => "Quantixkvm.compute.v1.MetricService",
        "UpdateHeartbeat" | "UpdateLabels" => "Quantixkvm.compute.v1.NodeService",
        _ if method.contains("Node") => "Quantixkvm.compute.v1.NodeService",
        "BackupState" | "ListBackups" => "Quantixkvm.state.v1.StateService",
        _ if method.contains("Operation") => "Quantixkvm.operation.v1.OperationService",
        _ => "Quantixkvm.compute.v1.VMService",
    }
}

/// The state in a VM's JSON.
pub fn state_of(vm: &Value) -> String {
    vm["status"]["state"].as_str().unwrap_or("UNKNOWN").to_owned()
}

/// The shortest specification.
pub fn small_spec() -> Value {
    json!({ "cpu": { "cores": 1 }, "memory": { "sizeMib": 256 } })
}
