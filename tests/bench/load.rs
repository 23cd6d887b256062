//! Requests, as many as go, over a number of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::Server;

/// What is asked, and as whom.
#[derive(Clone)]
pub struct Target {
    pub url: String,
    /// Of nobody, where anybody is answered.
    pub token: Option<String>,
}

impl Target {
    pub fn of(server: &Server, method: &str) -> Self {
        Self { url: format!("{}/{method}", server.url), token: server.token.clone() }
    }
}

/// A client with one connection.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().pool_max_idle_per_host(1).tcp_nodelay(true).build().expect("a client")
}

pub async fn post(client: &reqwest::Client, target: &Target, body: &str) -> usize {
    let mut request = client.post(&target.url).header("Content-Type", "application/json").body(body.to_owned());
    if let Some(token) = &target.token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{} answered {}", target.url, answer.status());
    answer.bytes().await.expect("a whole answer").len()
}

/// The times of `count` requests, one after the other.
pub async fn one_by_one(target: &Target, body: &str, count: usize) -> Vec<Duration> {
    let client = client();
    for _ in 0..count / 10 + 1 {
        post(&client, target, body).await;
    }
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        post(&client, target, body).await;
        times.push(begun.elapsed());
    }
    times
}

/// Requests a second over sixteen connections.
pub async fn a_second(target: &Target, body: &str, time: Duration) -> f64 {
    let done = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (target, body, done) = (target.clone(), body.to_owned(), Arc::clone(&done));
            tokio::spawn(async move {
                let client = client();
                while begun.elapsed() < time {
                    post(&client, &target, &body).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("a client ends");
    }
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    let rate = done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    rate
}
