//! What running domains use, from libvirt's bulk statistics.

use std::collections::HashMap;

use virt::connect::Connect;
use virt::error::Error;
use virt::sys;

use super::{Libvirt, ffi};
use crate::hypervisor::Result;
use crate::model::id::VmId;
use crate::model::vm::VmCounters;

/// Of every running domain, in one call that waits for no QEMU.
pub(super) fn all(libvirt: &Libvirt) -> Result<HashMap<VmId, VmCounters>> {
    let groups = sys::VIR_DOMAIN_STATS_STATE
        | sys::VIR_DOMAIN_STATS_CPU_TOTAL
        | sys::VIR_DOMAIN_STATS_BALLOON
        | sys::VIR_DOMAIN_STATS_VCPU
        | sys::VIR_DOMAIN_STATS_INTERFACE
        | sys::VIR_DOMAIN_STATS_BLOCK;
    let flags = sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;
    if libvirt.link.is_test() {
        return libvirt.link.quick(None, allocated);
    }
    let all = libvirt.link.asking(None, |connect| ffi::all_stats(connect, groups, flags))?;
    Ok(all.into_iter().map(|stats| (stats.id, counters_of(&stats.values))).collect())
}

/// What the test driver knows of its running domains: what they were given. It runs nothing, so
/// there is no use to measure (its CPU time is the wall clock).
fn allocated(connect: &Connect) -> std::result::Result<HashMap<VmId, VmCounters>, Error> {
    let mut all = HashMap::new();
    for domain in connect.list_all_domains(sys::VIR_CONNECT_LIST_DOMAINS_ACTIVE)? {
        // Gone between the list and the look: not counted.
        let Ok(info) = domain.info() else { continue };
        let memory_allocated_bytes = info.memory.saturating_mul(1024);
        let counters = VmCounters { vcpus: info.nr_virt_cpu, memory_allocated_bytes, ..VmCounters::default() };
        all.insert(VmId(domain.uuid()?), counters);
    }
    Ok(all)
}

fn counters_of(values: &HashMap<String, ffi::Value>) -> VmCounters {
    let one = |name: &str| values.get(name).map_or(0, |value| value.as_u64());
    let sum = |group: &str, name: &str| -> u64 {
        (0..one(&format!("{group}.count"))).map(|index| one(&format!("{group}.{index}.{name}"))).sum()
    };
    let kib = |name: &str| one(name).saturating_mul(1024);
    let allocated = kib("balloon.current");
    // What the guest says it uses; without its driver, what its process takes of the host.
    let used = if values.contains_key("balloon.unused") && values.contains_key("balloon.available") {
        kib("balloon.available").saturating_sub(kib("balloon.unused"))
    } else {
        kib("balloon.rss")
    };
    VmCounters {
        // Told only after QEMU was asked; without a turn at it (NOWAIT) libvirt leaves it out.
        is_silent: !values.contains_key("balloon.rss"),
        cpu_time_ns: one("cpu.time"),
        vcpus: u32::try_from(one("vcpu.current")).unwrap_or(0),
        memory_used_bytes: used,
        memory_allocated_bytes: allocated,
        disk_read_bytes: sum("block", "rd.bytes"),
        disk_write_bytes: sum("block", "wr.bytes"),
        disk_read_ops: sum("block", "rd.reqs"),
        disk_write_ops: sum("block", "wr.reqs"),
        network_rx_bytes: sum("net", "rx.bytes"),
        network_tx_bytes: sum("net", "tx.bytes"),
        network_rx_packets: sum("net", "rx.pkts"),
        network_tx_packets: sum("net", "tx.pkts"),
    }
}
