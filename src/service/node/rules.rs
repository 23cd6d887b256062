//! What a request about nodes may say.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::model::id::clip;
use crate::model::node::{NodeFacts, Scheduling};
use crate::model::units::human_bytes;
use crate::model::validate::Violation;

use super::super::requests::Heartbeat;

/// Characters of a hostname at most.
const HOSTNAME_MAX: usize = 253;
/// Characters of a reason at most.
const REASON_MAX: usize = 1000;

/// Whether this is a hostname: letters, digits, `-`, `_`, in parts of 1-63 with dots between.
fn is_hostname(text: &str) -> bool {
    text.len() <= HOSTNAME_MAX
        && text.split('.').all(|part| {
            (1..=63).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
                && !part.starts_with('-')
        })
}

/// The hostname of a request.
pub(super) fn hostname(text: &str) -> Result<String, Violation> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Violation::new("hostname", "is required, 1-253 characters"));
    }
    if is_hostname(text) {
        return Ok(text.to_owned());
    }
    Err(Violation::new(
        "hostname",
        format!(
            "must be letters, digits, \"-\", \"_\" and dots, 1-{HOSTNAME_MAX} characters, each part at most 63; \"{}\" was sent",
            clip(text, 64)
        ),
    ))
}

/// The address of a request, without its port.
pub(super) fn management_ip(text: &str) -> Result<String, Violation> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Violation::new("management_ip", "is required: the address at which the node is reached"));
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(ip.to_string());
    }
    if let Ok(with_port) = text.parse::<SocketAddr>() {
        return Ok(with_port.ip().to_string());
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
        && let Ok(ip) = inner.parse::<Ipv6Addr>()
    {
        return Ok(ip.to_string());
    }
    let name = match text.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        Some(_) | None => text,
    };
    // Digits and dots alone are a mistyped address, not a name.
    if is_hostname(name) && !name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Ok(name.to_owned());
    }
    Err(Violation::new(
        "management_ip",
        format!("must be an IP address or a host name, with or without a port; \"{}\" was sent", clip(text, 64)),
    ))
}

/// A text for people.
pub(super) fn reason(text: &str) -> Result<(), Violation> {
    let length = text.chars().count();
    if length > REASON_MAX {
        return Err(Violation::new("reason", format!("must be at most {REASON_MAX} characters; {length} were sent")));
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(Violation::new("reason", "must not hold control characters other than newline and tab"));
    }
    Ok(())
}

/// Settings of a node, with the defaults in place of 0.
pub(super) fn scheduling(mut wanted: Scheduling, facts: &NodeFacts) -> Result<Scheduling, Vec<Violation>> {
    let defaults = Scheduling::default();
    if wanted.cpu_overcommit == 0.0 {
        wanted.cpu_overcommit = defaults.cpu_overcommit;
    }
    if wanted.memory_overcommit == 0.0 {
        wanted.memory_overcommit = defaults.memory_overcommit;
    }
    let mut violations = Vec::new();
    let mut ratio = |field: &str, value: f64, max: f64| {
        if !(1.0..=max).contains(&value) {
            violations.push(Violation::new(field, format!("must be 1-{max}; {value} was sent")));
        }
    };
    ratio("scheduling.overcommit.cpu_ratio", wanted.cpu_overcommit, 64.0);
    ratio("scheduling.overcommit.memory_ratio", wanted.memory_overcommit, 8.0);
    let threads = facts.cpu.total_threads;
    if threads > 0 && wanted.reserved_cpu_threads > threads {
        violations.push(Violation::new(
            "scheduling.reserved.cpu_cores",
            format!("must be at most the node's {threads} threads; {} was sent", wanted.reserved_cpu_threads),
        ));
    }
    let memory = facts.memory.total_bytes;
    if memory > 0 && wanted.reserved_memory_bytes > memory {
        violations.push(Violation::new(
            "scheduling.reserved.memory_bytes",
            format!(
                "must be at most the node's {memory} bytes ({}); {} was sent",
                human_bytes(memory),
                wanted.reserved_memory_bytes
            ),
        ));
    }
    if violations.is_empty() { Ok(wanted) } else { Err(violations) }
}

