//! What a specification becomes once it is a definition: what was not asked for is what the writer
//! chose, and what a definition cannot hold is gone. Written apart from the writer on purpose.

use crate::hypervisor::Accelerator;
use crate::model::spec::{
    BootClass, Disk, DiskBus, DiskProvisioning, DisplayKind, Firmware, IoLimits, Rng, Tpm, TpmVersion, VideoModel,
    VmSpec,
};
use crate::model::units::{Gib, Mib};

/// The specification that must be read from the definition of `asked`.
pub(super) fn settled(asked: &VmSpec, accelerator: Accelerator) -> VmSpec {
    let mut spec = asked.clone();
    let windows = spec.guest_os.family.is_windows();
    spec.cpu.max_cores = spec.cpu.max_cores.max(spec.cpu.cores);
    spec.cpu.sockets = spec.cpu.sockets.max(1);
    spec.cpu.threads_per_core = spec.cpu.threads_per_core.max(1);
    if spec.cpu.model.is_empty() {
        spec.cpu.model = if accelerator == Accelerator::Kvm { "host-passthrough" } else { "max" }.to_owned();
    }
    spec.memory.max = spec.memory.max.max(spec.memory.size);
    spec.memory.ballooning = Some(spec.memory.ballooning != Some(false));
    devices(&mut spec, windows);
    boot(&mut spec);
    spec.tpm = match spec.tpm.take() {
        Some(tpm) if tpm.enabled == Some(false) => None,
        Some(tpm) => Some(Tpm { enabled: Some(true), ..tpm }),
        None => {
            let wanted = windows && matches!(spec.firmware, Some(Firmware::Uefi | Firmware::UefiSecureBoot));
            wanted.then_some(Tpm { enabled: Some(true), version: TpmVersion::V2_0, persistent: false })
        }
    };
    spec.watchdog = spec.watchdog.take().filter(|watchdog| watchdog.enabled);
    spec.rng = Some(match spec.rng.take().unwrap_or_default() {
        rng if rng.enabled == Some(false) => Rng { enabled: Some(false), ..Rng::default() },
        mut rng => {
            rng.enabled = Some(true);
            if rng.backend.is_empty() {
                rng.backend = "/dev/urandom".to_owned();
            }
            if rng.rate_bytes > 0 && rng.period_ms == 0 {
                rng.period_ms = 1000;
            }
            rng
        }
    });
    spec.serial_ports = Some(spec.serial_ports.unwrap_or(1));
    spec.firmware = Some(spec.firmware.unwrap_or(Firmware::Bios));
    spec.agent = Some(spec.agent != Some(false));
    if spec.display.kind == DisplayKind::None {
        // Without a screen there is no card whose model could be told.
        spec.display.video = VideoModel::Vga;
        spec.display.video_memory = Mib(0);
    }
    if spec.display.video == VideoModel::Virtio {
        // This card takes its memory from the guest.
        spec.display.video_memory = Mib(0);
    }
    spec
}

fn devices(spec: &mut VmSpec, windows: bool) {
    let default_bus = if windows { DiskBus::Sata } else { DiskBus::VirtioBlk };
    let mut scsi_or_sata = 0_u8;
    let (mut virtio, mut on_ide) = (0_u8, 0_u8);
    let next = |counter: &mut u8, prefix: &str| {
        let name = format!("{prefix}{}", char::from(b'a' + *counter));
        *counter += 1;
        name
    };
    for disk in &mut spec.disks {
        let bus = disk.bus.unwrap_or(default_bus);
        disk.id = match bus {
            DiskBus::VirtioBlk | DiskBus::Nvme => next(&mut virtio, "vd"),
            DiskBus::VirtioScsi | DiskBus::Sata => next(&mut scsi_or_sata, "sd"),
            DiskBus::Ide => next(&mut on_ide, "hd"),
        };
        disk.bus = Some(bus);
        disk.discard = Some(disk.discard.unwrap_or(disk.provisioning == DiskProvisioning::Thin && !disk.readonly));
        forget(disk);
    }
    for cdrom in &mut spec.cdroms {
        cdrom.id = next(&mut scsi_or_sata, "sd");
        let inserted = !cdrom.iso_path.is_empty() && cdrom.connected != Some(false);
        if !inserted {
            // A drive without a medium holds no path: the service remembers the one that was out.
            cdrom.iso_path.clear();
        }
        cdrom.connected = Some(inserted);
    }
    for nic in &mut spec.nics {
        nic.mac = nic.mac.to_ascii_lowercase();
        nic.id.clone_from(&nic.mac);
    }
}

/// What is a volume's own and not a definition's.
fn forget(disk: &mut Disk) {
    disk.size = Gib(0);
    disk.provisioning = DiskProvisioning::Thin;
    disk.pool.clear();
    disk.volume.clear();
    disk.backing_file.clear();
    disk.backing_format = None;
    let limits = &mut disk.io_limits;
    // A burst without a limit that it lifts means nothing.
    if limits.read_iops == 0 && limits.write_iops == 0 {
        limits.burst_iops = 0;
    }
    if limits.read_bytes_sec == 0 && limits.write_bytes_sec == 0 {
        limits.burst_bytes = 0;
    }
    if limits.burst_iops == 0 && limits.burst_bytes == 0 {
        disk.io_limits = IoLimits { burst_duration_sec: 0, ..limits.clone() };
    }
}

/// A definition holds the order at the devices, counted from 1 without gaps.
fn boot(spec: &mut VmSpec) {
    let mut sequence: Vec<String> = Vec::new();
    let disks: Vec<String> = spec.disks.iter().map(|disk| disk.id.clone()).collect();
    let cdroms: Vec<String> = spec.cdroms.iter().map(|cdrom| cdrom.id.clone()).collect();
    let nics: Vec<String> = spec.nics.iter().map(|nic| nic.id.clone()).collect();
    if spec.boot.order.is_empty() {
        let mut asked: Vec<(u32, String)> = Vec::new();
        asked.extend(spec.disks.iter().map(|disk| (disk.boot_index, disk.id.clone())));
        asked.extend(spec.cdroms.iter().map(|cdrom| (cdrom.boot_index, cdrom.id.clone())));
        asked.extend(spec.nics.iter().map(|nic| (nic.boot_index, nic.id.clone())));
        asked.retain(|(index, _)| *index > 0);
        asked.sort_by_key(|(index, _)| *index);
        sequence.extend(asked.into_iter().map(|(_, id)| id));
        sequence.extend(disks);
        sequence.extend(cdroms);
    } else {
        for entry in std::mem::take(&mut spec.boot.order) {
            if entry.device_id.is_empty() {
                sequence.extend(match entry.class {
                    BootClass::Disk => disks.clone(),
                    BootClass::Cdrom => cdroms.clone(),
                    BootClass::Network => nics.clone(),
                    BootClass::Usb => Vec::new(),
                });
            } else {
                sequence.push(entry.device_id.to_ascii_lowercase());
            }
        }
    }
    let mut unique: Vec<String> = Vec::new();
    for id in sequence {
        if !unique.contains(&id) {
            unique.push(id);
        }
    }
    let place = |id: &String| {
        unique.iter().position(|known| known == id).map_or(0, |at| u32::try_from(at).expect("it is small") + 1)
    };
    for disk in &mut spec.disks {
        disk.boot_index = place(&disk.id);
    }
    for cdrom in &mut spec.cdroms {
        cdrom.boot_index = place(&cdrom.id);
    }
    for nic in &mut spec.nics {
        nic.boot_index = place(&nic.id);
    }
}
