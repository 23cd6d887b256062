//! Each rule on both sides of its limit.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::spec::*;
// Both globs have one.
use super::super::spec::Rng;
use super::super::units::{Gib, Mib};
use super::*;

fn good() -> VmSpec {
    VmSpec {
        cpu: Cpu { cores: 2, ..Cpu::default() },
        memory: Memory { size: Mib(1024), ..Memory::default() },
        ..VmSpec::default()
    }
}

fn fields(found: &[Violation]) -> Vec<&str> {
    found.iter().map(|violation| violation.field.as_str()).collect()
}

fn asked(edit: impl FnOnce(&mut VmSpec)) -> Vec<String> {
    let mut spec = good();
    edit(&mut spec);
    vm_create("web-1", "", &BTreeMap::new(), &spec).into_iter().map(|violation| violation.field).collect()
}

const UUID: &str = "00000000-0000-4000-8000-0000000000aa";

#[test]
fn names() {
    for fine in ["a", "9", "web-1", "A_b-C", &"x".repeat(255)] {
        assert_eq!(name(fine, "name"), None, "{fine}");
    }
    for bad in ["", "-a", "_a", "a b", "a.b", "ä", "a/b", "../x", "a\n", "a\0", "<a>", &"x".repeat(256), UUID] {
        let violation = name(bad, "name").unwrap_or_else(|| panic!("{bad:?} was taken for a name"));
        assert_eq!(violation.field, "name");
        assert!(violation.description.chars().count() < 160, "{violation}");
        assert!(!violation.description.contains(['\n', '\0']), "{violation}");
    }
}

#[test]
fn a_message_names_limit_and_value() {
    let violation = name(&"x".repeat(300), "name").expect("300 characters are too many");
    let text = violation.to_string();
    assert!(text.starts_with("name: ") && text.contains("255") && text.contains("300"), "{text}");
}

#[test]
fn texts_and_labels() {
    assert_eq!(description("two\nlines\tand a tab"), None);
    assert_eq!(description(&"ä".repeat(1000)), None);
    assert!(description(&"ä".repeat(1001)).is_some());
    for bad in ["\0", "a\u{1b}[31m", "\r\n", "\u{7f}", "\u{85}", "\u{ffff}"] {
        assert!(description(bad).is_some(), "{bad:?}");
    }
    let pairs = |count: usize| (0..count).map(|n| (format!("k{n}"), String::new())).collect::<BTreeMap<_, _>>();
    assert!(labels(&pairs(50)).is_empty());
    assert_eq!(fields(&labels(&pairs(51))), ["labels"]);
    let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    assert!(labels(&one(&"k".repeat(63), &"v".repeat(255))).is_empty());
    assert_eq!(labels(&one(&"k".repeat(64), "")).len(), 1);
    assert_eq!(labels(&one("", "")).len(), 1);
    assert_eq!(labels(&one("k", &"v".repeat(256))).len(), 1);
    assert_eq!(fields(&labels(&one("tier", "\u{7}"))), ["labels[\"tier\"]"]);
}

#[test]
fn all_violations_at_once() {
    let found = vm_create("", &"d".repeat(1001), &BTreeMap::from([(String::new(), String::new())]), &VmSpec::default());
    let found = fields(&found);
    for field in ["name", "description", "labels[\"\"]", "spec.cpu.cores", "spec.memory.size_mib"] {
        assert!(found.contains(&field), "{field} is missing in {found:?}");
    }
}

