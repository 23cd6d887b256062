//! One function a device: from the specification to its element. Used for whole definitions and
//! for edits alike.

use super::caps::HostProfile;
use super::tree::Element;
use crate::hypervisor::HypervisorError;
use crate::model::spec::{
    CacheMode, Cdrom, Disk, DiskBus, DiskFormat, DiskProvisioning, Display, DisplayKind, IoLimits, Nic, NicModel,
    NicQos, Rng, Tpm, TpmVersion, VideoModel, Watchdog, WatchdogAction, WatchdogModel,
};

/// What the host lacks for a field, with the cure.
pub(super) fn unsupported(field: &str, why: &str) -> HypervisorError {
    HypervisorError::Unsupported(format!("{field}: {why}"))
}

/// libvirt's word for a bus, and the letter pair of its targets.
pub(super) fn bus_words(bus: DiskBus) -> Option<(&'static str, &'static str)> {
    match bus {
        DiskBus::VirtioBlk => Some(("virtio", "vd")),
        DiskBus::VirtioScsi => Some(("scsi", "sd")),
        DiskBus::Sata => Some(("sata", "sd")),
        DiskBus::Ide => Some(("ide", "hd")),
        DiskBus::Nvme => None,
    }
}

/// The `index`-th target of a prefix: vda … vdz, vdaa.
pub(super) fn target_name(prefix: &str, index: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = index;
    loop {
        letters.push(char::from(b'a' + u8::try_from(rest % 26).unwrap_or(0)));
        if rest < 26 {
            break;
        }
        rest = rest / 26 - 1;
    }
    letters.iter().rev().fold(prefix.to_owned(), |name, letter| name + &letter.to_string())
}

pub(super) fn format_word(format: DiskFormat) -> &'static str {
    match format {
        DiskFormat::Qcow2 => "qcow2",
        DiskFormat::Raw => "raw",
    }
}

pub(super) fn cache_word(cache: CacheMode) -> &'static str {
    match cache {
        CacheMode::Writeback => "writeback",
        CacheMode::Writethrough => "writethrough",
        CacheMode::None => "none",
    }
}

/// A file's or a block device's `<source>`, and the type that the disk then has.
pub(super) fn source(path: &str) -> (&'static str, Element) {
    if path.starts_with("/dev/") {
        ("block", Element::new("source").attr("dev", path))
    } else {
        ("file", Element::new("source").attr("file", path))
    }
}

/// A disk; `order` is its place in the boot order, from 1.
pub(super) fn disk(disk: &Disk, target: &str, bus: DiskBus, order: Option<u32>) -> Result<Element, HypervisorError> {
    let Some((bus_word, _)) = bus_words(bus) else {
        return Err(unsupported(
            "spec.disks[].bus",
            "NVME disks need libvirt 11.5 or later; use VIRTIO_BLK or VIRTIO_SCSI",
        ));
    };
    let (kind, source) = source(&disk.path);
    let mut driver = Element::new("driver").attr("name", "qemu").attr("type", disk.format.map_or("raw", format_word));
    if let Some(cache) = disk.cache {
        driver.set("cache", cache_word(cache));
    }
    if discards(disk) {
        driver.set("discard", "unmap");
    }
    Ok(Element::new("disk")
        .attr("type", kind)
        .attr("device", "disk")
        .with(driver)
        .with(source)
        .with(Element::new("target").attr("dev", target).attr("bus", bus_word))
        .with_some(iotune(&disk.io_limits))
        .with_some(disk.readonly.then(|| Element::new("readonly")))
        .with_some(boot(order)))
}

/// Sparse disks give freed blocks back.
pub(super) fn discards(disk: &Disk) -> bool {
    disk.discard.unwrap_or(disk.provisioning == DiskProvisioning::Thin && !disk.readonly)
}

pub(super) fn boot(order: Option<u32>) -> Option<Element> {
    order.map(|order| Element::new("boot").attr("order", order))
}

