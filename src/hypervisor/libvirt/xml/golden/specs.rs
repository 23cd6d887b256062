//! The table of specifications: each field, each of its values, alone and where fields meet.

use super::Case;
use crate::hypervisor::Accelerator::{self, Kvm, Tcg};
use crate::model::spec::{
    Boot, BootClass, BootDevice, CacheMode, Cdrom, Cpu, CpuFeatures, DirectBoot, Disk, DiskBus, DiskFormat,
    DiskProvisioning, Display, DisplayKind, Firmware, GuestOs, GuestOsFamily, IoLimits, Memory, Nic, NicModel, NicQos,
    Rng, Tpm, TpmVersion, VideoModel, VmSpec, Watchdog, WatchdogAction, WatchdogModel,
};
use crate::model::units::{Gib, Mib};

/// Two vCPUs, 512 MiB, nothing else.
pub(super) fn base() -> VmSpec {
    VmSpec {
        cpu: Cpu { cores: 2, ..Cpu::default() },
        memory: Memory { size: Mib(512), ..Memory::default() },
        ..VmSpec::default()
    }
}

pub(super) fn case(name: &str, accelerator: Accelerator, spec: VmSpec) -> Case {
    Case {
        name: name.to_owned(),
        accelerator,
        spec,
        vm_name: format!("golden-{name}"),
        description: String::new(),
        labels: Vec::new(),
    }
}

pub(super) fn disk(path: &str) -> Disk {
    Disk { path: path.to_owned(), format: Some(DiskFormat::Qcow2), size: Gib(1), ..Disk::default() }
}

fn nic(last: u8) -> Nic {
    Nic { mac: format!("52:54:00:00:00:{last:02x}"), network: "default".to_owned(), ..Nic::default() }
}

fn os(family: GuestOsFamily) -> GuestOs {
    GuestOs { family, variant: String::new() }
}

/// Every case.
pub(super) fn table() -> Vec<Case> {
    let mut all = Vec::new();
    cpu(&mut all);
    memory(&mut all);
    disks(&mut all);
    cdroms(&mut all);
    nics(&mut all);
    firmware_and_tpm(&mut all);
    small_devices(&mut all);
    boot(&mut all);
    display(&mut all);
    guests(&mut all);
    texts(&mut all);
    all
}

fn with(all: &mut Vec<Case>, name: &str, change: impl FnOnce(&mut VmSpec)) {
    on(all, name, Tcg, change);
}

fn on(all: &mut Vec<Case>, name: &str, accelerator: Accelerator, change: impl FnOnce(&mut VmSpec)) {
    let mut spec = base();
    change(&mut spec);
    all.push(case(name, accelerator, spec));
}

fn cpu(all: &mut Vec<Case>) {
    with(all, "plain-tcg", |_| {});
    on(all, "plain-kvm", Kvm, |_| {});
    with(all, "cpu-topology", |spec| {
        spec.cpu = Cpu { cores: 8, sockets: 2, threads_per_core: 2, ..Cpu::default() };
    });
    with(all, "cpu-max-cores", |spec| {
        spec.cpu = Cpu { cores: 1, max_cores: 4, sockets: 2, ..Cpu::default() };
    });
    with(all, "cpu-model", |spec| spec.cpu.model = "Nehalem".to_owned());
    with(all, "cpu-model-max", |spec| spec.cpu.model = "max".to_owned());
    on(all, "cpu-host-model", Kvm, |spec| spec.cpu.model = "host-model".to_owned());
    on(all, "cpu-host-passthrough", Kvm, |spec| spec.cpu.model = "host-passthrough".to_owned());
    on(all, "cpu-features", Kvm, |spec| {
        spec.cpu.features = CpuFeatures {
            aes_ni: true,
            avx: true,
            avx2: true,
            avx512: true,
            nested_virt: true,
            custom_flags: vec!["pcid".to_owned(), "-svm".to_owned()],
        };
    });
    with(all, "cpu-features-tcg", |spec| {
        spec.cpu.model = "Westmere".to_owned();
        spec.cpu.features =
            CpuFeatures { aes_ni: true, custom_flags: vec!["-x2apic".to_owned()], ..CpuFeatures::default() };
    });
    for (name, accelerator, cores, max_cores) in
        [("cpu-255", Tcg, 255, 0), ("cpu-256", Kvm, 256, 0), ("cpu-up-to-256", Kvm, 2, 256)]
    {
        on(all, name, accelerator, |spec| spec.cpu = Cpu { cores, max_cores, ..Cpu::default() });
    }
}