#[test]
fn cpu_and_memory() {
    assert!(asked(|_| ()).is_empty());
    assert!(asked(|s| s.cpu.cores = 256).is_empty());
    assert_eq!(asked(|s| s.cpu.cores = 257), ["spec.cpu.cores"]);
    assert_eq!(asked(|s| s.cpu.cores = u32::MAX), ["spec.cpu.cores"]);
    assert_eq!(asked(|s| s.cpu.sockets = 3), ["spec.cpu.sockets"]);
    assert_eq!(asked(|s| s.cpu.threads_per_core = 3), ["spec.cpu.threads_per_core"]);
    assert_eq!(asked(|s| (s.cpu.sockets, s.cpu.threads_per_core) = (2, 2)), ["spec.cpu.sockets"]);
    assert_eq!(asked(|s| (s.cpu.sockets, s.cpu.threads_per_core) = (u32::MAX, u32::MAX)), ["spec.cpu.sockets"]);
    assert!(asked(|s| (s.cpu.cores, s.cpu.sockets, s.cpu.threads_per_core) = (8, 2, 2)).is_empty());
    assert_eq!(asked(|s| (s.cpu.sockets, s.cpu.max_cores) = (2, 3)), ["spec.cpu.sockets"]);
    assert_eq!(asked(|s| s.cpu.max_cores = 1), ["spec.cpu.max_cores"]);
    assert!(asked(|s| s.cpu.max_cores = 4).is_empty());
    assert!(asked(|s| s.cpu.model = "Skylake-Server-IBRS".to_owned()).is_empty());
    assert_eq!(asked(|s| s.cpu.model = "<cpu/>".to_owned()), ["spec.cpu.model"]);
    assert!(asked(|s| s.cpu.features.custom_flags = vec!["-hle".to_owned(), "pdpe1gb".to_owned()]).is_empty());
    for bad in ["", "-", "--x", "a b", "a'"] {
        assert_eq!(
            asked(|s| s.cpu.features.custom_flags = vec![bad.to_owned()]),
            ["spec.cpu.features.custom_flags[0]"],
            "{bad}"
        );
    }
    assert_eq!(
        asked(|s| s.cpu.features.custom_flags = vec!["avx".to_owned(), "-avx".to_owned()]),
        ["spec.cpu.features.custom_flags[1]"]
    );
    for (size, fine) in [(255, false), (256, true), (1 << 20, true), ((1 << 20) + 1, false), (u64::MAX, false)] {
        assert_eq!(asked(|s| s.memory.size = Mib(size)).is_empty(), fine, "{size}");
    }
    assert_eq!(asked(|s| s.memory.max = Mib(512)), ["spec.memory.max_memory_mib"]);
    assert_eq!(asked(|s| s.memory.max = Mib((1 << 20) + 1)), ["spec.memory.max_memory_mib"]);
    assert!(asked(|s| s.memory.max = Mib(2048)).is_empty());
    assert_eq!(
        asked(|s| (s.memory.max, s.memory.ballooning) = (Mib(2048), Some(false))),
        ["spec.memory.max_memory_mib"]
    );
}

fn disk(edit: impl FnOnce(&mut Disk)) -> Vec<String> {
    let mut disk = Disk::default();
    edit(&mut disk);
    asked(|s| s.disks = vec![disk])
}