/// Limits; none at all: no element. A burst lifts the limits that are set, for its duration.
pub(super) fn iotune(limits: &IoLimits) -> Option<Element> {
    if *limits == IoLimits::default() {
        return None;
    }
    let mut tune = Element::new("iotune");
    let mut put = |name: &str, value: u64| {
        if value > 0 {
            tune.push(Element::new(name).text(value));
        }
    };
    put("read_bytes_sec", limits.read_bytes_sec);
    put("write_bytes_sec", limits.write_bytes_sec);
    put("read_iops_sec", limits.read_iops);
    put("write_iops_sec", limits.write_iops);
    let duration = u64::from(limits.burst_duration_sec);
    for (name, base, burst) in [
        ("read_bytes_sec_max", limits.read_bytes_sec, limits.burst_bytes),
        ("write_bytes_sec_max", limits.write_bytes_sec, limits.burst_bytes),
        ("read_iops_sec_max", limits.read_iops, limits.burst_iops),
        ("write_iops_sec_max", limits.write_iops, limits.burst_iops),
    ] {
        if base > 0 && burst > 0 {
            put(name, burst);
            put(&format!("{name}_length"), duration);
        }
    }
    Some(tune)
}

/// A CD-ROM drive.
pub(super) fn cdrom(cdrom: &Cdrom, target: &str, bus: DiskBus, order: Option<u32>) -> Element {
    let (bus_word, _) = bus_words(bus).unwrap_or(("sata", "sd"));
    let inserted = !cdrom.iso_path.is_empty() && cdrom.connected != Some(false);
    let (kind, source) = source(&cdrom.iso_path);
    Element::new("disk")
        .attr("type", if inserted { kind } else { "file" })
        .attr("device", "cdrom")
        .with(Element::new("driver").attr("name", "qemu").attr("type", "raw"))
        .with_some(inserted.then_some(source))
        .with(Element::new("target").attr("dev", target).attr("bus", bus_word))
        .with(Element::new("readonly"))
        .with_some(boot(order))
}

pub(super) fn nic_model_word(model: NicModel) -> &'static str {
    match model {
        NicModel::Virtio => "virtio",
        NicModel::E1000 => "e1000",
        NicModel::E1000e => "e1000e",
        NicModel::Vmxnet3 => "vmxnet3",
    }
}

/// A network card.
pub(super) fn nic(nic: &Nic, order: Option<u32>) -> Element {
    let (kind, source) = if nic.bridge.is_empty() {
        ("network", Element::new("source").attr("network", &nic.network))
    } else {
        ("bridge", Element::new("source").attr("bridge", &nic.bridge))
    };
    Element::new("interface")
        .attr("type", kind)
        .with(Element::new("mac").attr("address", &nic.mac))
        .with(source)
        .with(Element::new("model").attr("type", nic_model_word(nic.model)))
        .with_some(bandwidth(&nic.qos))
        .with_some(boot(order))
}

/// libvirt counts kilobytes a second: a megabit is 125 of them. Ingress is what the guest receives.
pub(super) fn bandwidth(qos: &NicQos) -> Option<Element> {
    if qos.ingress_rate_mbps == 0 && qos.egress_rate_mbps == 0 {
        return None;
    }
    let side = |name: &str, mbps: u64| {
        (mbps > 0).then(|| {
            let mut side = Element::new(name).attr("average", mbps.saturating_mul(125));
            if qos.burst_kb > 0 {
                side.set("burst", qos.burst_kb);
            }
            side
        })
    };
    Some(
        Element::new("bandwidth")
            .with_some(side("inbound", qos.ingress_rate_mbps))
            .with_some(side("outbound", qos.egress_rate_mbps)),
    )
}

/// The TPM, where one is wanted.
pub(super) fn tpm(tpm: Option<&Tpm>, by_default: bool, host: &HostProfile) -> Result<Option<Element>, HypervisorError> {
    let (version, persistent) = match tpm {
        Some(tpm) if tpm.enabled == Some(false) => return Ok(None),
        Some(tpm) => (tpm.version, tpm.persistent),
        None if by_default => (TpmVersion::V2_0, false),
        None => return Ok(None),
    };
    if !host.tpm_emulator {
        if tpm.is_none() {
            return Ok(None);
        }
        return Err(unsupported(
            "spec.tpm",
            "this host has no TPM emulator; install the package swtpm and restart libvirtd",
        ));
    }
    let mut backend = Element::new("backend").attr("type", "emulator").attr(
        "version",
        match version {
            TpmVersion::V1_2 => "1.2",
            TpmVersion::V2_0 => "2.0",
        },
    );
    if persistent {
        backend.set("persistent_state", "yes");
    }
    let model = match version {
        TpmVersion::V1_2 => "tpm-tis",
        TpmVersion::V2_0 => "tpm-crb",
    };
    Ok(Some(Element::new("tpm").attr("model", model).with(backend)))
}

