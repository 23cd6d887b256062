//! Sizes with their unit in the type, so that MiB is never added to bytes by accident.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! size {
    ($(#[$doc:meta])* $name:ident, $unit:literal, $bytes:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl $name {
            /// The same size in bytes, saturating at `u64::MAX`.
            #[must_use]
            pub const fn bytes(self) -> u64 {
                self.0.saturating_mul($bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {}", self.0, $unit)
            }
        }
    };
}

size!(
    /// 2^20 bytes.
    Mib, "MiB", 1 << 20
);
size!(
    /// 2^30 bytes.
    Gib, "GiB", 1 << 30
);
size!(
    /// 2^10 bytes, the unit in which libvirt counts memory.
    Kib, "KiB", 1 << 10
);

/// A count of bytes for people: `1.5 GiB`, `512 MiB`, `17 bytes`.
#[must_use]
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, size) in UNITS {
        if bytes >= size {
            let tenths = u128::from(bytes) * 10 / u128::from(size);
            return if tenths % 10 == 0 {
                format!("{} {unit}", tenths / 10)
            } else {
                format!("{}.{} {unit}", tenths / 10, tenths % 10)
            };
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_well() {
        assert_eq!(human_bytes(17), "17 bytes");
        assert_eq!(human_bytes(1 << 30), "1 GiB");
        assert_eq!(human_bytes((3 << 30) / 2), "1.5 GiB");
        assert_eq!(human_bytes(u64::MAX), "16777215.9 TiB");
    }

    #[test]
    fn conversion_saturates() {
        assert_eq!(Gib(u64::MAX).bytes(), u64::MAX);
        assert_eq!(Mib(2).bytes(), 2_097_152);
    }
}
