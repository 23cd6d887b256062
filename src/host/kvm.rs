//! The device that KVM is reached by, and by whom.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use super::accounts::Accounts;

/// How `/dev/kvm` stands for one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvmDevice {
    Absent,
    Reachable,
    /// The user may not read and write it; its mode, owner and group.
    Denied {
        mode: u32,
        owner: String,
        group: String,
    },
}

/// Look at the device, for this user.
#[must_use]
pub fn kvm_device(device: &Path, user: &str, accounts: &Accounts) -> KvmDevice {
    let Ok(meta) = std::fs::metadata(device) else {
        return KvmDevice::Absent;
    };
    if !meta.file_type().is_char_device() {
        return KvmDevice::Absent;
    }
    let mode = meta.mode() & 0o7777;
    if may_use(mode, accounts.uid(user), meta.uid(), accounts.is_in(user, meta.gid())) {
        KvmDevice::Reachable
    } else {
        KvmDevice::Denied { mode, owner: accounts.user_name(meta.uid()), group: accounts.group_name(meta.gid()) }
    }
}

/// The kernel's rule: the owner's bits for the owner, else the group's, else the others'.
fn may_use(mode: u32, user: Option<u32>, owner: u32, is_in_group: bool) -> bool {
    let both = |shift: u32| (mode >> shift) & 0o6 == 0o6;
    match user {
        Some(0) => true,
        Some(uid) if uid == owner => both(6),
        Some(_) | None if is_in_group => both(3),
        Some(_) | None => both(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_follows_the_kernels_rule() {
        for (mode, user, owner, group, wanted) in [
            (0o600, Some(0), 0, false, true),
            (0o600, Some(64055), 0, false, false),
            (0o600, Some(64055), 0, true, false),
            (0o660, Some(64055), 0, true, true),
            (0o660, Some(64055), 0, false, false),
            (0o666, Some(64055), 0, false, true),
            (0o606, Some(64055), 0, true, false),
            (0o060, Some(7), 7, true, false),
            (0o660, None, 0, false, false),
        ] {
            assert_eq!(may_use(mode, user, owner, group), wanted, "{mode:o} {user:?} {owner} {group}");
        }
    }
}
