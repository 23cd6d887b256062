use super::*;

fn put(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().expect("it has a parent")).expect("a temporary folder is writable");
    std::fs::write(path, text).expect("a temporary file is writable");
}

#[test]
fn a_made_machine_is_told_as_it_is() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = HostRoot { proc: dir.path().join("proc"), sys: dir.path().join("sys"), etc: dir.path().join("etc") };
    for (file, text) in [
        ("proc/cpuinfo", "processor : 0\nmodel name : Test CPU\nflags : vmx aes\ncpu MHz : 2400.5\n"),
        ("proc/meminfo", "MemTotal: 1024 kB\n"),
        ("proc/stat", "cpu 1 2\nbtime 1700000000\n"),
        ("proc/mounts", "/dev/nvme0n1p1 / ext4 rw 0 0\n"),
        ("proc/swaps", "Filename\n/dev/sdb partition 1 2\n"),
        ("etc/os-release", "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n"),
        ("sys/devices/system/cpu/online", "0-3\n"),
        ("sys/devices/system/node/node0/cpulist", "0-1\n"),
        ("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal: 512 kB\n"),
        ("sys/devices/system/node/node1/cpulist", "2,3\n"),
        ("sys/block/nvme0n1/size", "2048\n"),
        ("sys/block/nvme0n1/nvme0n1p1/size", "1024\n"),
        ("sys/block/nvme0n1/device/model", "Fast\n"),
        ("sys/block/sda/queue/rotational", "0\n"),
        ("sys/block/sdb/queue/rotational", "1\n"),
        ("sys/block/loop0/size", "1\n"),
        ("sys/class/net/br0/bridge/x", ""),
        ("sys/class/net/eth9/mtu", "9000\n"),
        ("sys/class/net/eth9/speed", "-1\n"),
        ("sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n"),
        ("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n"),
    ] {
        put(dir.path(), file, text);
    }
    for cpu in 0..4 {
        put(
            dir.path(),
            &format!("sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id"),
            &(cpu / 2).to_string(),
        );
        put(dir.path(), &format!("sys/devices/system/cpu/cpu{cpu}/topology/core_id"), "0");
    }
    std::os::unix::fs::symlink("../br0", dir.path().join("sys/class/net/eth9/master")).expect("a link");
    let facts = facts(&root);
    assert_eq!(
        (facts.cpu.sockets, facts.cpu.cores_per_socket, facts.cpu.threads_per_core, facts.cpu.total_threads),
        (2, 1, 2, 4)
    );
    assert_eq!(facts.cpu.frequency_mhz, 2400);
    assert_eq!(facts.cpu.numa[0].memory_bytes, 512 * 1024);
    assert_eq!(facts.cpu.numa[1].cpus, [2, 3]);
    assert_eq!(facts.memory.total_bytes, 1 << 20);
    let disks: Vec<(&str, &str, bool)> =
        facts.storage.iter().map(|disk| (disk.path.as_str(), disk.usage.as_str(), disk.available)).collect();
    assert_eq!(disks, [("/dev/nvme0n1", "/", false), ("/dev/sda", "", true), ("/dev/sdb", "swap", false)]);
    let nic = facts.network.iter().find(|nic| nic.name == "eth9").expect("eth9 is there");
    assert_eq!((nic.bridge.as_str(), nic.mtu, nic.speed_mbps), ("br0", 9000, 0));
    assert_eq!(facts.gpus[0].vendor, "NVIDIA");
    assert_eq!((facts.system.os_version.as_str(), facts.system.boot_time_unix), ("12", 1_700_000_000));
}

#[test]
fn a_machine_without_anything_is_no_error() {
    let root = HostRoot { proc: "/nowhere".into(), sys: "/nowhere".into(), etc: "/nowhere".into() };
    let facts = facts(&root);
    assert!(facts.storage.is_empty() && facts.gpus.is_empty());
    assert_eq!(facts.memory.total_bytes, 0);
}

#[test]
fn this_machine_has_a_cpu_memory_and_a_load() {
    let facts = facts(&HostRoot::default());
    assert!(facts.cpu.total_threads > 0 && facts.memory.total_bytes > 0);
    let mut sampler = Sampler::new("/".into());
    sampler.sample();
    let load = sampler.sample();
    assert!(load.memory_total_bytes > 0 && load.storage_total_bytes > 0);
    assert!((0.0..=100.0).contains(&load.cpu_usage_percent));
}
