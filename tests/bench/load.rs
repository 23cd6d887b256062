//! Requests, as many as go, over a number of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A client with one connection.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().pool_max_idle_per_host(1).tcp_nodelay(true).build().expect("a client")
}

pub async fn post(client: &reqwest::Client, url: &str, body: &str) -> usize {
    let answer = client
        .post(url)
        .header("Content-Type", "application/json")
        .body(body.to_owned())
        .send()
        .await
        .expect("an answer");
    assert!(answer.status().is_success(), "{url} answered {}", answer.status());
    answer.bytes().await.expect("a whole answer").len()
}

/// The times of `count` requests, one after the other.
pub async fn one_by_one(url: &str, body: &str, count: usize) -> Vec<Duration> {
    let client = client();
    for _ in 0..count / 10 + 1 {
        post(&client, url, body).await;
    }
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        post(&client, url, body).await;
        times.push(begun.elapsed());
    }
    times
}

/// Requests a second over sixteen connections.
pub async fn a_second(url: &str, body: &str, time: Duration) -> f64 {
    let done = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (url, body, done) = (url.to_owned(), body.to_owned(), Arc::clone(&done));
            tokio::spawn(async move {
                let client = client();
                while begun.elapsed() < time {
                    post(&client, &url, &body).await;
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
