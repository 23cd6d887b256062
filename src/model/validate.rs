//! What a request may say: every rule about a single value, with its limit, in one place. Pure, so
//! that each rule is a row of a table in the tests; what needs the present state of the host or of
//! the store (a name that is taken, a pool without room) is the service's.
//!
//! Every violation of a request is found at once: a form can put each beside its field.

mod spec;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::id::clip;
use super::spec::VmSpec;

use spec::Origin;
pub use spec::{host_path, spec, spec_change};

/// Characters of a VM's name at most.
pub const NAME_MAX: usize = 255;
/// Characters of a description at most.
pub const DESCRIPTION_MAX: usize = 1000;
/// Labels of one resource at most.
pub const LABELS_MAX: usize = 50;
/// Characters of a label's key at most.
pub const LABEL_KEY_MAX: usize = 63;
/// Characters of a label's value at most.
pub const LABEL_VALUE_MAX: usize = 255;
/// Characters of a host name at most (RFC 1035).
pub const HOSTNAME_MAX: usize = 253;
/// How much of an outside value a message repeats.
const CLIP: usize = 40;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path in the request, proto spelling, list items by index: `spec.disks[1].size_gib`.
    pub field: String,
    /// What is wrong, with the limit and the value, clipped.
    pub description: String,
}

impl Violation {
    /// `description` continues a sentence that begins with the field.
    #[must_use]
    pub fn new(field: &str, description: impl Into<String>) -> Self {
        Self { field: field.to_owned(), description: description.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.description)
    }
}

/// An outside value as messages repeat it: quoted, clipped, nothing invisible in it.
#[must_use]
pub fn quoted(value: &str) -> String {
    let shown: String = clip(value, CLIP).chars().flat_map(char::escape_debug).collect();
    format!("\"{}\"", shown.replace("\\\"", "\""))
}

/// A name of ours: 1-255 ASCII letters, digits, `-`, `_`, the first one a letter or digit, and no UUID.
#[must_use]
pub fn name(value: &str, field: &str) -> Option<Violation> {
    let length = value.chars().count();
    let wrong = |why: String| Some(Violation::new(field, why));
    if length == 0 {
        return wrong(format!("is required: 1-{NAME_MAX} characters"));
    }
    if length > NAME_MAX {
        return wrong(format!("must be 1-{NAME_MAX} characters; {} has {length}", quoted(value)));
    }
    if let Some(bad) = value.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
        return wrong(format!(
            "may hold ASCII letters, digits, \"-\" and \"_\" only; {} holds {}",
            quoted(value),
            quoted(&bad.to_string())
        ));
    }
    if !value.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return wrong(format!("must begin with a letter or a digit; {} does not", quoted(value)));
    }
    // `virsh start NAME` would look for another VM by it.
    if uuid::Uuid::try_parse(value).is_ok() {
        return wrong(format!("must not read like a UUID, which is how VMs are told apart; {} does", quoted(value)));
    }
    None
}