#[test]
fn a_disk_is_one_of_three() {
    assert_eq!(disk(|_| ()), ["spec.disks[0].size_gib"]);
    for (size, fine) in [(1, true), (65_536, true), (65_537, false), (u64::MAX, false)] {
        assert_eq!(disk(|d| d.size = Gib(size)).is_empty(), fine, "{size}");
    }
    assert!(disk(|d| d.volume = "data.qcow2".to_owned()).is_empty());
    let file = |d: &mut Disk| (d.path, d.format) = ("/srv/a.img".to_owned(), Some(DiskFormat::Raw));
    assert!(disk(file).is_empty());
    assert_eq!(disk(|d| d.path = "/srv/a.img".to_owned()), ["spec.disks[0].format"]);
    for (edit, field) in [
        ((|d| d.size = Gib(1)) as fn(&mut Disk), "size_gib"),
        (|d| d.pool = "p".to_owned(), "storage_pool_id"),
        (|d| d.volume = "v".to_owned(), "volume_id"),
        (|d| d.provisioning = DiskProvisioning::ThickEager, "provisioning"),
        (|d| (d.backing_file, d.backing_format) = ("/b".to_owned(), Some(DiskFormat::Raw)), "backing_file"),
    ] {
        let found = disk(|d| {
            file(d);
            edit(d);
        });
        assert_eq!(found, [format!("spec.disks[0].{field}")]);
    }
    let over = |d: &mut Disk| (d.size, d.backing_file) = (Gib(1), "/srv/base.qcow2".to_owned());
    assert_eq!(disk(over), ["spec.disks[0].backing_format"]);
    let over = |d: &mut Disk| {
        over(d);
        d.backing_format = Some(DiskFormat::Qcow2);
    };
    assert!(disk(over).is_empty());
    assert_eq!(
        disk(|d| {
            over(d);
            d.format = Some(DiskFormat::Raw);
        }),
        ["spec.disks[0].format"]
    );
    assert_eq!(
        disk(|d| (d.size, d.backing_format) = (Gib(1), Some(DiskFormat::Raw))),
        ["spec.disks[0].backing_format"]
    );
    assert_eq!(disk(|d| (d.size, d.readonly) = (Gib(1), true)), ["spec.disks[0].readonly"]);
    assert!(disk(|d| (d.volume, d.readonly) = ("v".to_owned(), true)).is_empty());
    assert_eq!(
        disk(|d| (d.volume, d.readonly, d.bus) = ("v".to_owned(), true, Some(DiskBus::Sata))),
        ["spec.disks[0].readonly"]
    );
}

#[test]
fn paths_have_one_spelling() {
    for bad in
        ["a.img", "./a", "/a/../b", "/a//b", "/a/", "/", "/a/./b", "/a\nb", "/a\0", &format!("/{}", "x".repeat(4095))]
    {
        assert_eq!(
            disk(|d| (d.path, d.format) = (bad.to_owned(), Some(DiskFormat::Raw))),
            ["spec.disks[0].path"],
            "{bad:?}"
        );
        assert_eq!(
            asked(|s| s.cdroms = vec![Cdrom { iso_path: bad.to_owned(), ..Cdrom::default() }]),
            ["spec.cdroms[0].iso_path"]
        );
    }
    assert!(asked(|s| s.cdroms = vec![Cdrom { iso_path: "/iso/a b.iso".to_owned(), ..Cdrom::default() }]).is_empty());
}

#[test]
fn io_limits() {
    let limits = |edit: fn(&mut IoLimits)| {
        disk(|d| {
            d.size = Gib(1);
            edit(&mut d.io_limits);
        })
    };
    assert!(limits(|l| (l.read_iops, l.burst_iops, l.burst_duration_sec) = (100, 200, 5)).is_empty());
    assert_eq!(limits(|l| l.burst_iops = 200), ["spec.disks[0].io_limits.burst_iops"]);
    assert_eq!(limits(|l| (l.write_iops, l.burst_iops) = (100, 99)), ["spec.disks[0].io_limits.burst_iops"]);
    assert_eq!(limits(|l| (l.read_iops, l.burst_bytes) = (100, 1)), ["spec.disks[0].io_limits.burst_bytes"]);
    assert_eq!(limits(|l| l.burst_duration_sec = 1), ["spec.disks[0].io_limits.burst_duration_sec"]);
    assert_eq!(limits(|l| l.read_bytes_sec = u64::MAX), ["spec.disks[0].io_limits.read_bytes_sec"]);
}

