//! A definition that may be shown: what libvirt itself leaves out unless it is asked for secrets.

use super::tree::Element;
use crate::hypervisor::HypervisorError;

/// Attributes that hold a secret, on whatever element.
const ATTRIBUTES: [&str; 1] = ["passwd"];
/// Elements whose text is one.
const ELEMENTS: [&str; 1] = ["cookie"];

/// The text without passwords of displays and cookies of network disks.
///
/// # Errors
/// `Refused` where it cannot be read.
pub fn without_secrets(text: &str) -> Result<String, HypervisorError> {
    let mut domain = Element::parse(text)?;
    strip(&mut domain);
    domain.write()
}

fn strip(element: &mut Element) {
    for secret in ATTRIBUTES {
        element.unset(secret);
    }
    for secret in ELEMENTS {
        element.remove_named(secret);
    }
    for child in element.children_mut() {
        strip(child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_cookies_are_left_out_and_nothing_else() {
        let shown = without_secrets(
            "<domain type=\"kvm\"><name>a</name><devices><graphics type=\"vnc\" passwd=\"hunter2\" port=\"1\"/>\
             <disk><source><cookies><cookie name=\"c\">hunter2</cookie></cookies></source></disk></devices></domain>",
        )
        .expect("a definition");
        assert!(!shown.contains("hunter2") && !shown.contains("passwd"), "{shown}");
        for kept in ["<name>a</name>", "type=\"vnc\"", "port=\"1\"", "cookies"] {
            assert!(shown.contains(kept), "{kept} went too: {shown}");
        }
    }
}