/// What a heartbeat says.
pub(super) fn heartbeat(beat: &Heartbeat) -> Vec<Violation> {
    let mut violations = Vec::new();
    if !(0.0..=100.0).contains(&beat.cpu_usage_percent) {
        violations.push(Violation::new(
            "cpu_usage_percent",
            format!("must be 0-100 over all threads; {} was sent", beat.cpu_usage_percent),
        ));
    }
    for (field, load) in [("load_1m", beat.load_1m), ("load_5m", beat.load_5m), ("load_15m", beat.load_15m)] {
        if !load.is_finite() || load < 0.0 {
            violations.push(Violation::new(field, format!("must be 0 or more; {load} was sent")));
        }
    }
    if beat.memory_used_mib > beat.memory_total_mib {
        violations.push(Violation::new(
            "memory_used_mib",
            format!("must be at most memory_total_mib ({}); {} was sent", beat.memory_total_mib, beat.memory_used_mib),
        ));
    }
    if beat.disk_used_bytes > beat.disk_total_bytes {
        violations.push(Violation::new(
            "disk_used_bytes",
            format!("must be at most disk_total_bytes ({}); {} was sent", beat.disk_total_bytes, beat.disk_used_bytes),
        ));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_its_port() {
        for (sent, kept) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:8080", "192.0.2.7"),
            (" 192.0.2.7 ", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:8080", "2001:db8::7"),
            ("hv-7.example.org", "hv-7.example.org"),
            ("hv-7.example.org:9000", "hv-7.example.org"),
        ] {
            assert_eq!(management_ip(sent), Ok(kept.to_owned()), "{sent}");
        }
        for bad in [
            "",
            " ",
            "192.0.2",
            "192.0.2.700",
            "a b",
            "http://192.0.2.7",
            "[::1",
            "host:port",
            "192.0.2.7:99999",
            ":80",
        ] {
            assert!(management_ip(bad).is_err(), "{bad} was taken for an address");
        }
    }

    #[test]
    fn a_hostname_is_a_hostname() {
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        for good in ["hv-1", "hv_1.lan", "10host", longest.as_str()] {
            assert_eq!(hostname(good), Ok(good.to_owned()));
        }
        let long = format!("{longest}x");
        for bad in ["", "-a", "a..b", "a b", "é", ".a", "a.", long.as_str(), "a\n"] {
            assert_eq!(hostname(bad).is_ok(), bad.trim() == "a", "{bad:?}");
        }
    }

    #[test]
    fn settings_have_bounds_and_defaults() {
        let mut facts = NodeFacts::default();
        facts.cpu.total_threads = 8;
        facts.memory.total_bytes = 16 << 30;
        let zero = Scheduling { cpu_overcommit: 0.0, memory_overcommit: 0.0, ..Scheduling::default() };
        assert_eq!(scheduling(zero, &facts), Ok(Scheduling::default()));
        let wrong = Scheduling {
            cpu_overcommit: 65.0,
            memory_overcommit: f64::NAN,
            reserved_cpu_threads: 9,
            reserved_memory_bytes: 17 << 30,
            ..Scheduling::default()
        };
        let told = scheduling(wrong.clone(), &facts).expect_err("all four are out of bounds");
        assert_eq!(told.len(), 4, "all at once: {told:?}");
        assert_eq!(scheduling(wrong, &NodeFacts::default()).expect_err("the ratios are").len(), 2);
    }

    #[test]
    fn a_heartbeat_has_bounds() {
        assert_eq!(heartbeat(&Heartbeat::default()), []);
        let wrong = Heartbeat {
            cpu_usage_percent: 101.0,
            memory_used_mib: 2,
            memory_total_mib: 1,
            disk_used_bytes: 2,
            load_1m: f64::NAN,
            load_5m: -1.0,
            ..Heartbeat::default()
        };
        assert_eq!(heartbeat(&wrong).len(), 5);
    }
}