#[test]
fn nothing_is_there_twice() {
    let of = |id: &str| Disk { id: id.to_owned(), size: Gib(1), ..Disk::default() };
    assert_eq!(asked(|s| s.disks = vec![of("vda"), of("vda")]), ["spec.disks[1].id"]);
    assert_eq!(
        asked(|s| {
            s.disks = vec![of("sda")];
            s.cdroms = vec![Cdrom { id: "sda".to_owned(), ..Cdrom::default() }];
        }),
        ["spec.cdroms[0].id"]
    );
    let volume = |pool: &str| Disk { pool: pool.to_owned(), volume: "v".to_owned(), ..Disk::default() };
    assert_eq!(asked(|s| s.disks = vec![volume(""), volume("default")]), ["spec.disks[1]"]);
    assert!(asked(|s| s.disks = vec![volume("a"), volume("b")]).is_empty());
    assert_eq!(
        asked(|s| {
            s.disks = vec![Disk { boot_index: 1, ..of("") }];
            s.nics = vec![Nic { boot_index: 1, ..Nic::default() }];
        }),
        ["spec.nics[0].boot_index"]
    );
    assert_eq!(asked(|s| s.disks = vec![of(""); 33]), ["spec.disks"]);
    assert_eq!(asked(|s| s.cdroms = vec![Cdrom::default(); 5]), ["spec.cdroms"]);
    assert_eq!(asked(|s| s.nics = vec![Nic::default(); 17]), ["spec.nics"]);
    assert!(asked(|s| (s.disks, s.cdroms, s.nics) = (vec![of(""); 32], vec![Cdrom::default(); 4], vec![Nic::default(); 16]))
        .is_empty());
}

#[test]
fn network_cards() {
    let nic = |edit: fn(&mut Nic)| {
        let mut nic = Nic::default();
        edit(&mut nic);
        asked(|s| s.nics = vec![nic])
    };
    assert!(nic(|_| ()).is_empty());
    assert!(nic(|n| n.mac = "52:54:00:AB:cd:ef".to_owned()).is_empty());
    for bad in
        ["52:54:00:ab:cd", "52-54-00-ab-cd-ef", "+5:54:00:ab:cd:ef", "53:54:00:ab:cd:ef", "00:00:00:00:00:00", "x"]
    {
        let found = asked(|s| s.nics = vec![Nic { mac: bad.to_owned(), ..Nic::default() }]);
        assert_eq!(found, ["spec.nics[0].mac_address"], "{bad}");
    }
    assert_eq!(
        nic(|n| (n.id, n.mac) = ("52:54:00:00:00:01".to_owned(), "52:54:00:00:00:02".to_owned())),
        ["spec.nics[0].id"]
    );
    assert!(nic(|n| (n.id, n.mac) = ("52:54:00:00:00:0A".to_owned(), "52:54:00:00:00:0a".to_owned())).is_empty());
    assert_eq!(
        asked(|s| {
            s.nics = ["52:54:00:00:00:0A", "52:54:00:00:00:0a"]
                .map(|mac| Nic { mac: mac.to_owned(), ..Nic::default() })
                .to_vec();
        }),
        ["spec.nics[1].mac_address"]
    );
    assert!(nic(|n| n.bridge = "br0.100-example".to_owned()).is_empty());
    for bad in ["sixteen-letters0", "a b", "a/b", "a:b", ".."] {
        let found = asked(|s| s.nics = vec![Nic { bridge: bad.to_owned(), ..Nic::default() }]);
        assert_eq!(found, ["spec.nics[0].bridge"], "{bad}");
    }
    assert_eq!(nic(|n| (n.bridge, n.network) = ("br0".to_owned(), "default".to_owned())), ["spec.nics[0].bridge"]);
    assert_eq!(nic(|n| n.qos.burst_kb = 1), ["spec.nics[0].qos.burst_kb"]);
    assert_eq!(nic(|n| n.qos.egress_rate_mbps = 1_000_001), ["spec.nics[0].qos.egress_rate_mbps"]);
}

