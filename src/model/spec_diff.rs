//! What differs between two specifications, by wire path: what runs, and what the next start will
//! run.

use serde::Serialize;
use serde_json::Value;

use super::spec::VmSpec;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecChange {
    /// As in `spec.memory.size_mib`, `spec.disks[vda].cache`.
    pub path: String,
    /// What runs; empty: nothing there.
    pub current: String,
    /// What the next start will run; empty: nothing there.
    pub pending: String,
}

/// Fields whose name on the wire is another, and those of which a running guest says nothing.
const NAMES: [(&str, &str); 6] = [
    ("memory.size", "memory.size_mib"),
    ("memory.max", "memory.max_memory_mib"),
    ("memory.ballooning", "memory.ballooning_enabled"),
    ("serial_ports", "serial.count"),
    ("display.kind", "display.type"),
    ("display.video", "display.gpu"),
];

/// Every difference, in the order of the fields.
#[must_use]
pub fn spec_changes(current: &VmSpec, pending: &VmSpec) -> Vec<SpecChange> {
    let mut changes = Vec::new();
    walk("", &value(current), &value(pending), &mut changes);
    changes
}

fn value(spec: &impl Serialize) -> Value {
    serde_json::to_value(spec).unwrap_or(Value::Null)
}

fn walk(path: &str, current: &Value, pending: &Value, changes: &mut Vec<SpecChange>) {
    if current == pending {
        return;
    }
    match (current, pending) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, new_value) in new {
                let next = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(&next, old.get(key).unwrap_or(&Value::Null), new_value, changes);
            }
        }
        (Value::Array(old), Value::Array(new)) if is_devices(old) && is_devices(new) => {
            for device in old {
                let other = new.iter().find(|other| other.get("id") == device.get("id")).unwrap_or(&Value::Null);
                walk(&named(path, device), device, other, changes);
            }
            for device in new.iter().filter(|device| !old.iter().any(|other| other.get("id") == device.get("id"))) {
                walk(&named(path, device), &Value::Null, device, changes);
            }
        }
        (_, _) => changes.push(SpecChange { path: wire_path(path), current: words(current), pending: words(pending) }),
    }
}

fn is_devices(list: &[Value]) -> bool {
    list.iter().all(|device| device.get("id").is_some())
}

fn named(path: &str, device: &Value) -> String {
    format!("{path}[{}]", device.get("id").and_then(Value::as_str).unwrap_or_default())
}

fn wire_path(path: &str) -> String {
    if path == "machine" {
        return "hardware_version".to_owned();
    }
    let renamed = NAMES.iter().find(|(ours, _)| *ours == path).map_or(path, |(_, wire)| wire);
    format!("spec.{renamed}")
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join(", "),
        // A whole device: present.
        Value::Object(_) => "present".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::{CacheMode, Disk};
    use super::super::units::Mib;
    use super::*;

    #[test]
    fn differences_are_told_by_wire_path() {
        let mut running = VmSpec::default();
        running.memory.size = Mib(1024);
        running.disks =
            vec![Disk { id: "vda".to_owned(), ..Disk::default() }, Disk { id: "vdb".to_owned(), ..Disk::default() }];
        let mut next = running.clone();
        next.memory.size = Mib(2048);
        next.disks[0].cache = Some(CacheMode::None);
        next.disks.remove(1);
        let told: Vec<(String, String, String)> = spec_changes(&running, &next)
            .into_iter()
            .map(|change| (change.path, change.current, change.pending))
            .collect();
        let own = |path: &str, current: &str, pending: &str| (path.to_owned(), current.to_owned(), pending.to_owned());
        assert_eq!(
            told,
            vec![
                own("spec.disks[vda].cache", "", "None"),
                own("spec.disks[vdb]", "present", ""),
                own("spec.memory.size_mib", "1024", "2048"),
            ]
        );
        assert!(spec_changes(&next, &next).is_empty());
    }
}
