//! What the service asks of the machine under it. The demo shows another machine's facts: that is
//! the one reason why this is a trait.

use std::path::Path;

use crate::hypervisor::HostOffer;
use crate::model::node::{NodeFacts, NodeLoad};

use super::super::conditions::{Filesystem, KvmDevice};

/// A machine that can be looked at. Every call blocks, and none for long but `filesystem`, which
/// hangs with a dead network mount.
pub trait Machine: Send + Sync + 'static {
    /// Its name.
    fn hostname(&self) -> String;

    /// The address at which others most likely reach it; empty: unknown.
    fn management_ip(&self) -> String;

    /// What it is made of.
    fn facts(&self) -> NodeFacts;

    /// What it does; rates are since the call before.
    fn load(&self) -> NodeLoad;

    /// The use of the file system of this path; `None`: there is none. `what` is carried through.
    fn filesystem(&self, what: String, path: &Path) -> Option<Filesystem>;

    /// Whether this process can use `/dev/kvm`. It need not: libvirt's QEMU does.
    fn kvm_device(&self) -> KvmDevice {
        match std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
            Ok(_) => KvmDevice::Usable,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => KvmDevice::Absent,
            Err(error) => KvmDevice::Closed(error.to_string()),
        }
    }

    /// Names of the host's bridges.
    fn bridges(&self) -> Vec<String>;
}

/// Facts as procfs and sysfs tell them, and what libvirt knows beside: where both speak, the
/// kernel is believed.
#[must_use]
pub fn complete(mut facts: NodeFacts, offer: Option<&HostOffer>) -> NodeFacts {
    let Some(offer) = offer else {
        return facts;
    };
    facts.system.hypervisor.clone_from(&offer.hypervisor);
    facts.system.hypervisor_version.clone_from(&offer.hypervisor_version);
    let cpu = &mut facts.cpu;
    if cpu.model.is_empty() {
        cpu.model.clone_from(&offer.cpu_model);
    }
    if cpu.frequency_mhz == 0 {
        cpu.frequency_mhz = u64::from(offer.cpu_mhz);
    }
    if cpu.sockets == 0 || cpu.cores_per_socket == 0 || cpu.threads_per_core == 0 {
        cpu.sockets = offer.sockets;
        cpu.cores_per_socket = offer.cores_per_socket;
        cpu.threads_per_core = offer.threads_per_core;
    }
    if cpu.total_threads == 0 {
        cpu.total_threads = offer.sockets.saturating_mul(offer.cores_per_socket).saturating_mul(offer.threads_per_core);
    }
    if facts.memory.total_bytes == 0 {
        facts.memory.total_bytes = offer.memory_bytes;
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libvirt_fills_only_what_the_kernel_left_out() {
        let offer = HostOffer {
            hypervisor: "QEMU".to_owned(),
            hypervisor_version: "7.2.0".to_owned(),
            cpu_model: "x86_64".to_owned(),
            cpu_mhz: 2900,
            sockets: 2,
            cores_per_socket: 8,
            threads_per_core: 2,
            memory_bytes: 64 << 30,
            ..HostOffer::default()
        };
        let mut known = NodeFacts::default();
        known.cpu.model = "Intel Xeon".to_owned();
        known.cpu.total_threads = 30;
        let full = complete(known.clone(), Some(&offer));
        assert_eq!((full.cpu.model.as_str(), full.cpu.total_threads), ("Intel Xeon", 30));
        assert_eq!((full.cpu.sockets, full.cpu.frequency_mhz, full.memory.total_bytes), (2, 2900, 64 << 30));
        assert_eq!(full.system.hypervisor_version, "7.2.0");
        assert_eq!(complete(NodeFacts::default(), Some(&offer)).cpu.total_threads, 32);
        assert_eq!(complete(known.clone(), None), known);
    }
}