fn memory(all: &mut Vec<Case>) {
    with(all, "memory-max", |spec| spec.memory.max = Mib(2048));
    with(all, "memory-balloon-off", |spec| spec.memory.ballooning = Some(false));
    with(all, "memory-balloon-on", |spec| spec.memory.ballooning = Some(true));
    with(all, "memory-1-tib", |spec| spec.memory.size = Mib(1 << 20));
}

/// Each caching, discarding and writability on this bus.
fn disks_of(bus: DiskBus, readonly: &[bool]) -> Vec<Disk> {
    let mut all = Vec::new();
    for cache in [None, Some(CacheMode::Writeback), Some(CacheMode::Writethrough), Some(CacheMode::None)] {
        for discard in [None, Some(true), Some(false)] {
            for readonly in readonly {
                let number = all.len();
                all.push(Disk {
                    bus: Some(bus),
                    cache,
                    discard,
                    readonly: *readonly,
                    ..disk(&format!("/var/lib/images/{number}.qcow2"))
                });
            }
        }
    }
    all
}

fn disks(all: &mut Vec<Case>) {
    with(all, "disks-virtio-blk", |spec| spec.disks = disks_of(DiskBus::VirtioBlk, &[false, true]));
    with(all, "disks-virtio-scsi", |spec| spec.disks = disks_of(DiskBus::VirtioScsi, &[false, true]));
    // QEMU has no disk on SATA or IDE that cannot be written.
    with(all, "disks-sata", |spec| spec.disks = disks_of(DiskBus::Sata, &[false]));
    with(all, "disks-ide", |spec| spec.disks = disks_of(DiskBus::Ide, &[false]).split_off(8));
    with(all, "disk-buses-together", |spec| {
        spec.disks = [DiskBus::VirtioBlk, DiskBus::VirtioScsi, DiskBus::Sata, DiskBus::VirtioBlk]
            .map(|bus| Disk { bus: Some(bus), ..disk(&format!("/var/lib/images/{bus:?}.qcow2")) })
            .to_vec();
        spec.disks[3].path = "/var/lib/images/second.qcow2".to_owned();
    });
    let limits = IoLimits {
        read_iops: 1000,
        write_iops: 500,
        read_bytes_sec: 100 << 20,
        write_bytes_sec: 50 << 20,
        ..IoLimits::default()
    };
    with(all, "disk-limits", |spec| {
        spec.disks = vec![
            Disk { io_limits: limits.clone(), ..disk("/a.qcow2") },
            Disk { io_limits: IoLimits { read_iops: 100, ..IoLimits::default() }, ..disk("/b.qcow2") },
            Disk { io_limits: IoLimits { write_bytes_sec: 1 << 40, ..IoLimits::default() }, ..disk("/c.qcow2") },
        ];
    });
    with(all, "disk-burst", |spec| {
        let burst = IoLimits { burst_iops: 2000, burst_bytes: 200 << 20, burst_duration_sec: 30, ..limits.clone() };
        let alone = IoLimits { burst_iops: 2000, burst_duration_sec: 5, ..IoLimits::default() };
        let one_sided = IoLimits { read_iops: 10, burst_iops: 20, ..IoLimits::default() };
        spec.disks = vec![
            Disk { io_limits: burst, ..disk("/a.qcow2") },
            Disk { io_limits: alone, ..disk("/b.qcow2") },
            Disk { io_limits: one_sided, ..disk("/c.qcow2") },
        ];
    });
    with(all, "disk-raw-thick", |spec| {
        spec.disks = vec![
            Disk { format: Some(DiskFormat::Raw), ..disk("/a.raw") },
            Disk { provisioning: DiskProvisioning::ThickLazy, ..disk("/b.qcow2") },
            Disk { provisioning: DiskProvisioning::ThickEager, discard: Some(true), ..disk("/c.qcow2") },
        ];
    });
    with(all, "disk-block-device", |spec| {
        spec.disks =
            vec![Disk { format: Some(DiskFormat::Raw), cache: Some(CacheMode::None), ..disk("/dev/disk/by-id/a&b") }];
    });
    with(all, "disk-boot-index", |spec| {
        spec.disks = vec![disk("/a.qcow2"), Disk { boot_index: 1, ..disk("/b.qcow2") }];
        spec.cdroms = vec![Cdrom { boot_index: 2, iso_path: "/c.iso".to_owned(), ..Cdrom::default() }];
    });
}

