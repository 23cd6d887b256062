//! What it costs to know who calls: each request shows a token, and the host knows many.

use std::time::{Duration, Instant};

use quantixkvm::model::access::{Quota, Role};
use quantixkvm::service::auth::{AuthService, Client, Door, NewUser, Origin, Principal, Shown, Who};
use quantixkvm::store::Store;

use crate::report::Report;

const USERS: usize = 10;
/// Of each user, who may have no more.
const TOKENS: usize = 100;
const CHECKS: u32 = 100_000;
const PASSWORD: &str = "correct horse";

pub fn measure(report: &mut Report) {
    let store = Store::in_memory().expect("a store in memory");
    let auth = AuthService::open(store, None, "bench".to_owned(), Door::Guarded).expect("it opens");
    let root = Principal::by_connection(Who::LocalRoot, "");
    let user = |name: &str| NewUser {
        name: name.to_owned(),
        password: PASSWORD.to_owned(),
        role: Role::Operator,
        quota: Quota::default(),
    };
    let (secret, session) = crate::run(async {
        let mut last = String::new();
        for number in 0..USERS {
            let name = format!("bench-{number}");
            auth.user_create(user(&name)).await.expect("a user");
            for number in 0..TOKENS {
                let made = auth.token_create(&root, format!("token {number}"), None, 0, &name).await;
                last = made.expect("a token").2;
            }
        }
        let client = Client { address: "192.0.2.1", user_agent: "bench" };
        (last, auth.login("bench-0", PASSWORD.to_owned(), client).await.expect("a session"))
    });
    let limit = Duration::from_micros(50);
    for (what, authorization, cookie) in [
        ("an API token of 1,000 is known", Some(format!("Bearer {secret}")), None),
        ("an access token is known", Some(format!("Bearer {}", session.access_token)), None),
        ("a session's cookie is known", None, Some(session.cookie.as_str())),
    ] {
        let shown =
            Shown { origin: &Origin::Stranger, authorization: authorization.as_deref(), cookie, address: "192.0.2.1" };
        let begun = Instant::now();
        for _ in 0..CHECKS {
            assert!(auth.judge(shown).is_ok_and(|caller| caller.is_some()), "{what}");
        }
        report.within("who", what, begun.elapsed() / CHECKS, limit);
    }
}