/// Text without control characters other than newline and tab, and with nothing that XML cannot
/// hold: libvirt keeps most of it in its definitions.
#[must_use]
pub fn text(value: &str, field: &str, max: usize) -> Option<Violation> {
    let length = value.chars().count();
    if length > max {
        return Some(Violation::new(field, format!("may hold {max} characters at most; it has {length}")));
    }
    let bad = value
        .chars()
        .find(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{fffe}' | '\u{ffff}'))?;
    Some(Violation::new(
        field,
        format!("may hold no control characters but newline and tab; {} holds U+{:04X}", quoted(value), u32::from(bad)),
    ))
}

/// As [`text`], on one line.
#[must_use]
pub fn line(value: &str, field: &str, max: usize) -> Option<Violation> {
    text(value, field, max).or_else(|| {
        value
            .contains(['\n', '\t'])
            .then(|| Violation::new(field, format!("must be one line without tabs; {} is not", quoted(value))))
    })
}

/// A description.
#[must_use]
pub fn description(value: &str) -> Option<Violation> {
    text(value, "description", DESCRIPTION_MAX)
}

/// Seconds between the starts of two VMs at most.
const START_DELAY_MAX_SEC: u32 = 3600;

/// Seconds to wait after a VM's start before the next one's.
#[must_use]
pub fn start_delay(seconds: u32) -> Option<Violation> {
    (seconds > START_DELAY_MAX_SEC)
        .then(|| Violation::new("start_delay_sec", format!("must be 0-{START_DELAY_MAX_SEC}; {seconds} was sent")))
}

/// Why a node is disabled, for people.
#[must_use]
pub fn reason(value: &str) -> Option<Violation> {
    text(value, "reason", DESCRIPTION_MAX)
}

/// Labels of a VM or node.
#[must_use]
pub fn labels(labels: &BTreeMap<String, String>) -> Vec<Violation> {
    labels_at(labels, "labels")
}

/// As [`labels`], under another field.
#[must_use]
pub fn labels_at(labels: &BTreeMap<String, String>, field: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    if labels.len() > LABELS_MAX {
        found.push(Violation::new(field, format!("may hold {LABELS_MAX} pairs at most; it has {}", labels.len())));
    }
    for (key, value) in labels {
        let at = format!("{field}[{}]", quoted(key));
        let length = key.chars().count();
        if length == 0 || length > LABEL_KEY_MAX {
            found.push(Violation::new(&at, format!("the key must have 1-{LABEL_KEY_MAX} characters; it has {length}")));
        } else {
            found.extend(line(key, &at, LABEL_KEY_MAX));
        }
        found.extend(text(value, &at, LABEL_VALUE_MAX));
    }
    found
}

/// A number within its bounds; `zero` says what 0 means, where 0 is taken too.
#[must_use]
pub fn range(field: &str, value: i64, min: i64, max: i64, zero: Option<&str>) -> Option<Violation> {
    match zero {
        Some(_) if value == 0 => None,
        Some(_) | None if (min..=max).contains(&value) => None,
        Some(zero) => {
            Some(Violation::new(field, format!("must be 0 (meaning {zero}) or {min}-{max}; {value} was sent")))
        }
        None => Some(Violation::new(field, format!("must be {min}-{max}; {value} was sent"))),
    }
}

/// Everything that is wrong with a VM to be made.
#[must_use]
pub fn vm_create(name: &str, description: &str, labels: &BTreeMap<String, String>, spec: &VmSpec) -> Vec<Violation> {
    let mut found: Vec<Violation> = self::name(name, "name").into_iter().collect();
    found.extend(self::description(description));
    found.extend(self::labels(labels));
    found.extend(spec::of_origin(spec, "spec", Origin::Request));
    found
}

/// Everything that is wrong with a host that wants to be a node. The address may carry a port.
#[must_use]
pub fn node_register(
    hostname: &str,
    management_ip: &str,
    agent_endpoint: &str,
    labels: &BTreeMap<String, String>,
) -> Vec<Violation> {
    let mut found: Vec<Violation> = self::hostname(hostname, "hostname").into_iter().collect();
    if management_ip.is_empty() {
        found.push(Violation::new("management_ip", "is required: the address at which the host is reached"));
    } else if address(management_ip).is_none() {
        found.push(Violation::new(
            "management_ip",
            format!("must be an IPv4 or IPv6 address; {} is none", quoted(management_ip)),
        ));
    }
    found.extend(line(agent_endpoint, "agent_endpoint", 255));
    found.extend(self::labels(labels));
    found
}

/// A host name as DNS and the kernel know it: labels of letters, digits and `-`, with dots between.
#[must_use]
pub fn hostname(value: &str, field: &str) -> Option<Violation> {
    let wrong = |why: String| Some(Violation::new(field, why));
    if value.is_empty() {
        return wrong(format!("is required: 1-{HOSTNAME_MAX} characters"));
    }
    let length = value.chars().count();
    if length > HOSTNAME_MAX {
        return wrong(format!("must be 1-{HOSTNAME_MAX} characters; it has {length}"));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            && !label.starts_with('-')
    };
    if !value.split('.').all(is_label) {
        return wrong(format!(
            "must be words of letters, digits, \"-\" and \"_\" with dots between them; {} is not",
            quoted(value)
        ));
    }
    None
}

/// The address in `192.0.2.1`, `192.0.2.1:9443`, `2001:db8::1` or `[2001:db8::1]:9443`.
#[must_use]
pub fn address(value: &str) -> Option<IpAddr> {
    value
        .parse::<IpAddr>()
        .ok()
        .or_else(|| value.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()))
        .or_else(|| value.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests;
