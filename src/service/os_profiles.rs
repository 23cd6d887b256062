//! What operating systems are best given, as data: `assets/os-profiles.json`, from what their
//! vendors recommend for a usable system (not the least on which they boot). A form proposes it;
//! nothing is decided by it.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::spec::{Firmware, GuestOsFamily};

/// One operating system.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OsProfile {
    /// Lower case, with dashes: `debian-12`.
    pub id: String,
    pub label: String,
    pub family: GuestOsFamily,
    /// For the specification's `guest_os.variant`.
    pub variant: String,
    pub cores: u32,
    pub memory_mib: u64,
    pub disk_gib: u64,
    pub firmware: Firmware,
    pub tpm: bool,
}

static PROFILES: LazyLock<Vec<OsProfile>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../assets/os-profiles.json")).unwrap_or_else(|why| {
        // A test reads it; a build that passed has a file that can be read.
        tracing::error!(%why, "the profiles of operating systems cannot be read");
        Vec::new()
    })
});

/// All of them, most likely first.
#[must_use]
pub fn all() -> &'static [OsProfile] {
    &PROFILES
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::spec::{GuestOs, VmSpec};
    use crate::model::units::Mib;
    use crate::model::validate;

    #[test]
    fn every_profile_is_one_that_a_vm_can_be_made_of() {
        assert!(all().len() >= 20, "{}", all().len());
        let mut ids: Vec<&str> = all().iter().map(|profile| profile.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all().len(), "two profiles have one id");
        for profile in all() {
            let mut spec = VmSpec {
                guest_os: GuestOs { family: profile.family, variant: profile.variant.clone() },
                firmware: Some(profile.firmware),
                ..VmSpec::default()
            };
            spec.cpu.cores = profile.cores;
            spec.memory.size = Mib(profile.memory_mib);
            let wrong = validate::vm_create(&profile.id, &profile.label, &BTreeMap::new(), &spec);
            assert!(wrong.is_empty(), "{}: {wrong:?}", profile.id);
            assert!((1..=8).contains(&profile.cores) && profile.memory_mib <= 8192, "{}", profile.id);
            assert!((2..=128).contains(&profile.disk_gib), "{}", profile.id);
            assert!(!profile.tpm || profile.firmware != Firmware::Bios, "{}: a TPM needs UEFI", profile.id);
            assert!(!profile.label.is_empty() && profile.family != GuestOsFamily::Unspecified, "{}", profile.id);
        }
        for id in ["debian-12", "debian-13", "ubuntu-24.04", "fedora", "windows-11", "linux", "other"] {
            let id = id.replace('.', "-");
            assert!(ids.contains(&id.as_str()), "{id} is missing");
        }
    }
}