#[test]
fn booting() {
    let order = |class, id: &str| BootDevice { class, device_id: id.to_owned() };
    assert!(asked(|s| s.boot.order = vec![order(BootClass::Disk, ""), order(BootClass::Network, "")]).is_empty());
    assert_eq!(asked(|s| s.boot.order = vec![order(BootClass::Disk, "vda")]), ["spec.boot.boot_order[0].device_id"]);
    let vda = Disk { id: "vda".to_owned(), size: Gib(1), ..Disk::default() };
    assert!(asked(|s| (s.disks, s.boot.order) = (vec![vda.clone()], vec![order(BootClass::Disk, "vda")])).is_empty());
    assert_eq!(
        asked(|s| (s.disks, s.boot.order) = (vec![vda.clone()], vec![order(BootClass::Disk, "vda"); 2])),
        ["spec.boot.boot_order[1]"]
    );
    assert_eq!(
        asked(|s| {
            s.disks = vec![Disk { boot_index: 1, ..vda.clone() }];
            s.boot.order = vec![order(BootClass::Disk, "vda")];
        }),
        ["spec.boot.boot_order"]
    );
    assert!(asked(|s| s.boot.menu_timeout_sec = 65).is_empty());
    assert_eq!(asked(|s| s.boot.menu_timeout_sec = 66), ["spec.boot.menu_timeout_sec"]);
    let direct = |kernel: &str, initrd: &str| {
        let direct =
            DirectBoot { kernel_path: kernel.to_owned(), initrd_path: initrd.to_owned(), cmdline: String::new() };
        asked(|s| s.boot.direct = Some(direct))
    };
    assert!(direct("/boot/vmlinuz", "").is_empty());
    assert_eq!(direct("", "/initrd"), ["spec.boot.direct_boot.kernel_path"]);
    assert_eq!(direct("vmlinuz", "initrd"), ["spec.boot.direct_boot.kernel_path", "spec.boot.direct_boot.initrd_path"]);
}

#[test]
fn smaller_devices() {
    let tpm = |version| Some(Tpm { enabled: Some(true), version, persistent: false });
    assert_eq!(asked(|s| (s.tpm, s.firmware) = (tpm(TpmVersion::V1_2), Some(Firmware::Uefi))), ["spec.tpm.version"]);
    assert!(asked(|s| (s.tpm, s.firmware) = (tpm(TpmVersion::V2_0), Some(Firmware::UefiSecureBoot))).is_empty());
    assert!(asked(|s| s.tpm = tpm(TpmVersion::V1_2)).is_empty());
    assert_eq!(asked(|s| s.rng = Some(Rng { backend: "/dev/sda".to_owned(), ..Rng::default() })), ["spec.rng.backend"]);
    assert_eq!(asked(|s| s.rng = Some(Rng { period_ms: 5, ..Rng::default() })), ["spec.rng.period_ms"]);
    assert!(asked(|s| s.serial_ports = Some(4)).is_empty());
    assert_eq!(asked(|s| s.serial_ports = Some(5)), ["spec.serial.count"]);
    assert!(asked(|s| s.display.video_memory = Mib(1024)).is_empty());
    assert_eq!(asked(|s| s.display.video_memory = Mib(1025)), ["spec.display.video_memory_mib"]);
    assert_eq!(asked(|s| s.guest_os.variant = "v".repeat(256)), ["spec.guest_os.variant"]);
}

#[test]
fn what_a_definition_says_already_refuses_no_change() {
    let mut old = good();
    old.disks = vec![Disk {
        id: "vda".to_owned(),
        path: "/srv/a.img".to_owned(),
        pool: "default".to_owned(),
        volume: "a.img".to_owned(),
        size: Gib(3),
        ..Disk::default()
    }];
    assert_eq!(fields(&spec(&old, "spec")), ["spec.disks[0].format"], "only the missing format");
    let mut new = old.clone();
    new.memory.size = Mib(2048);
    assert!(spec_change(&old, &new, "spec").is_empty());
    new.memory.size = Mib(1);
    assert_eq!(fields(&spec_change(&old, &new, "spec")), ["spec.memory.size_mib"]);
}