fn cdroms(all: &mut Vec<Case>) {
    let iso = || Cdrom { iso_path: "/var/lib/images/install.iso".to_owned(), ..Cdrom::default() };
    with(all, "cdrom-linux", |spec| {
        spec.disks = vec![disk("/a.qcow2")];
        spec.cdroms = vec![iso()];
    });
    with(all, "cdrom-windows", |spec| {
        spec.disks = vec![disk("/a.qcow2")];
        spec.cdroms = vec![iso(), Cdrom { iso_path: "/virtio-win.iso".to_owned(), ..Cdrom::default() }];
        spec.guest_os = os(GuestOsFamily::WindowsServer);
    });
    with(all, "cdrom-empty", |spec| spec.cdroms = vec![Cdrom::default()]);
    with(all, "cdrom-disconnected", |spec| spec.cdroms = vec![Cdrom { connected: Some(false), ..iso() }]);
    with(all, "cdrom-beside-ide", |spec| {
        spec.disks = vec![Disk { bus: Some(DiskBus::Ide), ..disk("/a.qcow2") }];
        spec.cdroms = vec![iso()];
    });
}

fn nics(all: &mut Vec<Case>) {
    with(all, "nic-network", |spec| spec.nics = vec![nic(1)]);
    with(all, "nic-bridge", |spec| {
        spec.nics = vec![Nic { network: String::new(), bridge: "br0".to_owned(), ..nic(1) }];
    });
    with(all, "nic-models", |spec| {
        spec.nics = [NicModel::Virtio, NicModel::E1000, NicModel::E1000e, NicModel::Vmxnet3]
            .into_iter()
            .zip(1..)
            .map(|(model, last)| Nic { model, ..nic(last) })
            .collect();
    });
    with(all, "nic-mac-upper-case", |spec| {
        spec.nics = vec![Nic { mac: "52:54:00:AB:CD:EF".to_owned(), boot_index: 1, ..nic(1) }];
        spec.disks = vec![disk("/a.qcow2")];
    });
    with(all, "nic-bandwidth", |spec| {
        let qos =
            |ingress_rate_mbps, egress_rate_mbps, burst_kb| NicQos { ingress_rate_mbps, egress_rate_mbps, burst_kb };
        spec.nics = vec![
            Nic { qos: qos(100, 50, 1024), ..nic(1) },
            Nic { qos: qos(1000, 0, 0), ..nic(2) },
            Nic { qos: qos(0, 1, 64), ..nic(3) },
        ];
    });
    with(all, "nic-boot-index", |spec| {
        spec.disks = vec![disk("/a.qcow2")];
        spec.nics = vec![nic(1), Nic { boot_index: 1, ..nic(2) }];
    });
}

fn firmware_and_tpm(all: &mut Vec<Case>) {
    with(all, "firmware-bios", |spec| spec.firmware = Some(Firmware::Bios));
    with(all, "firmware-uefi", |spec| spec.firmware = Some(Firmware::Uefi));
    with(all, "firmware-secure-boot", |spec| spec.firmware = Some(Firmware::UefiSecureBoot));
    for (name, version, persistent) in [
        ("tpm-1.2", TpmVersion::V1_2, false),
        ("tpm-2.0", TpmVersion::V2_0, false),
        ("tpm-kept", TpmVersion::V2_0, true),
    ] {
        with(all, name, |spec| spec.tpm = Some(Tpm { enabled: Some(true), version, persistent }));
    }
    with(all, "tpm-declined-on-windows", |spec| {
        spec.firmware = Some(Firmware::UefiSecureBoot);
        spec.guest_os = os(GuestOsFamily::WindowsDesktop);
        spec.tpm = Some(Tpm { enabled: Some(false), version: TpmVersion::V2_0, persistent: false });
    });
}

fn small_devices(all: &mut Vec<Case>) {
    for (word, model) in [("i6300esb", WatchdogModel::I6300esb), ("ib700", WatchdogModel::Ib700)] {
        for action in [
            WatchdogAction::Reset,
            WatchdogAction::Shutdown,
            WatchdogAction::Poweroff,
            WatchdogAction::Pause,
            WatchdogAction::None,
        ] {
            let name = format!("watchdog-{word}-{}", format!("{action:?}").to_ascii_lowercase());
            with(all, &name, |spec| spec.watchdog = Some(Watchdog { enabled: true, model, action }));
        }
    }
    with(all, "watchdog-off", |spec| {
        spec.watchdog =
            Some(Watchdog { enabled: false, model: WatchdogModel::I6300esb, action: WatchdogAction::Reset });
    });
    let rng = |rate_bytes, period_ms, backend: &str| {
        Some(Rng { enabled: Some(true), rate_bytes, period_ms, backend: backend.to_owned() })
    };
    with(all, "rng-off", |spec| spec.rng = Some(Rng { enabled: Some(false), ..Rng::default() }));
    with(all, "rng-rate", |spec| spec.rng = rng(1024, 0, ""));
    with(all, "rng-rate-period", |spec| spec.rng = rng(4096, 250, "/dev/random"));
    with(all, "rng-hardware", |spec| spec.rng = rng(0, 0, "/dev/hwrng"));
    for ports in [0, 2, 4] {
        with(all, &format!("serial-{ports}"), |spec| spec.serial_ports = Some(ports));
    }
    with(all, "agent-off", |spec| spec.agent = Some(false));
}

