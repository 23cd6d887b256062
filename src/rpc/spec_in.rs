//! A specification as a request sends it. What it may say is `model::validate`'s; what is declared
//! and not offered yet is [`super::unoffered`]'s.

use quantixkvm_proto::Quantixkvm::compute::v1 as wire;

use crate::model::spec::{
    Boot, BootDevice, Cdrom, Cpu, CpuFeatures, DirectBoot, Disk, DiskFormat, Display, GuestOs, IoLimits, Memory, Nic,
    NicQos, Rng, Tpm, VmSpec, Watchdog,
};
use crate::model::units::{Gib, Mib};

use super::enums;
use super::read::Reader;

/// Read a specification; paths in mistakes begin with `spec`.
pub(super) fn spec(reader: &mut Reader, sent: &wire::VmSpec) -> VmSpec {
    VmSpec {
        machine: String::new(),
        cpu: cpu(&sent.cpu),
        memory: Memory {
            size: Mib(sent.memory.size_mib),
            max: Mib(sent.memory.max_memory_mib),
            ballooning: sent.memory.ballooning_enabled,
        },
        disks: sent.disks.iter().enumerate().map(|(index, sent)| disk(reader, index, sent)).collect(),
        cdroms: sent
            .cdroms
            .iter()
            .map(|sent| Cdrom {
                id: sent.id.clone(),
                iso_path: sent.iso_path.clone(),
                boot_index: sent.boot_index,
                connected: sent.connected,
            })
            .collect(),
        nics: sent.nics.iter().enumerate().map(|(index, sent)| nic(reader, index, sent)).collect(),
        tpm: sent.tpm.as_option().map(|sent| Tpm {
            enabled: sent.enabled,
            version: enums::tpm_in(reader.known("spec.tpm.version", sent.version)),
            persistent: sent.persistent,
        }),
        watchdog: sent.watchdog.as_option().map(|sent| Watchdog {
            enabled: sent.enabled,
            model: enums::watchdog_in(reader.known("spec.watchdog.model", sent.model)),
            action: enums::action_in(reader.known("spec.watchdog.action", sent.action)),
        }),
        rng: sent.rng.as_option().map(|sent| Rng {
            enabled: sent.enabled,
            rate_bytes: sent.rate_bytes,
            period_ms: sent.period_ms,
            backend: sent.backend.clone(),
        }),
        serial_ports: (sent.serial.count != 0).then_some(sent.serial.count),
        firmware: sent.firmware.map(|sent| enums::firmware_in(reader.known("spec.firmware", sent))),
        boot: boot(reader, &sent.boot),
        display: Display {
            kind: enums::display_in(reader.known("spec.display.type", sent.display.r#type)),
            video: enums::video_in(reader.known("spec.display.gpu", sent.display.gpu)),
            video_memory: Mib(sent.display.video_memory_mib.into()),
        },
        agent: sent.agent.enabled,
        guest_os: GuestOs {
            family: enums::family_in(reader.known("spec.guest_os.family", sent.guest_os.family)),
            variant: sent.guest_os.variant.clone(),
        },
    }
}

fn cpu(sent: &wire::CpuConfig) -> Cpu {
    Cpu {
        cores: sent.cores,
        max_cores: sent.max_cores,
        sockets: sent.sockets,
        threads_per_core: sent.threads_per_core,
        model: sent.model.clone(),
        features: CpuFeatures {
            aes_ni: sent.features.aes_ni,
            avx: sent.features.avx,
            avx2: sent.features.avx2,
            avx512: sent.features.avx512,
            nested_virt: sent.features.nested_virt,
            custom_flags: sent.features.custom_flags.clone(),
        },
    }
}

fn format(reader: &mut Reader, field: &str, sent: buffa::EnumValue<wire::DiskFormat>) -> Option<DiskFormat> {
    match reader.known(field, sent) {
        wire::DiskFormat::DISK_FORMAT_UNSPECIFIED => None,
        wire::DiskFormat::QCOW2 => Some(DiskFormat::Qcow2),
        wire::DiskFormat::RAW => Some(DiskFormat::Raw),
    }
}

fn disk(reader: &mut Reader, index: usize, sent: &wire::DiskDevice) -> Disk {
    let at = |field: &str| format!("spec.disks[{index}].{field}");
    let limits = &sent.io_limits;
    Disk {
        id: sent.id.clone(),
        pool: sent.storage_pool_id.clone(),
        volume: sent.volume_id.clone(),
        size: Gib(sent.size_gib),
        bus: sent.bus.map(|sent| enums::bus_in(reader.known(&at("bus"), sent))),
        provisioning: enums::provisioning_in(reader.known(&at("provisioning"), sent.provisioning)),
        boot_index: sent.boot_index,
        io_limits: IoLimits {
            read_iops: limits.read_iops,
            write_iops: limits.write_iops,
            read_bytes_sec: limits.read_bytes_sec,
            write_bytes_sec: limits.write_bytes_sec,
            burst_iops: limits.burst_iops,
            burst_bytes: limits.burst_bytes,
            burst_duration_sec: limits.burst_duration_sec,
        },
        cache: sent.cache.map(|sent| enums::cache_in(reader.known(&at("cache"), sent))),
        readonly: sent.readonly,
        discard: sent.discard_enabled,
        backing_file: sent.backing_file.clone(),
        backing_format: format(reader, &at("backing_format"), sent.backing_format),
        path: sent.path.clone(),
        format: format(reader, &at("format"), sent.format),
    }
}

fn nic(reader: &mut Reader, index: usize, sent: &wire::NetworkInterface) -> Nic {
    let at = |field: &str| format!("spec.nics[{index}].{field}");
    let mac = if sent.mac_address.is_empty() { &sent.id } else { &sent.mac_address };
    if !sent.id.is_empty() && !sent.id.eq_ignore_ascii_case(mac) {
        reader.wrong(&at("id"), "is the card's MAC address: leave it out, or send the same as mac_address");
    }
    Nic {
        id: String::new(),
        network: sent.network_id.clone(),
        bridge: sent.bridge.clone(),
        mac: mac.clone(),
        model: enums::nic_in(reader.known(&at("model"), sent.model)),
        qos: NicQos {
            ingress_rate_mbps: sent.qos.ingress_rate_mbps,
            egress_rate_mbps: sent.qos.egress_rate_mbps,
            burst_kb: sent.qos.burst_kb,
        },
        boot_index: sent.boot_index,
    }
}

fn boot(reader: &mut Reader, sent: &wire::BootConfig) -> Boot {
    let order = sent.boot_order.iter().enumerate().map(|(index, sent)| BootDevice {
        class: enums::boot_in(reader.known(&format!("spec.boot.boot_order[{index}].type"), sent.r#type)),
        device_id: sent.device_id.clone(),
    });
    Boot {
        order: order.collect(),
        menu_timeout_sec: sent.menu_timeout_sec,
        direct: sent.direct_boot.as_option().map(|sent| DirectBoot {
            kernel_path: sent.kernel_path.clone(),
            initrd_path: sent.initrd_path.clone(),
            cmdline: sent.cmdline.clone(),
        }),
    }
}
