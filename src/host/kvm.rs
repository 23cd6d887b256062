//! The device that KVM is reached by, and by whom.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use super::accounts::Accounts;
use super::paths::Opener;

/// How `/dev/kvm` stands for whoever runs QEMU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvmDevice {
    Absent,
    Reachable,
    /// They may not read and write it; its mode, owner and group.
    Denied {
        mode: u32,
        owner: String,
        group: String,
    },
}

/// Look at the device, for whoever opens it.
#[must_use]
pub fn kvm_device(device: &Path, opener: &Opener, accounts: &Accounts) -> KvmDevice {
    let Ok(meta) = std::fs::metadata(device) else {
        return KvmDevice::Absent;
    };
    if !meta.file_type().is_char_device() {
        return KvmDevice::Absent;
    }
    if opener.may_use(device, &meta) {
        KvmDevice::Reachable
    } else {
        let mode = meta.mode() & 0o7777;
        KvmDevice::Denied { mode, owner: accounts.user_name(meta.uid()), group: accounts.group_name(meta.gid()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::paths::Handing;

    #[test]
    fn a_device_is_what_is_looked_for() {
        let who = Opener { name: "nobody".to_owned(), uid: 4_000_000, gids: Vec::new(), handing: Handing::AsItIs };
        let seen = |device: &str| kvm_device(Path::new(device), &who, &Accounts::default());
        assert_eq!(seen("/dev/null"), KvmDevice::Reachable);
        assert_eq!(seen("/etc/passwd"), KvmDevice::Absent);
        assert_eq!(seen("/dev/no-such-device"), KvmDevice::Absent);
    }
}
