//! A specification as it is shown: the persistent definition, every device with its id.

use quantixkvm_proto::Quantixkvm::compute::v1 as wire;

use crate::model::spec::{Boot, Cdrom, Cpu, Disk, DiskFormat, IoLimits, Nic, NicQos, VmSpec};

use super::enums;

/// Write a specification.
pub(super) fn spec(spec: &VmSpec) -> wire::VmSpec {
    wire::VmSpec {
        cpu: cpu(&spec.cpu).into(),
        memory: wire::MemoryConfig {
            size_mib: spec.memory.size.0,
            max_memory_mib: spec.memory.max.0,
            ballooning_enabled: spec.memory.ballooning,
            ..Default::default()
        }
        .into(),
        disks: spec.disks.iter().map(disk).collect(),
        cdroms: spec.cdroms.iter().map(cdrom).collect(),
        nics: spec.nics.iter().map(nic).collect(),
        tpm: spec
            .tpm
            .as_ref()
            .map(|tpm| wire::TpmConfig {
                enabled: tpm.enabled,
                version: enums::tpm_out(tpm.version).into(),
                persistent: tpm.persistent,
                ..Default::default()
            })
            .into(),
        watchdog: spec
            .watchdog
            .as_ref()
            .map(|watchdog| wire::WatchdogConfig {
                enabled: watchdog.enabled,
                model: enums::watchdog_out(watchdog.model).into(),
                action: enums::action_out(watchdog.action).into(),
                ..Default::default()
            })
            .into(),
        rng: spec
            .rng
            .as_ref()
            .map(|rng| wire::RngConfig {
                enabled: rng.enabled,
                rate_bytes: rng.rate_bytes,
                period_ms: rng.period_ms,
                backend: rng.backend.clone(),
                ..Default::default()
            })
            .into(),
        serial: spec.serial_ports.map(|count| wire::SerialPortConfig { count, ..Default::default() }).into(),
        firmware: spec.firmware.map(|firmware| enums::firmware_out(firmware).into()),
        boot: boot(&spec.boot).into(),
        display: wire::DisplayConfig {
            r#type: enums::display_out(spec.display.kind).into(),
            gpu: enums::video_out(spec.display.video).into(),
            video_memory_mib: u32::try_from(spec.display.video_memory.0).unwrap_or(u32::MAX),
            ..Default::default()
        }
        .into(),
        agent: wire::GuestAgentConfig { enabled: spec.agent, ..Default::default() }.into(),
        guest_os: wire::GuestOSProfile {
            family: enums::family_out(spec.guest_os.family).into(),
            variant: spec.guest_os.variant.clone(),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    }
}

fn cpu(cpu: &Cpu) -> wire::CpuConfig {
    let features = wire::CpuFeatures {
        aes_ni: cpu.features.aes_ni,
        avx: cpu.features.avx,
        avx2: cpu.features.avx2,
        avx512: cpu.features.avx512,
        nested_virt: cpu.features.nested_virt,
        custom_flags: cpu.features.custom_flags.clone(),
        ..Default::default()
    };
    wire::CpuConfig {
        cores: cpu.cores,
        max_cores: cpu.max_cores,
        sockets: cpu.sockets,
        threads_per_core: cpu.threads_per_core,
        model: cpu.model.clone(),
        features: (cpu.features != Default::default()).then_some(features).into(),
        ..Default::default()
    }
}

fn format(format: Option<DiskFormat>) -> wire::DiskFormat {
    match format {
        None => wire::DiskFormat::DISK_FORMAT_UNSPECIFIED,
        Some(DiskFormat::Qcow2) => wire::DiskFormat::QCOW2,
        Some(DiskFormat::Raw) => wire::DiskFormat::RAW,
    }
}

fn disk(disk: &Disk) -> wire::DiskDevice {
    wire::DiskDevice {
        id: disk.id.clone(),
        storage_pool_id: disk.pool.clone(),
        volume_id: disk.volume.clone(),
        size_gib: disk.size.0,
        bus: disk.bus.map(|bus| enums::bus_out(bus).into()),
        provisioning: enums::provisioning_out(disk.provisioning).into(),
        boot_index: disk.boot_index,
        io_limits: (disk.io_limits != IoLimits::default()).then(|| limits(&disk.io_limits)).into(),
        cache: disk.cache.map(|cache| enums::cache_out(cache).into()),
        readonly: disk.readonly,
        discard_enabled: disk.discard,
        backing_file: disk.backing_file.clone(),
        backing_format: format(disk.backing_format).into(),
        path: disk.path.clone(),
        format: format(disk.format).into(),
        ..Default::default()
    }
}

fn limits(limits: &IoLimits) -> wire::IoLimits {
    wire::IoLimits {
        read_iops: limits.read_iops,
        write_iops: limits.write_iops,
        read_bytes_sec: limits.read_bytes_sec,
        write_bytes_sec: limits.write_bytes_sec,
        burst_iops: limits.burst_iops,
        burst_bytes: limits.burst_bytes,
        burst_duration_sec: limits.burst_duration_sec,
        ..Default::default()
    }
}

fn cdrom(cdrom: &Cdrom) -> wire::CdromDevice {
    wire::CdromDevice {
        id: cdrom.id.clone(),
        iso_path: cdrom.iso_path.clone(),
        boot_index: cdrom.boot_index,
        connected: cdrom.connected,
        ..Default::default()
    }
}

fn nic(nic: &Nic) -> wire::NetworkInterface {
    let qos = wire::NetworkQos {
        ingress_rate_mbps: nic.qos.ingress_rate_mbps,
        egress_rate_mbps: nic.qos.egress_rate_mbps,
        burst_kb: nic.qos.burst_kb,
        ..Default::default()
    };
    wire::NetworkInterface {
        id: nic.mac.clone(),
        network_id: nic.network.clone(),
        mac_address: nic.mac.clone(),
        model: enums::nic_out(nic.model).into(),
        qos: (nic.qos != NicQos::default()).then_some(qos).into(),
        boot_index: nic.boot_index,
        bridge: nic.bridge.clone(),
        ..Default::default()
    }
}

fn boot(boot: &Boot) -> wire::BootConfig {
    wire::BootConfig {
        boot_order: boot
            .order
            .iter()
            .map(|device| wire::BootDevice {
                r#type: enums::boot_out(device.class).into(),
                device_id: device.device_id.clone(),
                ..Default::default()
            })
            .collect(),
        menu_timeout_sec: boot.menu_timeout_sec,
        direct_boot: boot
            .direct
            .as_ref()
            .map(|direct| wire::DirectKernelBoot {
                kernel_path: direct.kernel_path.clone(),
                initrd_path: direct.initrd_path.clone(),
                cmdline: direct.cmdline.clone(),
                ..Default::default()
            })
            .into(),
        ..Default::default()
    }
}
