//! What this machine is made of and how loaded it is, from procfs and sysfs. Missing facts are
//! empty, never guessed and never an error: virtual machines and containers lack many of them.

pub mod accounts;
mod devices;
pub mod inside;
pub mod kvm;
mod load;
pub mod orphans;
pub mod paths;
pub mod peer;
pub mod ports;
pub mod software;

use std::path::{Path, PathBuf};

use crate::model::node::{CpuFacts, MemoryFacts, NodeFacts, NumaFacts, SystemFacts};

pub use load::{Sampler, disk_traffic};

/// Where the kernel's facts lie; tests put a made tree there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRoot {
    pub proc: PathBuf,
    pub sys: PathBuf,
    pub etc: PathBuf,
}

impl Default for HostRoot {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into(), etc: "/etc".into() }
    }
}

/// A file's text, trimmed; empty where it cannot be read.
fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn number<T: std::str::FromStr + Default>(path: impl AsRef<Path>) -> T {
    read(path).parse().unwrap_or_default()
}

/// The names in a directory, sorted.
fn names(path: impl AsRef<Path>) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(path)
        .map(|entries| entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

/// Everything.
#[must_use]
pub fn facts(root: &HostRoot) -> NodeFacts {
    NodeFacts {
        cpu: cpu(root),
        memory: memory(root),
        storage: devices::storage(root),
        network: devices::network(root),
        gpus: devices::gpus(root),
        system: system(root),
    }
}

/// This machine's name.
#[must_use]
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The kernel's id of this boot: another one after every restart of the machine.
#[must_use]
pub fn boot_id(root: &HostRoot) -> String {
    read(root.proc.join("sys/kernel/random/boot_id"))
}

/// Addresses of this host that others reach it by.
#[must_use]
pub fn addresses() -> Vec<std::net::IpAddr> {
    let found = if_addrs::get_if_addrs().unwrap_or_default();
    let link_local = |address: &std::net::IpAddr| match address {
        std::net::IpAddr::V4(v4) => v4.is_link_local(),
        std::net::IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    found.iter().map(|interface| interface.ip()).filter(|address| !link_local(address)).collect()
}

/// The address of the interface that the default route leaves by; empty: none.
#[must_use]
pub fn management_ip(root: &HostRoot) -> String {
    let routes = read(root.proc.join("net/route"));
    let interface = routes.lines().skip(1).find_map(|line| {
        let mut columns = line.split_whitespace();
        let name = columns.next()?;
        (columns.next()? == "00000000").then(|| name.to_owned())
    });
    let addresses = devices::addresses();
    interface
        .and_then(|name| addresses.get(&name).cloned())
        .or_else(|| addresses.into_iter().find(|(name, _)| name != "lo").map(|(_, ips)| ips))
        .and_then(|ips| ips.into_iter().next())
        .map(|ip| ip.split('/').next().unwrap_or_default().to_owned())
        .unwrap_or_default()
}

/// Bytes in use and in all on the file system of this path; `None`: it cannot be read.
#[must_use]
pub fn space(path: &Path) -> Option<(u64, u64)> {
    let space = rustix::fs::statvfs(path).ok()?;
    let total = space.f_blocks.saturating_mul(space.f_frsize);
    Some((total.saturating_sub(space.f_bfree.saturating_mul(space.f_frsize)), total))
}

/// Names of the host's bridges.
#[must_use]
pub fn bridges(root: &HostRoot) -> Vec<String> {
    let base = root.sys.join("class/net");
    names(&base).into_iter().filter(|name| base.join(name).join("bridge").exists()).collect()
}

/// The numbers of a kernel list such as `0-3,8`.
fn list(text: &str) -> Vec<u32> {
    text.split(',')
        .filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some(from.trim().parse().ok()?..=to.trim().parse().ok()?)
        })
        .flatten()
        .take(4096)
        .collect()
}

fn cpu(root: &HostRoot) -> CpuFacts {
    let info = read(root.proc.join("cpuinfo"));
    let field = |name: &str| {
        info.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let base = root.sys.join("devices/system/cpu");
    let cpus: Vec<u32> = list(&read(base.join("online")));
    let threads = u32::try_from(cpus.len())
        .unwrap_or(0)
        .max(u32::try_from(info.lines().filter(|line| line.starts_with("processor")).count()).unwrap_or(0));
    let mut packages = std::collections::BTreeSet::new();
    let mut cores = std::collections::BTreeSet::new();
    for cpu in &cpus {
        let topology = base.join(format!("cpu{cpu}/topology"));
        let package = read(topology.join("physical_package_id"));
        cores.insert((package.clone(), read(topology.join("core_id"))));
        packages.insert(package);
    }
    let sockets = u32::try_from(packages.len()).unwrap_or(1).max(1);
    let cores = u32::try_from(cores.len()).unwrap_or(1).max(1);
    let khz: u64 = number(base.join("cpu0/cpufreq/cpuinfo_max_freq"));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "megahertz are small and positive")]
    let mhz = if khz > 0 { khz / 1000 } else { field("cpu MHz").parse::<f64>().unwrap_or(0.0).max(0.0) as u64 };
    CpuFacts {
        model: field("model name"),
        sockets,
        cores_per_socket: (cores / sockets).max(1),
        threads_per_core: (threads / cores).max(1),
        total_threads: threads,
        frequency_mhz: mhz,
        features: field("flags").split_whitespace().map(str::to_owned).collect(),
        numa: numa(root),
    }
}

fn numa(root: &HostRoot) -> Vec<NumaFacts> {
    let base = root.sys.join("devices/system/node");
    names(&base)
        .iter()
        .filter_map(|name| name.strip_prefix("node")?.parse::<u32>().ok())
        .map(|node| {
            let at = base.join(format!("node{node}"));
            let memory = read(at.join("meminfo"));
            let kib = memory
                .lines()
                .find(|line| line.contains("MemTotal:"))
                .and_then(|line| line.split_whitespace().rev().nth(1)?.parse::<u64>().ok())
                .unwrap_or(0);
            NumaFacts { node, cpus: list(&read(at.join("cpulist"))), memory_bytes: kib * 1024 }
        })
        .collect()
}

/// A line of `/proc/meminfo`, in bytes.
fn meminfo(root: &HostRoot, key: &str) -> u64 {
    read(root.proc.join("meminfo"))
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| value.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

fn memory(root: &HostRoot) -> MemoryFacts {
    let pages = |size: &str, what: &str| -> u64 {
        number(root.sys.join(format!("kernel/mm/hugepages/hugepages-{size}/{what}")))
    };
    MemoryFacts {
        total_bytes: meminfo(root, "MemTotal"),
        huge_2m_total: pages("2048kB", "nr_hugepages"),
        huge_2m_free: pages("2048kB", "free_hugepages"),
        huge_1g_total: pages("1048576kB", "nr_hugepages"),
        huge_1g_free: pages("1048576kB", "free_hugepages"),
    }
}

fn system(root: &HostRoot) -> SystemFacts {
    let release = read(root.etc.join("os-release"));
    let field = |name: &str| {
        release
            .lines()
            .filter_map(|line| line.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim_matches('"').to_owned())
            .unwrap_or_default()
    };
    let boot_time = read(root.proc.join("stat"))
        .lines()
        .find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
        .unwrap_or(0);
    SystemFacts {
        os_name: field("NAME"),
        os_version: field("VERSION_ID"),
        kernel_version: read(root.proc.join("sys/kernel/osrelease")),
        hypervisor: String::new(),
        hypervisor_version: String::new(),
        boot_time_unix: boot_time,
    }
}

#[cfg(test)]
mod tests;
