//! Finds in a request what the model's list says is not offered yet: whatever is set, by its JSON
//! form, in which nothing appears that was not sent.

use quantixkvm_proto::Quantixkvm::compute::v1 as wire;
use serde_json::Value;

use crate::model::unoffered::{is_unoffered, is_unoffered_value};
use crate::service::error::ServiceError;

/// Refuse a specification that sets anything not offered yet, naming all of it.
pub(super) fn refuse(spec: &wire::VmSpec) -> Result<(), ServiceError> {
    let value = serde_json::to_value(spec)
        .map_err(|why| ServiceError::Internal(format!("the specification cannot be written as JSON: {why}")))?;
    let mut found = Vec::new();
    walk("", "spec", &value, &mut found);
    match found.first() {
        None => Ok(()),
        Some(first) => Err(ServiceError::Unimplemented {
            field: first.clone(),
            message: match &found[1..] {
                [] => "is not offered by this version; leave it out".to_owned(),
                others => format!("is not offered by this version, nor are {}; leave them out", others.join(", ")),
            },
        }),
    }
}

/// `pattern`: the path with `[]` for list items; `path`: the one to tell.
fn walk(pattern: &str, path: &str, value: &Value, found: &mut Vec<String>) {
    if is_unoffered(pattern) {
        if is_set(value) {
            found.push(path.to_owned());
        }
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = snake(name);
                let pattern = if pattern.is_empty() { name.clone() } else { format!("{pattern}.{name}") };
                walk(&pattern, &format!("{path}.{name}"), value, found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                walk(&format!("{pattern}[]"), &format!("{path}[{index}]"), value, found);
            }
        }
        Value::String(text) if is_unoffered_value(pattern, text) => found.push(path.to_owned()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// An empty message asks for nothing.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.values().any(is_set),
        Value::Array(items) => !items.is_empty(),
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::unoffered::paths;

    /// A specification with the field of this path set to something.
    fn with(path: &str) -> wire::VmSpec {
        let tries = [
            serde_json::json!(1),
            serde_json::json!(true),
            serde_json::json!("x"),
            serde_json::json!(["x"]),
            serde_json::json!([{"type": 1, "address": "x", "hostAddress": "x", "vendorId": "x", "profile": "x"}]),
            serde_json::json!({"enabled": true}),
            serde_json::json!({"cpuShares": 1, "autoRestart": true, "isTemplate": true, "allowMigration": true,
                "preferredNodes": ["x"], "hpetEnabled": false, "cloudInit": {"userData": "x"}}),
        ];
        for leaf in tries {
            let mut value = leaf;
            for segment in path.rsplit('.') {
                let (name, item) = segment.strip_suffix("[]").map_or((segment, false), |name| (name, true));
                if item {
                    value = serde_json::json!([value]);
                }
                value = serde_json::json!({ name: value });
            }
            if let Ok(spec) = serde_json::from_value::<wire::VmSpec>(value)
                && spec != wire::VmSpec::default()
                && refuse(&spec).is_err()
            {
                return spec;
            }
        }
        panic!("nothing set at {path} is refused");
    }

    #[test]
    fn every_listed_path_exists_and_is_refused_by_name() {
        for path in paths() {
            let Err(ServiceError::Unimplemented { field, .. }) = refuse(&with(path)) else {
                panic!("{path} was not refused as unimplemented");
            };
            assert_eq!(field, format!("spec.{}", path.replace("[]", "[0]")));
        }
    }

    #[test]
    fn what_is_empty_asks_for_nothing() {
        let spec: wire::VmSpec = serde_json::from_str(
            r#"{"cpu": {"cores": 2, "numa": {}}, "haPolicy": {}, "agent": {"channel": "VIRTIO_SERIAL"},
                "nics": [{"sriov": {}}], "provisioning": {"cloudInit": {}}}"#,
        )
        .expect("a specification");
        assert_eq!(refuse(&spec), Ok(()));
    }

    #[test]
    fn single_values_are_refused_too() {
        for json in [r#"{"agent": {"channel": "VSOCK"}}"#, r#"{"boot": {"bootOrder": [{"type": "USB"}]}}"#] {
            let spec: wire::VmSpec = serde_json::from_str(json).expect("a specification");
            assert!(refuse(&spec).is_err(), "{json} was let through");
        }
    }
}
