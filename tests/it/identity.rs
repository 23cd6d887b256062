//! Who gets in and what they may: every method for every kind of caller, sessions from their
//! beginning to their end, the first run, and the audit log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use crate::stream::{Frames, Next};
use crate::support::{BINARY, SOON, Server, USER};

const TEST: [&str; 2] = ["--libvirt-uri", "test:///default"];
const PASSWORD: &str = "correct horse";
/// How soon what has ended is felt everywhere.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A sign-in's answer, and the cookie that it set.
async fn login(server: &Server, name: &str, password: &str) -> (reqwest::StatusCode, Value, Option<String>) {
    let answer = reqwest::Client::new()
        .post(format!("{}/Quantixkvm.auth.v1.AuthService/Login", server.url))
        .header("Origin", &server.url)
        .header("Sec-Fetch-Site", "same-origin")
        .json(&json!({ "name": name, "password": password }))
        .send()
        .await
        .expect("an answer");
    let status = answer.status();
    let cookie = answer.headers().get("set-cookie").map(|value| value.to_str().expect("text").to_owned());
    (status, answer.json().await.expect("JSON"), cookie)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A call that shows a cookie, as a page makes it.
async fn by_cookie(server: &Server, cookie: &str, method: &str) -> u16 {
    let answer = reqwest::Client::new()
        .post(format!("{}/Quantixkvm.auth.v1.AuthService/{method}", server.url))
        .header("Origin", &server.url)
        .header("Cookie", format!("theme=dark; {}", cookie.split(';').next().unwrap_or_default()))
        .json(&json!({}))
        .send()
        .await
        .expect("an answer");
    answer.status().as_u16()
}

/// An access token as this host would sign it for this user and session, other than in what
/// `change` makes of it.
fn signed(server: &Server, token: &str, change: impl FnOnce(&mut Value)) -> String {
    let keys = std::fs::read(server.data_dir.join("access-token-keys.json")).expect("the keys");
    let keys: Value = serde_json::from_slice(&keys).expect("JSON");
    let parts: Vec<&str> = token.split('.').collect();
    let part = |at: usize| -> Value {
        let bytes = URL_SAFE_NO_PAD.decode(parts[at]).expect("base64");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    let (header, mut claims) = (part(0), part(1));
    let key = keys.as_array().expect("keys").iter().find(|key| key["id"] == header["kid"]).expect("the key");
    change(&mut claims);
    let head = URL_SAFE_NO_PAD.encode(header.to_string());
    let body = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let secret = key["secret"].as_str().expect("a secret");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(body.as_bytes());
    format!("{body}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// How a caller fares: `in`, `401`, `403`.
async fn fares(server: &Server, token: Option<&str>, path: &str) -> &'static str {
    let answer = server.call_as(token, path, json!({ "id": "nonsense" })).await;
    // A method of everybody's refuses by itself; what it says is its own.
    match (answer.status, answer.message()) {
        (401, "the name or the password is wrong") => "in",
        (403, message) if message.contains("code") => "in",
        (401, _) => "401",
        (403, _) => "403",
        // A stream is asked in another way, and a hypervisor of tests has no consoles.
        (501, _) => "in",
        (500.., _) => panic!("{path}: {} {}\n{}", answer.status, answer.body, server.log()),
        _ => "in",
    }
}

/// The matrix: every method of the contract × every kind of caller, cell by cell, as it answers.
#[tokio::test(flavor = "multi_thread")]
async fn every_method_asks_its_role_of_every_caller() {
    let server = Server::on("test:///default").await;
    let mut tokens = BTreeMap::new();
    for role in ["VIEWER", "OPERATOR", "ADMIN"] {
        tokens.insert(role, server.token_of(&format!("a-{}", role.to_lowercase()), role).await);
    }
    let revoked = server.ok("CreateToken", json!({ "name": "gone", "userId": USER })).await;
    server.ok("RevokeToken", json!({ "id": revoked["token"]["id"] })).await;
    let revoked = text(&revoked["secret"]);
    let (_, session, _) = login(&server, USER, PASSWORD).await;
    let access = text(&session["accessToken"]);
    let expired = signed(&server, &access, |claims| {
        claims["exp"] = json!(claims["iat"].as_u64().expect("seconds") - 1);
    });
    assert_eq!(fares(&server, Some(&signed(&server, &access, |_| ())), "GetVM").await, "in", "signed by hand");
    let callers = [
        ("anonymous", None),
        ("viewer", Some(tokens["VIEWER"].as_str())),
        ("operator", Some(tokens["OPERATOR"].as_str())),
        ("admin", Some(tokens["ADMIN"].as_str())),
        ("revoked", Some(revoked.as_str())),
        ("expired", Some(expired.as_str())),
    ];
    let mut matrix = String::from("# method: what each kind of caller is answered\n#");
    for (caller, _) in callers {
        matrix.push_str(&format!(" {caller}"));
    }
    matrix.push('\n');
    for (path, _) in quantixkvm_proto::METHODS {
        matrix.push_str(path);
        for (_, token) in callers {
            matrix.push_str(&format!(" {}", fares(&server, token, path).await));
        }
        matrix.push('\n');
    }
    for path in ["metrics", "readyz"] {
        matrix.push_str(path);
        for (_, token) in callers {
            let mut asked = reqwest::Client::new().get(format!("{}/{path}", server.url));
            if let Some(token) = token {
                asked = asked.bearer_auth(token);
            }
            let status = asked.send().await.expect("an answer").status().as_u16();
            matrix.push_str(&format!(" {}", if status == 200 { "in".to_owned() } else { status.to_string() }));
        }
        matrix.push('\n');
    }
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/access.txt");
    if std::env::var_os("QKVM_BLESS").is_some() {
        std::fs::write(golden, &matrix).expect("the golden file");
    }
    let reviewed = std::fs::read_to_string(golden).unwrap_or_default();
    assert!(reviewed == matrix, "who may what changed; review it, then run with QKVM_BLESS=1\n{matrix}");

    // What WhoAmI tells a page is what the methods answer.
    for (caller, token) in [("viewer", &tokens["VIEWER"]), ("operator", &tokens["OPERATOR"])] {
        let told = server.call_as(Some(token), "WhoAmI", json!({})).await.body;
        for method in told["methods"].as_array().expect("methods") {
            let path = method["method"].as_str().expect("a path");
            let row = matrix.lines().find(|line| line.starts_with(&format!("{path} "))).expect("a row");
            let at = callers.iter().position(|(name, _)| *name == caller).expect("a column") + 1;
            let answered = row.split(' ').nth(at).expect("a cell");
            let allowed = method["allowed"].as_bool().unwrap_or_default();
            assert_eq!(allowed, answered == "in", "{caller} {path}: {method} and {answered}");
        }
    }
    // What is there and what is not are denied in the same words.
    let known = server.ok("ListVMs", json!({})).await["vms"][0]["id"].clone();
    let denied = async |id: Value| server.call_as(Some(&tokens["VIEWER"]), "DeleteVM", json!({ "id": id })).await;
    let (there, not) = (denied(known).await, denied(json!("00000000-0000-4000-8000-00000000dead")).await);
    assert_eq!((there.status, there.message()), (403, not.message()));
    assert!(there.message().contains("operator") && there.message().contains("viewer"), "{}", there.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lives_from_its_sign_in_to_its_sign_out() {
    let server = Server::on("test:///default").await;
    server.token_of("ann", "OPERATOR").await;
    let (status, session, cookie) = login(&server, "ANN", PASSWORD).await;
    assert_eq!(status, 200, "{session}");
    let cookie = cookie.expect("a browser gets a cookie");
    for part in ["__Host-quantixkvm=", "Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.contains(part), "{part} is not in {cookie}");
    }
    let access = text(&session["accessToken"]);
    let who = server.call_as(Some(&access), "WhoAmI", json!({})).await.body;
    assert_eq!((&who["name"], &who["role"], &who["kind"]), (&json!("ann"), &json!("OPERATOR"), &json!("USER")));
    assert_eq!(who["sessionId"], session["session"]["id"]);
    assert_eq!(by_cookie(&server, &cookie, "WhoAmI").await, 200);
    assert_eq!(by_cookie(&server, &format!("{}x", cookie.split(';').next().unwrap_or_default()), "WhoAmI").await, 401);

    // A new access token beside the old; others' words are none.
    let renewed = server.call_as(Some(&access), "RefreshToken", json!({})).await;
    assert_eq!(renewed.status, 200, "{}", renewed.body);
    let renewed = text(&renewed.body["accessToken"]);
    for (what, forged) in [
        ("another issuer", signed(&server, &access, |claims| claims["iss"] = json!("other"))),
        ("another host", signed(&server, &access, |claims| claims["aud"] = json!("other"))),
        (
            "no session",
            signed(&server, &access, |claims| claims["sid"] = json!("00000000-0000-4000-8000-000000000001")),
        ),
        (
            "another's session",
            signed(&server, &access, |claims| claims["sub"] = json!("00000000-0000-4000-8000-000000000001")),
        ),
        ("not yet", signed(&server, &access, |claims| claims["nbf"] = json!(4_000_000_000_u64))),
        ("unsigned", {
            let mut parts: Vec<String> = access.split('.').map(str::to_owned).collect();
            parts[0] = URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "typ": "at+jwt" }).to_string());
            format!("{}.{}.", parts[0], parts[1])
        }),
        ("a changed claim", {
            let parts: Vec<&str> = access.split('.').collect();
            let forged = signed(&server, &access, |claims| claims["exp"] = json!(4_000_000_000_u64));
            format!("{}.{}.{}", parts[0], forged.split('.').nth(1).unwrap_or_default(), parts[2])
        }),
    ] {
        assert_eq!(server.call_as(Some(&forged), "WhoAmI", json!({})).await.status, 401, "{what}");
    }

    // It is listed, to its owner alone and to administrators.
    server.token_of("bob", "VIEWER").await;
    let (_, bobs, _) = login(&server, "bob", PASSWORD).await;
    let mine = server.call_as(Some(&access), "ListSessions", json!({})).await.body;
    let mine = mine["sessions"].as_array().expect("sessions").clone();
    assert_eq!((mine.len(), &mine[0]["current"], &mine[0]["address"]), (1, &json!(true), &json!("127.0.0.1")));
    let all = server.ok("ListSessions", json!({})).await;
    assert_eq!(all["sessions"].as_array().map(Vec::len), Some(2));
    let foreign = json!({ "id": bobs["session"]["id"] });
    assert_eq!(server.call_as(Some(&access), "RevokeSession", foreign).await.code(), "not_found");

    // What it has open ends with it.
    let body = json!({});
    let mut watch = stream_as(&server, &access, "WatchVMs", &body).await;
    while !matches!(watch.next().await, Next::Message(message) if message["type"] == "SYNCED") {}
    let mut live = live_as(&server, &access).await.expect("a live connection");
    let begun = Instant::now();
    assert_eq!(server.call_as(Some(&renewed), "Logout", json!({})).await.status, 200);
    let ended = loop {
        match watch.next_within(AT_ONCE).await {
            Next::Message(_) => {}
            Next::Ended(code, message) => break (code, message),
        }
    };
    assert_eq!(ended.0, "unauthenticated", "{}", ended.1);
    let close = tokio::time::timeout(AT_ONCE, async {
        loop {
            if let Some(Ok(tokio_tungstenite::tungstenite::Message::Close(frame))) = live.next().await {
                break frame.map(|frame| u16::from(frame.code));
            }
        }
    });
    assert_eq!(close.await.expect("the live connection ends"), Some(4005));
    println!("R16: a stream and a live connection ended {:?} after the sign-out", begun.elapsed());
    for token in [&access, &renewed] {
        assert_eq!(server.call_as(Some(token), "WhoAmI", json!({})).await.status, 401);
    }
    assert_eq!(by_cookie(&server, &cookie, "WhoAmI").await, 401);
}

async fn stream_as(server: &Server, token: &str, method: &str, body: &Value) -> Frames {
    Frames::open_as(server, Some(token), method, body).await
}

type LiveSocket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn live_as(server: &Server, token: &str) -> Result<LiveSocket, tokio_tungstenite::tungstenite::Error> {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
    let mut request = format!("{}/live", server.url.replacen("http", "ws", 1)).into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header's value"));
    tokio_tungstenite::connect_async(request).await.map(|(socket, _)| socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn less_is_less_at_once() {
    let server = Server::on("test:///default").await;
    let operator = server.token_of("ann", "OPERATOR").await;
    let (_, session, _) = login(&server, "ann", PASSWORD).await;
    let access = text(&session["accessToken"]);
    let create = json!({ "name": "x", "spec": crate::support::small_spec() });
    for (what, change, then) in [
        ("a lower role", json!({ "id": "ann", "role": "VIEWER" }), ("permission_denied", "ok")),
        ("disabled", json!({ "id": "ann", "enabled": false }), ("unauthenticated", "unauthenticated")),
    ] {
        let mut watch = stream_as(&server, &operator, "WatchVMs", &json!({})).await;
        while !matches!(watch.next().await, Next::Message(message) if message["type"] == "SYNCED") {}
        server.ok("UpdateUser", change).await;
        loop {
            match watch.next_within(AT_ONCE).await {
                Next::Message(_) => {}
                Next::Ended(code, _) => {
                    assert_eq!(code, "unauthenticated", "{what}");
                    break;
                }
            }
        }
        let made = server.call_as(Some(&operator), "CreateVM", create.clone()).await;
        assert_eq!(made.code(), then.0, "{what}: {}", made.body);
        let read = server.call_as(Some(&operator), "ListVMs", json!({})).await;
        assert_eq!(if read.status == 200 { "ok" } else { read.code() }, then.1, "{what}: {}", read.body);
        // A session of a higher role is over.
        assert_eq!(server.call_as(Some(&access), "ListVMs", json!({})).await.status, 401, "{what}");
    }
    assert_eq!(login(&server, "ann", PASSWORD).await.0, 401, "disabled users do not sign in");
    server.ok("GetUser", json!({ "id": "ANN" })).await;
    server.ok("DeleteUser", json!({ "id": "ann" })).await;
    let users = server.ok("ListUsers", json!({})).await;
    assert_eq!(users["users"].as_array().map(Vec::len), Some(1));
    let last = server.refused("DeleteUser", json!({ "id": USER }), "failed_precondition").await;
    assert!(last.contains("admin"), "{last}");
    server.refused("UpdateUser", json!({ "id": USER, "role": "VIEWER" }), "failed_precondition").await;
    server.refused("UpdateUser", json!({ "id": USER, "enabled": false }), "failed_precondition").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_run_takes_one_code_and_five_tries() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join("data");
    let server = Server::launch(&[BINARY], Some(&data), &TEST);
    server
        .until("the server to answer", SOON, async || {
            let asked = reqwest::Client::new().get(format!("{}/healthz", server.url)).send().await.ok()?;
            asked.status().is_success().then_some(())
        })
        .await;
    let told = server.call_as(None, "GetSignIn", json!({})).await;
    assert_eq!(told.body, json!({ "setUpNeeded": true }));
    let nobody = server.call_as(None, "ListVMs", json!({})).await;
    assert!(nobody.message().contains("setup-code"), "{}", nobody.body);
    let code = || std::fs::read_to_string(data.join("setup-code")).map(|code| code.trim().to_owned()).ok();
    let file = std::fs::metadata(data.join("setup-code")).expect("the code's file");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&file) & 0o777, 0o600);
    let set_up = async |code: &str, name: &str, password: &str| {
        server.call_as(None, "SetUp", json!({ "code": code, "name": name, "password": password })).await
    };
    let first = code().expect("a code");
    // A name or password that will not do does not use the code up.
    for (name, password, field) in [("", PASSWORD, "name"), ("a b", PASSWORD, "name"), ("ann", "short", "password")] {
        let refused = set_up(&first, name, password).await;
        assert_eq!(refused.code(), "invalid_argument", "{}", refused.body);
        assert!(refused.body.to_string().contains(field), "{}", refused.body);
    }
    for _ in 0..5 {
        assert_eq!(set_up("AAAA-AAAA-AAAA-AAAA", "ann", PASSWORD).await.code(), "permission_denied");
    }
    // So many failures of one source have to wait.
    let spent = server
        .until("the source to be heard again", SOON, async || {
            Some(set_up(&first, "ann", PASSWORD).await).filter(|answer| answer.status != 429)
        })
        .await;
    assert_eq!(spent.code(), "permission_denied", "good after five wrong ones: {}", spent.body);
    // Root of the host makes another.
    let by_socket = reqwest::Client::builder().unix_socket(server.socket()).build().expect("a client");
    let made = by_socket.post("http://localhost/Quantixkvm.auth.v1.AuthService/CreateSetUpCode").json(&json!({}));
    let made: Value = made.send().await.expect("an answer").json().await.expect("JSON");
    let second = code().expect("a code");
    assert_eq!(made["code"], second.as_str());
    let typed = second.to_lowercase().replace('-', "");
    let signed_in = server
        .until("the source to be heard again", SOON, async || {
            Some(set_up(&typed, "ann", PASSWORD).await).filter(|answer| answer.status != 429)
        })
        .await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.body);
    let access = text(&signed_in.body["accessToken"]);
    assert_eq!(server.call_as(Some(&access), "WhoAmI", json!({})).await.body["role"], "ADMIN");
    assert_eq!(code(), None, "the code's file stays");
    assert_eq!(set_up(&second, "eve", PASSWORD).await.code(), "failed_precondition", "a second first user");
    assert_eq!(server.call_as(None, "GetSignIn", json!({})).await.body, json!({}));
    let refused = server.call_as(Some(&access), "CreateSetUpCode", json!({})).await;
    assert_eq!(refused.code(), "failed_precondition");
    let changed = json!({ "oldPassword": "wrong", "newPassword": "battery staple" });
    assert_eq!(server.call_as(Some(&access), "ChangePassword", changed).await.code(), "unauthenticated");
    let changed = json!({ "oldPassword": PASSWORD, "newPassword": "battery staple" });
    assert_eq!(server.call_as(Some(&access), "ChangePassword", changed).await.status, 200);
    assert_eq!(login(&server, "ann", PASSWORD).await.0, 401);
    assert_eq!(login(&server, "ann", "battery staple").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_and_written_down() {
    let server = Server::on("test:///default").await;
    server.token_of("ann", "VIEWER").await;
    let mut last = (reqwest::StatusCode::OK, Value::Null, None);
    let mut guesses = 0;
    while last.0 != 429 {
        assert!(guesses < 50, "guesses are never refused: {last:?}");
        last = login(&server, "ann", &format!("guess {guesses}")).await;
        guesses += 1;
    }
    println!("guesses of one name until they have to wait: {guesses}");
    assert_eq!(last.1["code"], "resource_exhausted");
    assert!(text(&last.1["message"]).contains("second"), "{}", last.1);
    // The right password waits, too, or the wait would tell it from a wrong one.
    assert_eq!(login(&server, "ann", PASSWORD).await.0, 429);
    // A token is no guess, and root of the host is never shut out.
    server.ok("WhoAmI", json!({})).await;

    let named = |list: &Value, method: &str| -> Vec<Value> {
        let all = list["entries"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|entry| text(&entry["method"]).ends_with(method)).collect()
    };
    let entries = server
        .until("the audit log to have the sign-ins", SOON, async || {
            let list = server.ok("ListAuditEntries", json!({ "pageSize": 1000 })).await;
            // The last guess was refused unread.
            (named(&list, "/Login").len() == guesses - 1).then_some(list)
        })
        .await;
    let failed = &named(&entries, "/Login")[1];
    assert_eq!((&failed["resource"], &failed["address"]), (&json!("ann"), &json!("127.0.0.1")));
    assert_ne!(failed["code"], "ok");
    let made = &named(&entries, "/CreateUser")[0];
    assert_eq!((&made["user"], &made["via"], &made["code"]), (&json!(USER), &json!("token"), &json!("ok")));
    assert!(!entries.to_string().contains("guess "), "a password is in the audit log");
    assert!(!server.log().contains("guess ") && !server.log().contains(PASSWORD), "a password is in the log");
    // A page at a time, and the same lines exported, the oldest first.
    let mut paged = Vec::new();
    let mut token = String::new();
    loop {
        let page = server.ok("ListAuditEntries", json!({ "pageSize": 3, "pageToken": token })).await;
        paged.extend(page["entries"].as_array().cloned().unwrap_or_default());
        token = text(&page["nextPageToken"]);
        if token.is_empty() {
            break;
        }
    }
    let mut export = Frames::open(&server, "ExportAuditEntries", &json!({})).await;
    let mut exported = Vec::new();
    while let Next::Message(entry) = export.next().await {
        exported.push(entry);
    }
    exported.reverse();
    let numbers = |all: &[Value]| all.iter().map(|entry| text(&entry["sequence"])).collect::<Vec<_>>();
    assert_eq!(numbers(&paged), numbers(&exported));
    let mine = server.ok("ListAuditEntries", json!({ "user": "(nobody)" })).await;
    assert!(named(&mine, "/Login").len() == mine["entries"].as_array().map_or(0, Vec::len), "{mine}");
    server.refused("ListAuditEntries", json!({ "pageToken": "nonsense" }), "invalid_argument").await;

    let tokens = server.ok("ListTokens", json!({})).await;
    assert!(!tokens.to_string().contains("secret"), "{tokens}");
    let (_, other, _) = login(&server, USER, PASSWORD).await;
    server.ok("RevokeSession", json!({ "id": other["session"]["id"] })).await;
    assert_eq!(server.call_as(Some(&text(&other["accessToken"])), "WhoAmI", json!({})).await.status, 401);
}

/// Secrets are planted, used well and badly, and then looked for wherever the server speaks.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_told_to_nobody() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join("data");
    let mut server = Server::start(Some(&data), &TEST).await;
    let viewer = server.token_of("ann", "VIEWER").await;
    let (_, session, cookie) = login(&server, "ann", PASSWORD).await;
    let access = text(&session["accessToken"]);
    let cookie = cookie.expect("a cookie");
    let cookie = cookie.split(['=', ';']).nth(1).expect("a value").to_owned();
    let (secret, guess) = ("a planted password", "a planted guess");
    server.ok("UpdateUser", json!({ "id": "ann", "password": secret })).await;
    login(&server, "ann", guess).await;
    let wrong = json!({ "oldPassword": guess, "newPassword": secret });
    server.call_as(Some(&viewer), "ChangePassword", wrong).await;
    server.call_as(None, "SetUp", json!({ "code": guess, "name": "eve", "password": guess })).await;
    let bodies = [
        json!({ "name": "x", "password": secret, "role": 7 }),
        json!({ "name": "a b", "password": secret }),
        json!({ "password": { "a": secret } }),
    ];
    for body in bodies {
        server.call("CreateUser", body).await;
    }
    server.call_as(Some(&format!("{viewer}x")), "ListVMs", json!({})).await;
    by_cookie(&server, &format!("__Host-quantixkvm={cookie}x"), "WhoAmI").await;

    // A token's id is no secret; what follows it is.
    let tail = |token: &str| token.rsplit('_').next().unwrap_or_default().to_owned();
    let own = server.token.clone().expect("a token");
    let planted =
        [secret, guess, PASSWORD, &tail(&viewer), &tail(&own), access.rsplit('.').next().unwrap_or_default(), &cookie];
    let mut said = vec![("the log", server.log())];
    for (what, token, method) in [
        ("the audit log", &own, "ListAuditEntries"),
        ("users", &own, "ListUsers"),
        ("tokens", &own, "ListTokens"),
        ("sessions", &own, "ListSessions"),
        ("a viewer's tokens", &viewer, "ListTokens"),
        ("a viewer's VMs", &viewer, "ListVMs"),
        ("a viewer's events", &viewer, "ListEvents"),
        ("a viewer's operations", &viewer, "ListOperations"),
        ("a viewer's nodes", &viewer, "ListNodes"),
    ] {
        let answer = server.call_as(Some(token), method, json!({ "pageSize": 1000 })).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.body);
        said.push((what, answer.body.to_string()));
    }
    let metrics = server.http.get(format!("{}/metrics", server.url)).send().await.expect("metrics");
    said.push(("metrics", metrics.text().await.expect("text")));
    server.terminate();
    for file in ["state.redb", "metrics.redb"] {
        said.push((file, String::from_utf8_lossy(&std::fs::read(data.join(file)).expect("a file")).into_owned()));
    }
    for (place, all) in &said {
        for secret in planted {
            assert!(!all.contains(secret), "{place} holds {secret:?}");
        }
    }
    println!("planted secrets: {} looked for in {} places, found 0 times", planted.len(), said.len());
}