fn boot(all: &mut Vec<Case>) {
    let entry = |class, device_id: &str| BootDevice { class, device_id: device_id.to_owned() };
    let devices = |spec: &mut VmSpec| {
        spec.disks = vec![disk("/a.qcow2"), disk("/b.qcow2")];
        spec.cdroms = vec![Cdrom { iso_path: "/c.iso".to_owned(), ..Cdrom::default() }];
        spec.nics = vec![nic(1), nic(2)];
    };
    with(all, "boot-classes", |spec| {
        devices(spec);
        spec.boot.order = vec![entry(BootClass::Network, ""), entry(BootClass::Cdrom, ""), entry(BootClass::Disk, "")];
    });
    with(all, "boot-devices", |spec| {
        devices(spec);
        spec.boot.order = vec![
            entry(BootClass::Disk, "vdb"),
            entry(BootClass::Network, "52:54:00:00:00:02"),
            entry(BootClass::Disk, ""),
            entry(BootClass::Usb, ""),
        ];
    });
    with(all, "boot-menu", |spec| {
        spec.boot.menu_timeout_sec = 15;
        spec.disks = vec![disk("/a.qcow2")];
    });
    with(all, "boot-kernel", |spec| {
        spec.boot = Boot {
            direct: Some(DirectBoot {
                kernel_path: "/boot/vmlinuz".to_owned(),
                initrd_path: "/boot/initrd & co".to_owned(),
                cmdline: "console=ttyS0 root=/dev/vda1 quoted=\"a <b>\"".to_owned(),
            }),
            ..Boot::default()
        };
    });
    with(all, "boot-kernel-alone", |spec| {
        spec.boot.direct = Some(DirectBoot { kernel_path: "/boot/vmlinuz".to_owned(), ..DirectBoot::default() });
    });
}

fn display(all: &mut Vec<Case>) {
    for (word, video) in [("cirrus", VideoModel::Cirrus), ("qxl", VideoModel::Qxl), ("virtio", VideoModel::Virtio)] {
        with(all, &format!("video-{word}"), |spec| spec.display.video = video);
    }
    for (word, video) in [("vga", VideoModel::Vga), ("qxl", VideoModel::Qxl), ("virtio", VideoModel::Virtio)] {
        with(all, &format!("video-{word}-memory"), |spec| {
            spec.display = Display { kind: DisplayKind::Vnc, video, video_memory: Mib(64) };
        });
    }
    with(all, "display-none", |spec| spec.display.kind = DisplayKind::None);
}

fn guests(all: &mut Vec<Case>) {
    for (word, family) in [
        ("rhel", GuestOsFamily::Rhel),
        ("debian", GuestOsFamily::Debian),
        ("windows-desktop", GuestOsFamily::WindowsDesktop),
        ("windows-legacy", GuestOsFamily::WindowsLegacy),
        ("freebsd", GuestOsFamily::Freebsd),
        ("other", GuestOsFamily::Other),
    ] {
        on(all, &format!("guest-{word}"), Kvm, |spec| {
            spec.guest_os = GuestOs { family, variant: format!("{word} & 12") };
            spec.disks = vec![disk("/a.qcow2")];
        });
    }
    with(all, "guest-windows-desktop-uefi", |spec| {
        spec.guest_os = os(GuestOsFamily::WindowsDesktop);
        spec.firmware = Some(Firmware::UefiSecureBoot);
        spec.disks = vec![disk("/a.qcow2")];
        spec.nics = vec![nic(1)];
    });
}

fn texts(all: &mut Vec<Case>) {
    let hostile = "<b>&amp;'\"]]><!-- -->";
    let mut case = case("text-hostile", Tcg, base());
    case.vm_name = format!("hostile {hostile} ümlaut");
    case.description = format!(" {hostile}\n\tsecond line\r\nthird \u{1f980} ");
    case.labels = vec![
        ("env".to_owned(), "prod".to_owned()),
        ("example.com/team".to_owned(), hostile.to_owned()),
        ("lines".to_owned(), " a\nb\tc\r ".to_owned()),
    ];
    case.spec.disks = vec![disk(&format!("/images/{hostile}.qcow2"))];
    case.spec.nics = vec![Nic { network: format!("net {hostile}"), ..nic(1) }];
    all.push(case);
}
