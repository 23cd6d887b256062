//! Block devices, network devices and display controllers, from sysfs.

use std::collections::{BTreeMap, HashMap};

use super::{HostRoot, names, number, read};
use crate::model::node::{GpuFacts, NetworkFacts, StorageFacts, StorageKind};

/// Devices that are made of memory, files or other devices.
const NOT_DISKS: [&str; 8] = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"];

pub(super) fn storage(root: &HostRoot) -> Vec<StorageFacts> {
    let base = root.sys.join("block");
    let mounts = mounts(root);
    names(&base)
        .into_iter()
        .filter(|name| !NOT_DISKS.iter().any(|prefix| name.starts_with(prefix)))
        .map(|name| {
            let at = base.join(&name);
            let partitions: Vec<String> = names(&at).into_iter().filter(|part| part.starts_with(&name)).collect();
            let used = |device: &str| {
                let holders = names(base.join(device).join("holders"));
                mounts.get(device).cloned().or_else(|| holders.first().map(|holder| holder_use(root, holder)))
            };
            let usage = used(&name)
                .or_else(|| {
                    partitions.iter().find_map(|part| {
                        mounts.get(part.as_str()).cloned().or_else(|| {
                            names(at.join(part).join("holders")).first().map(|holder| holder_use(root, holder))
                        })
                    })
                })
                .or_else(|| (!partitions.is_empty()).then(|| "partitioned".to_owned()))
                .unwrap_or_default();
            StorageFacts {
                path: format!("/dev/{name}"),
                model: read(at.join("device/model")),
                serial: [at.join("device/serial"), at.join("serial")]
                    .iter()
                    .map(read)
                    .find(|text| !text.is_empty())
                    .unwrap_or_default(),
                size_bytes: number::<u64>(at.join("size")).saturating_mul(512),
                kind: if name.starts_with("nvme") {
                    StorageKind::Nvme
                } else if read(at.join("queue/rotational")) == "0" {
                    StorageKind::Ssd
                } else {
                    StorageKind::Hdd
                },
                available: usage.is_empty(),
                usage,
            }
        })
        .collect()
}

fn holder_use(root: &HostRoot, holder: &str) -> String {
    let kind = read(root.sys.join("block").join(holder).join("dm/uuid"));
    if kind.starts_with("LVM") {
        "lvm".to_owned()
    } else if holder.starts_with("md") {
        "raid".to_owned()
    } else {
        format!("held by {holder}")
    }
}

/// What each device is mounted at, or that it is swap.
fn mounts(root: &HostRoot) -> HashMap<String, String> {
    let mut all = HashMap::new();
    let mounts = read(root.proc.join("mounts"));
    for line in mounts.lines() {
        let mut columns = line.split_whitespace();
        if let (Some(device), Some(at)) = (columns.next(), columns.next())
            && let Some(name) = device.strip_prefix("/dev/")
        {
            all.entry(name.to_owned()).or_insert_with(|| at.to_owned());
        }
    }
    let swaps = read(root.proc.join("swaps"));
    for line in swaps.lines().skip(1) {
        if let Some(name) = line.split_whitespace().next().and_then(|path| path.strip_prefix("/dev/")) {
            all.insert(name.to_owned(), "swap".to_owned());
        }
    }
    all
}

/// Addresses with prefix length by interface, IPv4 first.
pub(super) fn addresses() -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for interface in if_addrs::get_if_addrs().unwrap_or_default() {
        let address = match &interface.addr {
            if_addrs::IfAddr::V4(v4) => format!("{}/{}", v4.ip, v4.prefixlen),
            if_addrs::IfAddr::V6(v6) => format!("{}/{}", v6.ip, v6.prefixlen),
        };
        all.entry(interface.name).or_default().push(address);
    }
    for list in all.values_mut() {
        list.sort_by_key(|address| address.contains(':'));
    }
    all
}

/// The last part of where a link leads.
fn link_name(path: impl AsRef<std::path::Path>) -> String {
    std::fs::read_link(path)
        .ok()
        .and_then(|target| target.file_name().map(|name| name.to_string_lossy().into_owned()))
        .unwrap_or_default()
}

pub(super) fn network(root: &HostRoot) -> Vec<NetworkFacts> {
    let base = root.sys.join("class/net");
    let addresses = addresses();
    names(&base)
        .into_iter()
        // The guests' own ends are not the host's devices.
        .filter(|name| name != "lo" && !name.starts_with("vnet") && !name.starts_with("tap"))
        .map(|name| {
            let at = base.join(&name);
            let master = link_name(at.join("master"));
            let is_bridge = |device: &str| base.join(device).join("bridge").exists();
            let vlan = read(root.proc.join("net/vlan").join(&name));
            NetworkFacts {
                mac_address: read(at.join("address")),
                driver: link_name(at.join("device/driver")),
                speed_mbps: read(at.join("speed"))
                    .parse::<i64>()
                    .ok()
                    .and_then(|speed| u64::try_from(speed).ok())
                    .unwrap_or(0),
                mtu: number(at.join("mtu")),
                numa_node: read(at.join("device/numa_node"))
                    .parse::<i64>()
                    .ok()
                    .and_then(|node| u32::try_from(node).ok())
                    .unwrap_or(0),
                sriov_vfs_total: number(at.join("device/sriov_totalvfs")),
                sriov_vfs_used: number(at.join("device/sriov_numvfs")),
                ip_addresses: addresses.get(&name).cloned().unwrap_or_default(),
                bridge: if is_bridge(&master) { master.clone() } else { String::new() },
                bond: if base.join(&master).join("bonding").exists() { master } else { String::new() },
                vlan_id: vlan
                    .split_whitespace()
                    .skip_while(|word| *word != "VID:")
                    .nth(1)
                    .and_then(|id| id.parse().ok())
                    .unwrap_or(0),
                name,
            }
        })
        .collect()
}

/// Makers of display controllers by PCI vendor id.
const VENDORS: [(&str, &str); 7] = [
    ("0x10de", "NVIDIA"),
    ("0x1002", "AMD"),
    ("0x8086", "Intel"),
    ("0x1a03", "ASPEED"),
    ("0x102b", "Matrox"),
    ("0x1234", "QEMU"),
    ("0x1af4", "Red Hat"),
];

pub(super) fn gpus(root: &HostRoot) -> Vec<GpuFacts> {
    let base = root.sys.join("bus/pci/devices");
    names(&base)
        .into_iter()
        .filter(|address| read(base.join(address).join("class")).starts_with("0x03"))
        .map(|address| {
            let at = base.join(&address);
            let vendor = read(at.join("vendor"));
            GpuFacts {
                vendor: VENDORS
                    .iter()
                    .find(|(id, _)| *id == vendor)
                    .map_or(vendor.clone(), |(_, name)| (*name).to_owned()),
                model: read(at.join("device")),
                memory_bytes: number(at.join("mem_info_vram_total")),
                driver: link_name(at.join("driver")),
                pci_address: address,
            }
        })
        .collect()
}