/// The watchdog, where one is wanted.
pub(super) fn watchdog(watchdog: Option<&Watchdog>) -> Option<Element> {
    let watchdog = watchdog.filter(|watchdog| watchdog.enabled)?;
    let model = match watchdog.model {
        WatchdogModel::I6300esb => "i6300esb",
        WatchdogModel::Ib700 => "ib700",
    };
    let action = match watchdog.action {
        WatchdogAction::Reset => "reset",
        WatchdogAction::Shutdown => "shutdown",
        WatchdogAction::Poweroff => "poweroff",
        WatchdogAction::Pause => "pause",
        WatchdogAction::None => "none",
    };
    Some(Element::new("watchdog").attr("model", model).attr("action", action))
}

/// The random number generator, unless it was declined.
pub(super) fn rng(rng: Option<&Rng>) -> Option<Element> {
    let chosen = rng.cloned().unwrap_or_default();
    if chosen.enabled == Some(false) {
        return None;
    }
    let backend = if chosen.backend.is_empty() { "/dev/urandom" } else { &chosen.backend };
    let rate = (chosen.rate_bytes > 0).then(|| {
        let period = if chosen.period_ms == 0 { 1000 } else { chosen.period_ms };
        Element::new("rate").attr("bytes", chosen.rate_bytes).attr("period", period)
    });
    Some(
        Element::new("rng")
            .attr("model", "virtio")
            .with_some(rate)
            .with(Element::new("backend").attr("model", "random").text(backend)),
    )
}

/// The balloon, or its explicit absence (libvirt adds one otherwise).
pub(super) fn balloon(wanted: Option<bool>) -> Element {
    if wanted == Some(false) {
        Element::new("memballoon").attr("model", "none")
    } else {
        // Statistics every 10 s, without asking QEMU each time.
        Element::new("memballoon").attr("model", "virtio").with(Element::new("stats").attr("period", 10))
    }
}

/// Serial ports: the first is the console.
pub(super) fn serials(count: Option<u32>) -> Vec<Element> {
    (0..count.unwrap_or(1))
        .map(|port| Element::new("serial").attr("type", "pty").with(Element::new("target").attr("port", port)))
        .collect()
}

/// The name of the guest agent's channel.
pub(super) const AGENT_CHANNEL: &str = "org.qemu.guest_agent.0";

pub(super) fn agent_channel() -> Element {
    Element::new("channel")
        .attr("type", "unix")
        .with(Element::new("target").attr("type", "virtio").attr("name", AGENT_CHANNEL))
}

pub(super) fn video_word(model: VideoModel) -> &'static str {
    match model {
        VideoModel::Vga => "vga",
        VideoModel::Cirrus => "cirrus",
        VideoModel::Qxl => "qxl",
        VideoModel::Virtio => "virtio",
    }
}

/// Screen and video card. VNC listens on a private socket: it is reached through libvirt alone.
pub(super) fn display(display: &Display, host: &HostProfile) -> Result<Vec<Element>, HypervisorError> {
    let graphics = match display.kind {
        DisplayKind::Vnc => {
            Element::new("graphics").attr("type", "vnc").with(Element::new("listen").attr("type", "socket"))
        }
        DisplayKind::Spice => {
            return Err(unsupported("spec.display.type", "SPICE displays are not offered; use VNC"));
        }
        DisplayKind::None => {
            return Ok(vec![Element::new("video").with(Element::new("model").attr("type", "none"))]);
        }
    };
    let word = video_word(display.video);
    if !host.video_models.iter().any(|model| model == word) {
        return Err(unsupported(
            "spec.display.gpu",
            &format!("this host's QEMU has no {word} video card; it has: {}", host.video_models.join(", ")),
        ));
    }
    let mut model = Element::new("model").attr("type", word);
    if display.video_memory.0 > 0 {
        let kib = display.video_memory.0.saturating_mul(1024);
        match display.video {
            VideoModel::Qxl => {
                model.set("ram", kib);
                model.set("vram", kib);
            }
            VideoModel::Vga | VideoModel::Cirrus => model.set("vram", kib),
            VideoModel::Virtio => {}
        }
    }
    Ok(vec![graphics, Element::new("video").with(model)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_go_on_after_z() {
        assert_eq!(target_name("vd", 0), "vda");
        assert_eq!(target_name("vd", 25), "vdz");
        assert_eq!(target_name("vd", 26), "vdaa");
        assert_eq!(target_name("sd", 701), "sdzz");
        assert_eq!(target_name("sd", 702), "sdaaa");
    }
}