#[test]
fn nodes() {
    let found = |host: &str, ip: &str| {
        node_register(host, ip, "", &BTreeMap::new()).into_iter().map(|v| v.field).collect::<Vec<_>>()
    };
    assert!(found("hypervisor-02", "192.0.2.7").is_empty());
    assert!(found("a.example", "[2001:db8::1]:9443").is_empty());
    assert!(found("a", "192.0.2.7:9443").is_empty());
    assert_eq!(found("", ""), ["hostname", "management_ip"]);
    assert_eq!(found("a..b", "nowhere"), ["hostname", "management_ip"]);
    assert_eq!(found(&"a".repeat(254), "::1"), ["hostname"]);
}

#[test]
fn ranges() {
    assert_eq!(range("limit", 0, 1, 1000, Some("100")), None);
    assert_eq!(range("limit", 1000, 1, 1000, Some("100")), None);
    assert!(range("limit", 1001, 1, 1000, Some("100")).is_some_and(|v| v.description.contains("1001")));
    assert!(range("limit", 0, 1, 1000, None).is_some());
    assert!(range("limit", -1, 1, 1000, Some("100")).is_some());
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-z0-9:/._-]{0,20}", Just("x".repeat(5000))]
}

prop_compose! {
    fn any_disk()(id in any_text(), pool in any_text(), volume in any_text(), path in any_text(), size in any::<u64>(),
                  bus in prop_oneof![Just(None), Just(Some(DiskBus::Sata)), Just(Some(DiskBus::VirtioBlk))],
                  boot_index in any::<u32>(), burst in any::<u64>(), readonly in any::<bool>()) -> Disk {
        Disk {
            id, pool, volume, path, size: Gib(size), bus, boot_index, readonly,
            io_limits: IoLimits { burst_iops: burst, burst_bytes: burst, ..IoLimits::default() },
            ..Disk::default()
        }
    }
}

prop_compose! {
    fn any_spec()(cores in any::<u32>(), max_cores in any::<u32>(), sockets in any::<u32>(), threads in any::<u32>(),
                  model in any_text(), flags in prop::collection::vec(any_text(), 0..4),
                  size in any::<u64>(), max in any::<u64>(), disks in prop::collection::vec(any_disk(), 0..4),
                  nics in prop::collection::vec((any_text(), any_text(), any_text(), any_text()), 0..4),
                  order in prop::collection::vec(any_text(), 0..4), kernel in any_text()) -> VmSpec {
        VmSpec {
            cpu: Cpu {
                cores, max_cores, sockets, threads_per_core: threads, model,
                features: CpuFeatures { custom_flags: flags, ..CpuFeatures::default() },
            },
            memory: Memory { size: Mib(size), max: Mib(max), ballooning: None },
            disks,
            nics: nics.into_iter().map(|(id, mac, network, bridge)| Nic { id, mac, network, bridge, ..Nic::default() }).collect(),
            boot: Boot {
                order: order.into_iter().map(|device_id| BootDevice { class: BootClass::Network, device_id }).collect(),
                direct: Some(DirectBoot { kernel_path: kernel, ..DirectBoot::default() }),
                ..Boot::default()
            },
            ..VmSpec::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn validation_never_panics_and_always_names_a_field(
        name in any_text(), description in any_text(), spec in any_spec(),
        labels in prop::collection::btree_map(any_text(), any_text(), 0..4),
    ) {
        let found = vm_create(&name, &description, &labels, &spec);
        for violation in found.iter().chain(&super::spec(&spec, "spec")) {
            prop_assert!(!violation.field.is_empty());
            prop_assert!(!violation.description.is_empty());
            prop_assert!(!violation.to_string().chars().any(char::is_control), "{}", violation);
            prop_assert!(violation.to_string().chars().count() < 500, "{}", violation);
        }
    }

    #[test]
    fn what_passes_as_a_request_passes_as_a_definition(spec in any_spec()) {
        if spec::of_origin(&spec, "spec", Origin::Request).is_empty() {
            prop_assert!(super::spec(&spec, "spec").is_empty());
        }
    }
}
