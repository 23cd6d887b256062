//! Guessing is made slow: by account and by source, never for root on the host, who comes by
//! another way. After a few failures each further one doubles the time to wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Failures that are forgiven.
const FREE_BY_ACCOUNT: u32 = 5;
const FREE_BY_SOURCE: u32 = 20;
/// The first wait, and the longest.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(900);
/// After so long without a failure all is forgotten.
const FORGET: Duration = Duration::from_secs(3600);
/// What is remembered at most; the rest shares one count, so that a flood of names fills nothing.
const REMEMBERED: usize = 4096;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    /// From this source at this account: a stranger elsewhere cannot lock its owner out.
    Account(IpAddr, String),
    /// IPv6 by its network: one machine has 2^64 addresses there.
    Source(IpAddr),
    Rest,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// Failures lately.
#[derive(Debug, Default)]
pub struct Throttle {
    seen: HashMap<Who, Failures>,
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::from((u128::from(v6) & !u128::from(u64::MAX)).to_be_bytes()),
    }
}

fn wait(count: u32, free: u32) -> Duration {
    match count.checked_sub(free) {
        None => Duration::ZERO,
        Some(over) => FIRST.saturating_mul(1 << over.min(10)).min(LONGEST),
    }
}

impl Throttle {
    fn keys(source: IpAddr, account: &str) -> [(Who, u32); 2] {
        let source = network(source);
        [(Who::Account(source, account.to_ascii_lowercase()), FREE_BY_ACCOUNT), (Who::Source(source), FREE_BY_SOURCE)]
    }

    /// Seconds that this source must wait before it may try this account; `None`: it may.
    #[must_use]
    pub fn wait(&self, source: IpAddr, account: &str, now: Instant) -> Option<u64> {
        Self::keys(source, account)
            .iter()
            .chain([&(Who::Rest, FREE_BY_SOURCE)])
            .filter(|(who, _)| *who != Who::Rest || self.seen.len() > REMEMBERED)
            .filter_map(|(who, free)| {
                let failures = self.seen.get(who)?;
                let until = failures.last + wait(failures.count, *free);
                (until > now).then(|| (until - now).as_secs() + 1)
            })
            .max()
    }

    /// It was wrong.
    pub fn failed(&mut self, source: IpAddr, account: &str, now: Instant) {
        self.seen.retain(|_, failures| now.duration_since(failures.last) < FORGET);
        for (who, _) in Self::keys(source, account) {
            let who = if self.seen.len() > REMEMBERED && !self.seen.contains_key(&who) { Who::Rest } else { who };
            let failures = self.seen.entry(who).or_insert(Failures { count: 0, last: now });
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
        }
    }

    /// It was right: the account's failures from there are forgiven, its source's are not.
    pub fn succeeded(&mut self, source: IpAddr, account: &str) {
        let [(account, _), _] = Self::keys(source, account);
        self.seen.remove(&account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    #[test]
    fn waits_double_from_the_fifth_failure_on_and_end() {
        let mut throttle = Throttle::default();
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..20 {
            let waited = throttle.wait(HERE, "Root", now).unwrap_or(0);
            waits.push(waited);
            now += Duration::from_secs(waited);
            throttle.failed(HERE, "root", now);
        }
        assert_eq!(waits[..8], [0, 0, 0, 0, 0, 3, 5, 9], "{waits:?}");
        assert!(waits.is_sorted() && waits[19] <= LONGEST.as_secs() + 1, "{waits:?}");
        assert_eq!(throttle.wait(HERE, "root", now + FORGET), None);
    }

    #[test]
    fn another_source_is_not_locked_out_and_a_success_forgives() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..9 {
            throttle.failed(HERE, "root", now);
        }
        assert!(throttle.wait(HERE, "root", now).is_some());
        assert_eq!(throttle.wait("192.0.2.8".parse().expect("an address"), "root", now), None);
        throttle.succeeded(HERE, "root");
        assert_eq!(throttle.wait(HERE, "root", now), None);
        for n in 0..12 {
            throttle.failed(HERE, &format!("name{n}"), now);
        }
        assert!(throttle.wait(HERE, "anybody", now).is_some(), "one source tries many names");
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_a_flood_fills_nothing() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        for n in 0..30_u16 {
            throttle.failed(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]), &format!("name{n}"), now);
        }
        assert!(throttle.wait("2001:db8::ffff".parse().expect("an address"), "x", now).is_some());
        for n in 0..20_000_u32 {
            throttle.failed(IpAddr::from(n.to_be_bytes()), "root", now);
        }
        assert!(throttle.seen.len() <= REMEMBERED + 3, "{} are remembered", throttle.seen.len());
    }
}
