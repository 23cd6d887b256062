//! Users, tokens, sessions, the set-up code, the audit log and the certificate, as an administrator
//! handles them on the host.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{BINARY, Server, USER};
use crate::{data_dir, run, stderr, stdout};

const TEST: &str = "test:///default";
/// A user that is neither root nor in any group of ours.
const NOBODY: u32 = 65534;

/// A host as it is after the installation.
fn fresh(home: &Path) -> Server {
    Server::launch(&[BINARY], Some(&home.join("data")), &["--libvirt-uri", TEST])
}

fn ask(server: &Server, arguments: &[&str]) -> Output {
    let socket = server.socket().display().to_string();
    run(&[arguments, &["--socket", &socket]].concat())
}

fn done(server: &Server, arguments: &[&str]) -> String {
    let output = ask(server, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}\n{}", stderr(&output), server.log());
    stdout(&output)
}

fn told(server: &Server, arguments: &[&str]) -> Value {
    let text = done(server, &[arguments, &["--json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

/// Refused, with nothing on standard output.
fn refused(server: &Server, arguments: &[&str], code: i32) -> String {
    let output = ask(server, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
    assert_eq!(stdout(&output), "", "{arguments:?}");
    stderr(&output)
}

fn typed(server: &Server, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(BINARY)
        .args(arguments)
        .args(["--socket", &server.socket().display().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    // It may be refused before it reads.
    let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

/// The columns of a table's row that begins with this cell.
fn row(text: &str, first: &str) -> Vec<String> {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(first));
    let line = line.unwrap_or_else(|| panic!("{first} is not in: {text}"));
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
}

fn header(text: &str) -> Vec<String> {
    let line = text.lines().next().unwrap_or_default();
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
}

async fn login(server: &Server, name: &str, password: &str) -> u16 {
    server.call("Login", json!({ "name": name, "password": password })).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_users_is_set_up_by_its_code() {
    let home = data_dir();
    let server = fresh(home.path());
    assert!(done(&server, &["user", "list"]).contains("no users yet"));
    let output = ask(&server, &["setup-code"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let code = stdout(&output);
    let code = code.strip_suffix('\n').expect("one line");
    assert!(code.len() == 19 && !code.contains(char::is_whitespace), "the code stands alone: {code:?}");
    let words = stderr(&output);
    for part in ["until 20", "https://localhost:8080", "cert show"] {
        assert!(words.contains(part), "\"{part}\" is not in: {words}");
    }
    assert!(!words.contains(code));
    let second = told(&server, &["setup-code"]);
    assert!(second["code"].is_string() && second["expiresAt"].is_string(), "{second}");

    // The one before is good no more.
    let set_up = |code: &str| json!({ "code": code, "name": "ann", "password": "correct horse" });
    assert_eq!(server.call("SetUp", set_up(code)).await.code(), "permission_denied");
    server.ok("SetUp", set_up(second["code"].as_str().expect("a code"))).await;
    assert_eq!(row(&done(&server, &["user", "list"]), "ann")[1], "admin");
    let words = refused(&server, &["setup-code"], 1);
    assert!(words.contains("has users already") && words.contains("user add"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_made_changed_and_deleted() {
    let server = Server::on(TEST).await;
    let made = typed(&server, &["user", "add", "ben", "--role", "operator", "--vms", "3"], "correct horse 1\nmore\n");
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    assert!(stdout(&made).contains("ben") && stdout(&made).contains("operator"), "{}", stdout(&made));
    assert_eq!(login(&server, "ben", "correct horse 1").await, 200);
    let text = done(&server, &["user", "list"]);
    assert_eq!(header(&text), ["NAME", "ROLE", "ENABLED", "QUOTA", "LAST SIGN-IN", "ID"]);
    let ben = row(&text, "ben");
    assert_eq!(ben[..4], ["ben", "operator", "yes", "3 VMs"]);
    assert!(ben[4].starts_with("20") && ben[4].ends_with('Z') && ben[5].len() == 36, "{ben:?}");
    let tester = row(&text, USER);
    assert_eq!((tester[1].as_str(), tester[3].as_str(), tester[4].as_str()), ("admin", "-", "-"));
    let list = told(&server, &["user", "list"]);
    let of_list = |name: &str| {
        let users = list["users"].as_array().expect("users");
        users.iter().find(|user| user["name"] == name).unwrap_or_else(|| panic!("{list}")).clone()
    };
    assert_eq!(of_list("ben"), server.ok("GetUser", json!({ "id": "ben" })).await, "the API's own answer");

    // Bounds that are not named stay.
    assert!(done(&server, &["user", "quota", "ben", "--memory-mib", "2048"]).contains("3 VMs, 2048 MiB"));
    assert!(done(&server, &["user", "quota", "ben", "--vms", "0", "--disk-gib", "9"]).contains("2048 MiB, 9 GiB disk"));
    assert_eq!(told(&server, &["user", "quota", "ben", "--vcpus", "4"])["quota"]["vcpus"], 4);
    assert!(refused(&server, &["user", "quota", "ben"], 2).contains("--vms"));

    let sent = typed(&server, &["user", "passwd", "ben"], "correct horse 2\n");
    assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    assert_eq!(login(&server, "ben", "correct horse 1").await, 401);
    assert_eq!(login(&server, "ben", "correct horse 2").await, 200);
    assert!(done(&server, &["user", "role", "ben", "viewer"]).contains("viewer"));
    assert!(done(&server, &["user", "disable", "ben"]).contains("ben"));
    assert_eq!(row(&done(&server, &["user", "list"]), "ben")[1..3], ["viewer", "no"]);
    assert_eq!(login(&server, "ben", "correct horse 2").await, 401);
    assert_eq!(told(&server, &["user", "enable", "ben"])["enabled"], true);
    assert_eq!(login(&server, "ben", "correct horse 2").await, 200);
    assert!(done(&server, &["user", "delete", "ben"]).contains("ben"));
    assert!(!done(&server, &["user", "list"]).contains("ben"));

    for (arguments, words) in [
        (&["user", "role", "ben", "admin"][..], "ben"),
        (&["user", "delete", "ben"], "ben"),
        (&["user", "disable", USER], "last enabled administrator"),
        (&["user", "role", USER, "viewer"], "last enabled administrator"),
        (&["user", "delete", USER], "last enabled administrator"),
    ] {
        let sentence = refused(&server, arguments, 1);
        assert!(sentence.contains(words), "{arguments:?}: {sentence}");
    }
    for (input, words) in [("short\n", "password"), ("", "standard input"), ("\n", "standard input")] {
        let output = typed(&server, &["user", "add", "eve"], input);
        assert_eq!(output.status.code(), Some(1), "{input:?}");
        assert!(stderr(&output).contains(words), "{input:?}: {}", stderr(&output));
    }
    let output = typed(&server, &["user", "add", "a b"], "correct horse\n");
    assert!(output.status.code() == Some(1) && stderr(&output).contains("name"), "{}", stderr(&output));
    let output = typed(&server, &["user", "add", USER], "correct horse\n");
    assert!(output.status.code() == Some(1) && stderr(&output).contains("exists already"), "{}", stderr(&output));
    // Nobody types a password for a user that is not there.
    let output = typed(&server, &["user", "passwd", "nobody-here"], "");
    assert!(output.status.code() == Some(1) && stderr(&output).contains("nobody-here"), "{}", stderr(&output));
    for wrong in [
        &["user"][..],
        &["user", "add"],
        &["user", "add", "x", "--role", "root"],
        &["user", "add", "x", "--vms", "-1"],
        &["user", "add", "x", "--password", "y"],
        &["user", "role", "x"],
        &["user", "rename", "x"],
    ] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

/// Read a terminal until these words are on it, or its other end is closed.
fn until(mut terminal: &std::fs::File, screen: &mut String, words: &str) {
    use std::io::Read as _;
    while !screen.contains(words) {
        let mut bytes = [0; 256];
        match terminal.read(&mut bytes) {
            Ok(got) if got > 0 => screen.push_str(&String::from_utf8_lossy(&bytes[..got])),
            Ok(_) | Err(_) => break,
        }
    }
}

/// What is typed at a terminal is asked for twice and never shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_typed_is_not_shown() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let server = Server::on(TEST).await;
    let add = |name: &str, lines: [&str; 2]| {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal");
        let path = ptsname(&master, Vec::new()).expect("its name").into_string().expect("a path");
        let slave = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("its other end");
        let mut child = Command::new(BINARY)
            .args(["user", "add", name, "--socket", &server.socket().display().to_string()])
            .stdin(slave.try_clone().expect("a handle"))
            .stdout(Stdio::piped())
            .stderr(slave)
            .spawn()
            .expect("the program can be started");
        let mut master = std::fs::File::from(master);
        let mut screen = String::new();
        until(&master, &mut screen, &format!("Password of {name}: "));
        master.write_all(format!("{}\n", lines[0]).as_bytes()).expect("it is typed");
        until(&master, &mut screen, "The same again: ");
        master.write_all(format!("{}\n", lines[1]).as_bytes()).expect("it is typed");
        let status = child.wait().expect("it ends");
        until(&master, &mut screen, "no such words: to the end");
        (status.code(), screen)
    };
    let (code, screen) = add("ann", ["correct horse 7", "correct horse 7"]);
    assert!(code == Some(0) && !screen.contains("horse"), "{code:?}: {screen}");
    assert_eq!(login(&server, "ann", "correct horse 7").await, 200);
    let (code, screen) = add("ben", ["correct horse 7", "correct horse 8"]);
    assert!(code == Some(1) && screen.contains("differ") && !screen.contains("horse"), "{code:?}: {screen}");
    assert!(!done(&server, &["user", "list"]).contains("ben"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_printed_alone_once_and_revoked() {
    let server = Server::on(TEST).await;
    let output = ask(&server, &["token", "add", USER, "backups", "--role", "viewer", "--days", "30"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    // As a shell takes it: TOKEN=$(...).
    let secret = stdout(&output);
    let secret = secret.strip_suffix('\n').expect("one line").to_owned();
    assert!(secret.starts_with("qkvm_") && !secret.contains(char::is_whitespace), "{secret:?}");
    let words = stderr(&output);
    assert!(words.contains("viewer") && words.contains("until 20") && !words.contains(&secret), "{words}");
    let id = secret.split('_').nth(1).expect("an id").to_owned();
    let call = async |method: &str| {
        let url = format!("{}/Quantixkvm.compute.v1.VMService/{method}", server.url);
        let sent = reqwest::Client::new().post(url).bearer_auth(&secret).json(&json!({ "id": "x" })).send().await;
        sent.expect("an answer").status().as_u16()
    };
    assert_eq!((call("ListVMs").await, call("StartVM").await), (200, 403));

    let text = done(&server, &["token", "list"]);
    assert_eq!(header(&text), ["ID", "NAME", "OWNER", "ROLE", "EXPIRES", "LAST USED"]);
    assert_eq!(row(&text, &id)[1..4], ["backups", USER, "viewer"]);
    assert!(!text.contains(&secret));
    let list = told(&server, &["token", "list"]);
    assert_eq!(list["tokens"][0]["id"], json!(id), "newest first: {list}");
    let made = told(&server, &["token", "add", USER, "second"]);
    assert!(made["secret"].is_string() && made["token"]["name"] == "second", "{made}");

    assert!(done(&server, &["token", "revoke", &id]).contains(&id));
    assert_eq!(call("ListVMs").await, 401);
    assert!(refused(&server, &["token", "revoke", &id], 1).contains(&id));
    assert!(refused(&server, &["token", "add", "nobody-here", "x"], 1).contains("nobody-here"));
    assert!(refused(&server, &["token", "add", USER, ""], 1).contains("name"));
    for wrong in [&["token", "add", USER][..], &["token", "add", USER, "x", "--days", "366"], &["token", "revoke"]] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended() {
    let server = Server::on(TEST).await;
    assert!(done(&server, &["session", "list"]).contains("Nobody is signed in"));
    // A client may call itself anything, also what a terminal would obey.
    let agent = [("User-Agent", "evil\u{202e}agent"), ("X-Request-Id", "r-1")];
    let login = json!({ "name": USER, "password": "correct horse" });
    let signed = server.call_with("Login", login, &agent).await.body;
    let id = signed["session"]["id"].as_str().unwrap_or_else(|| panic!("{signed}")).to_owned();
    let text = done(&server, &["session", "list"]);
    assert_eq!(header(&text), ["ID", "USER", "FROM", "BEGAN", "LAST USED", "ENDS", "CLIENT"]);
    assert_eq!(row(&text, &id)[1..3], [USER, "127.0.0.1"]);
    assert!(!text.contains('\u{202e}'), "{text}");
    assert_eq!(told(&server, &["session", "list"])["sessions"][0]["id"], json!(id));
    let access = signed["accessToken"].as_str().expect("a token").to_owned();
    let who = async || {
        let url = format!("{}/Quantixkvm.auth.v1.AuthService/WhoAmI", server.url);
        let sent = reqwest::Client::new().post(url).bearer_auth(&access).json(&json!({})).send().await;
        sent.expect("an answer").status().as_u16()
    };
    assert_eq!(who().await, 200);
    assert!(done(&server, &["session", "revoke", &id]).contains(&id));
    assert_eq!(who().await, 401);
    assert!(refused(&server, &["session", "revoke", &id], 1).contains(&id));
    assert!(refused(&server, &["session", "revoke", "x"], 1).contains('x'));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_shown_and_exported() {
    let server = Server::on(TEST).await;
    done(&server, &["token", "add", USER, "one"]);
    done(&server, &["token", "add", USER, "two"]);
    refused(&server, &["user", "delete", "nobody-here"], 1);
    let lines = |arguments: &[&str]| -> Vec<Value> {
        let text = done(&server, &[&["audit", "--json"], arguments].concat());
        text.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
    };
    // A line is in the store within a second.
    let all = server
        .until("the last line", Duration::from_secs(10), async || {
            let all = lines(&[]);
            all.last().is_some_and(|line| line["code"] == "not_found").then_some(all)
        })
        .await;
    let sequence =
        |line: &Value| line["sequence"].as_str().and_then(|text| text.parse::<u64>().ok()).expect("a number");
    assert!(all.is_sorted_by_key(sequence) && all.len() >= 5, "oldest first: {all:?}");
    let last = all.last().expect("a line");
    assert_eq!(
        (&last["method"], &last["via"]),
        (&json!("Quantixkvm.auth.v1.AuthService/DeleteUser"), &json!("socket"))
    );

    let text = done(&server, &["audit"]);
    assert_eq!(header(&text), ["TIME", "WHO", "VIA", "FROM", "METHOD", "ABOUT", "RESULT"]);
    let line = text.lines().last().expect("a line");
    for part in ["AuthService/DeleteUser", "nobody-here", "not_found: "] {
        assert!(line.contains(part), "\"{part}\" is not in: {line}");
    }
    assert_eq!(lines(&["--limit", "2"]), all[all.len() - 2..], "the newest");
    assert!(
        lines(&["--method", "CreateToken"])
            .iter()
            .all(|line| line["method"].as_str().is_some_and(|method| method.contains("CreateToken")))
    );
    assert_eq!(lines(&["--method", "CreateToken"]).len(), 3);
    let who = last["user"].as_str().expect("somebody");
    assert!(lines(&["--user", who, "--since", "1h"]).len() >= 3);
    assert_eq!(lines(&["--user", "nobody-here"]), [] as [Value; 0]);
    assert_eq!(lines(&["--since", "2999-01-01"]), [] as [Value; 0]);
    assert!(done(&server, &["audit", "--since", "2999-01-01"]).contains("nothing of that"));
    for wrong in [&["audit", "--since", "yesterday"][..], &["audit", "--limit", "0"], &["audit", "--follow"]] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert!(stderr(&run(&["audit", "--since", "yesterday"])).contains("2h"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_or_without_the_right_it_is_said_what_to_do() {
    for arguments in [
        &["user", "list"][..],
        &["user", "add", "x"],
        &["token", "list"],
        &["session", "list"],
        &["setup-code"],
        &["audit"],
    ] {
        let output = run(&[arguments, &["--socket", "/nonexistent/api.sock"]].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let words = stderr(&output);
        for part in ["/nonexistent/api.sock", "systemctl status quantixkvm", "systemctl start quantixkvm", "--socket"] {
            assert!(words.contains(part), "{arguments:?}: \"{part}\" is not in: {words}");
        }
        assert_eq!(run(&[arguments, &["--socket", "relative"]].concat()).status.code(), Some(78));
        assert_eq!(run(&[arguments, &["--config", "/nonexistent.toml"]].concat()).status.code(), Some(78));
    }
    // A socket that nobody listens at any more.
    let home = data_dir();
    let left = home.path().join("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left).expect("a socket"));
    let output = run(&["user", "list", "--socket", &left.display().to_string()]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("no server listens"), "{}", stderr(&output));
    // And one where something else does.
    let strange = home.path().join("strange.sock");
    let listener = std::os::unix::net::UnixListener::bind(&strange).expect("a socket");
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        // An answer before the question would be no answer.
        let _ = std::io::Read::read(&mut stream, &mut [0; 4096]).expect("the request");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno").expect("an answer");
    });
    let output = run(&["user", "list", "--socket", &strange.display().to_string()]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("no quantixkvm"), "{}", stderr(&output));
    answering.join().expect("it answered");

    // Another user, where we may become one; else a socket that is closed to us, too.
    let server = Server::on(TEST).await;
    // Of its own: the other user may not be let into where this tree lies.
    let copy = tempfile::tempdir().expect("a directory");
    let path = copy.path().join("quantixkvm");
    std::fs::copy(BINARY, &path).expect("a copy");
    let mut program = Command::new(&path);
    program.args(["user", "list", "--socket", &server.socket().display().to_string()]);
    if rustix::process::geteuid().is_root() {
        // The way to the socket is open; the socket is not.
        let open = std::fs::Permissions::from_mode(0o711);
        let above = server.data_dir.parent().expect("its home");
        for directory in [above, &server.data_dir, copy.path()] {
            std::fs::set_permissions(directory, open.clone()).expect("a mode");
        }
        program.uid(NOBODY).gid(NOBODY);
    } else {
        std::fs::set_permissions(server.socket(), std::fs::Permissions::from_mode(0o000)).expect("a mode");
    }
    let output = program.output().expect("the program can be started");
    let words = stderr(&output);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""), "{words}");
    assert!(words.contains("not in the group quantixkvm-admin") && words.contains("use sudo"), "{words}");
}

#[test]
fn the_certificate_is_shown_and_made_anew() {
    let home = data_dir();
    let data = home.path().display().to_string();
    let cert = |arguments: &[&str]| run(&[&["cert"], arguments, &["--data-dir", &data]].concat());
    let none = cert(&["show"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(stderr(&none).contains("cert renew"), "{}", stderr(&none));
    let begun = Instant::now();
    let made = cert(&["renew"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    assert!(stderr(&made).contains("takes it up") && begun.elapsed() < Duration::from_secs(10));
    let text = stdout(&cert(&["show"]));
    assert_eq!(text, stdout(&made));
    for words in
        ["Certificate ", "Subject ", "Names ", "localhost", "Issued by   itself", "Good from ", "in 82", "SHA-256 "]
    {
        assert!(text.contains(words), "\"{words}\" is not in: {text}");
    }
    let first: Value = serde_json::from_slice(&cert(&["show", "--json"]).stdout).expect("JSON");
    assert_eq!((first["self_signed"].clone(), first["sha256"].as_str().map(str::len)), (json!(true), Some(95)));
    assert!(text.contains(first["sha256"].as_str().expect("a fingerprint")));
    let second: Value = serde_json::from_slice(&cert(&["renew", "--json"]).stdout).expect("JSON");
    assert_ne!(first["sha256"], second["sha256"]);

    // Whose the directory is, theirs is what is in it.
    if rustix::process::geteuid().is_root() {
        use std::os::unix::fs::MetadataExt as _;
        std::os::unix::fs::chown(home.path(), Some(NOBODY), Some(NOBODY)).expect("an owner");
        assert_eq!(cert(&["renew"]).status.code(), Some(0));
        for name in ["tls-certificate.pem", "tls-key.pem"] {
            let meta = std::fs::metadata(home.path().join(name)).expect("it is there");
            assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o777), (NOBODY, NOBODY, 0o600), "{name}");
        }
    }

    // The administrator's own is shown and left alone.
    let given = home.path().join("given.pem");
    std::fs::copy(home.path().join("tls-certificate.pem"), &given).expect("a certificate");
    let config = home.path().join("config.toml");
    let text = format!("tls_certificate = {given:?}\ntls_key = \"/nonexistent/key.pem\"\n");
    std::fs::write(&config, text).expect("a configuration");
    let before = std::fs::read(&given).expect("a file");
    let with = |command: &str| run(&["cert", command, "--config", &config.display().to_string(), "--data-dir", &data]);
    assert!(stdout(&with("show")).contains("given.pem"));
    let refused = with("renew");
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(1), ""));
    for words in ["given.pem", "tls_certificate", "restart"] {
        assert!(stderr(&refused).contains(words), "\"{words}\" is not in: {}", stderr(&refused));
    }
    assert_eq!(std::fs::read(&given).expect("a file"), before);
    std::fs::write(&given, "no certificate").expect("a file");
    let broken = with("show");
    assert!(broken.status.code() == Some(1) && stderr(&broken).contains("given.pem"), "{}", stderr(&broken));
    let away = run(&["cert", "renew", "--data-dir", "/nonexistent/data"]);
    assert!(away.status.code() == Some(1) && stderr(&away).contains("/nonexistent/data"), "{}", stderr(&away));
    assert_eq!(run(&["cert"]).status.code(), Some(2));
    assert_eq!(run(&["cert", "show", "--data-dir", "relative"]).status.code(), Some(78));
}
