//! A specification from anybody's definition. What it does not know it leaves alone; what is
//! missing is the default that libvirt then has.

use super::devices::AGENT_CHANNEL;
use super::metadata;
use super::tree::Element;
use crate::hypervisor::HypervisorError;
use crate::model::definition::{TpmState, VmIdentity};
use crate::model::id::VmId;
use crate::model::spec::{
    Boot, CacheMode, Cdrom, Cpu, CpuFeatures, DirectBoot, Disk, DiskBus, DiskFormat, DiskProvisioning, Display,
    DisplayKind, Firmware, GuestOs, IoLimits, Memory, Nic, NicModel, NicQos, Rng, Tpm, TpmVersion, VideoModel, VmSpec,
    Watchdog, WatchdogAction, WatchdogModel,
};
use crate::model::units::Mib;

/// What a definition says.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadDomain {
    pub id: VmId,
    pub name: String,
    pub spec: VmSpec,
    pub identity: Option<VmIdentity>,
    /// An NVRAM file goes with it: its path, empty where libvirt has chosen none yet.
    pub nvram: Option<String>,
    /// What an undefine does to an emulated TPM's state.
    pub tpm_state: TpmState,
    /// `Some(true)`: the agent's channel is held open in the guest.
    pub agent_connected: Option<bool>,
}

/// Read a definition.
///
/// # Errors
/// `Refused` where it is no domain's XML.
pub fn read_domain(text: &str) -> Result<ReadDomain, HypervisorError> {
    read_tree(&Element::parse(text)?)
}

pub(super) fn read_tree(domain: &Element) -> Result<ReadDomain, HypervisorError> {
    if domain.name != "domain" {
        return Err(HypervisorError::Refused(format!("<{}> is no domain", domain.name)));
    }
    let id =
        domain.text_of("uuid").parse().map_err(|_| HypervisorError::Refused("the domain has no UUID".to_owned()))?;
    let identity = metadata::read_in(domain);
    let nothing = Element::new("devices");
    let devices = domain.child("devices").unwrap_or(&nothing);
    let machine = domain.child("os").and_then(|os| os.child("type")).and_then(|kind| kind.get("machine"));
    let spec = VmSpec {
        machine: machine.unwrap_or_default().to_owned(),
        cpu: cpu(domain),
        memory: memory(domain, devices),
        disks: disks(devices, "disk").map(disk).collect(),
        cdroms: disks(devices, "cdrom").map(cdrom).collect(),
        nics: devices.named("interface").map(nic).collect(),
        tpm: devices.child("tpm").map(tpm),
        watchdog: devices.named("watchdog").find(|found| found.get("model") != Some("itco")).map(watchdog),
        rng: Some(match devices.child("rng") {
            Some(found) => rng(found),
            None => Rng { enabled: Some(false), ..Rng::default() },
        }),
        serial_ports: u32::try_from(devices.named("serial").count()).ok(),
        firmware: Some(firmware(domain)),
        boot: boot(domain),
        display: display(devices),
        agent: Some(agent(devices).is_some()),
        guest_os: identity.as_ref().map_or_else(GuestOs::default, |identity| GuestOs {
            family: identity.guest_os_family,
            variant: identity.guest_os_variant.clone(),
        }),
    };
    let efi = matches!(spec.firmware, Some(Firmware::Uefi | Firmware::UefiSecureBoot));
    Ok(ReadDomain {
        id,
        name: domain.text_of("name"),
        nvram: match domain.at(&["os", "nvram"]) {
            Some(nvram) => Some(nvram.own_text().trim().to_owned()),
            None if efi => Some(String::new()),
            None => None,
        },
        tpm_state: devices
            .named("tpm")
            .filter_map(|tpm| tpm.child("backend"))
            .find(|backend| backend.get("type") == Some("emulator"))
            .map_or(TpmState::None, |backend| match backend.get("persistent_state") {
                Some("yes") => TpmState::Stays,
                Some(_) | None => TpmState::Goes,
            }),
        agent_connected: agent(devices)
            .and_then(|channel| channel.child("target"))
            .and_then(|target| target.get("state"))
            .map(|state| state == "connected"),
        spec,
        identity,
    })
}

fn agent(devices: &Element) -> Option<&Element> {
    devices
        .named("channel")
        .find(|channel| channel.child("target").is_some_and(|target| target.get("name") == Some(AGENT_CHANNEL)))
}

fn disks<'a>(devices: &'a Element, device: &'a str) -> impl Iterator<Item = &'a Element> {
    devices.named("disk").filter(move |disk| disk.get("device").unwrap_or("disk") == device)
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn cpu(domain: &Element) -> Cpu {
    let vcpu = domain.child("vcpu");
    let max = vcpu.and_then(|vcpu| vcpu.own_text().parse().ok()).unwrap_or(1);
    let cores = vcpu.and_then(|vcpu| vcpu.get("current")?.parse().ok()).unwrap_or(max);
    let nothing = Element::new("cpu");
    let element = domain.child("cpu").unwrap_or(&nothing);
    let topology = element.child("topology");
    let mut features = CpuFeatures::default();
    for feature in element.named("feature") {
        let name = feature.get_or_empty("name");
        match (feature.get("policy").unwrap_or("require"), name) {
            ("require", "aes") => features.aes_ni = true,
            ("require", "avx") => features.avx = true,
            ("require", "avx2") => features.avx2 = true,
            ("require", "avx512f") => features.avx512 = true,
            ("require", "vmx" | "svm") => features.nested_virt = true,
            ("require", other) => features.custom_flags.push(other.to_owned()),
            ("disable", other) => features.custom_flags.push(format!("-{other}")),
            (_, _) => {}
        }
    }
    let model = match element.get("mode") {
        Some("host-passthrough") => "host-passthrough".to_owned(),
        Some("host-model") => "host-model".to_owned(),
        Some("maximum") => "max".to_owned(),
        Some(_) | None => element.text_of("model"),
    };
    Cpu {
        cores,
        max_cores: max,
        sockets: topology.map_or(0, |topology| narrow(topology.number("sockets"))),
        threads_per_core: topology.map_or(0, |topology| narrow(topology.number("threads"))),
        model,
        features,
    }
}

/// libvirt's memory elements carry a unit; without one they are KiB.
fn kib(element: Option<&Element>) -> u64 {
    let Some(element) = element else { return 0 };
    let amount: u64 = element.own_text().parse().unwrap_or(0);
    match element.get("unit").unwrap_or("KiB") {
        "b" | "bytes" => amount >> 10,
        "KB" => amount.saturating_mul(1000) >> 10,
        "MB" => amount.saturating_mul(1_000_000) >> 10,
        "M" | "MiB" => amount.saturating_mul(1 << 10),
        "GB" => amount.saturating_mul(1_000_000_000) >> 10,
        "G" | "GiB" => amount.saturating_mul(1 << 20),
        "T" | "TiB" => amount.saturating_mul(1 << 30),
        _ => amount,
    }
}

fn memory(domain: &Element, devices: &Element) -> Memory {
    let max = kib(domain.child("memory"));
    let size = match kib(domain.child("currentMemory")) {
        0 => max,
        current => current,
    };
    Memory {
        size: Mib(size >> 10),
        max: Mib(max >> 10),
        ballooning: Some(
            devices.child("memballoon").is_some_and(|balloon| balloon.get("model").unwrap_or("none") != "none"),
        ),
    }
}

fn source_path(disk: &Element) -> String {
    disk.child("source")
        .and_then(|source| source.get("file").or_else(|| source.get("dev")))
        .unwrap_or_default()
        .to_owned()
}

fn boot_index(device: &Element) -> u32 {
    device.child("boot").map_or(0, |boot| narrow(boot.number("order")))
}

fn disk(element: &Element) -> Disk {
    let driver = element.child("driver");
    let target = element.child("target");
    let source = element.child("source");
    let discard = driver.and_then(|driver| driver.get("discard")) == Some("unmap");
    Disk {
        id: target.map(|target| target.get_or_empty("dev").to_owned()).unwrap_or_default(),
        pool: source.map(|source| source.get_or_empty("pool").to_owned()).unwrap_or_default(),
        volume: source.map(|source| source.get_or_empty("volume").to_owned()).unwrap_or_default(),
        size: crate::model::units::Gib(0),
        bus: match target.map(|target| target.get_or_empty("bus")) {
            Some("virtio") => Some(DiskBus::VirtioBlk),
            Some("scsi") => Some(DiskBus::VirtioScsi),
            Some("sata") => Some(DiskBus::Sata),
            Some("ide") => Some(DiskBus::Ide),
            Some("nvme") => Some(DiskBus::Nvme),
            Some(_) | None => None,
        },
        provisioning: DiskProvisioning::Thin,
        boot_index: boot_index(element),
        io_limits: element.child("iotune").map(io_limits).unwrap_or_default(),
        cache: match driver.and_then(|driver| driver.get("cache")) {
            Some("writeback") => Some(CacheMode::Writeback),
            Some("writethrough") => Some(CacheMode::Writethrough),
            Some("none") => Some(CacheMode::None),
            Some(_) | None => None,
        },
        readonly: element.has("readonly"),
        discard: Some(discard),
        backing_file: String::new(),
        backing_format: None,
        path: source_path(element),
        format: match driver.and_then(|driver| driver.get("type")) {
            Some("qcow2") => Some(DiskFormat::Qcow2),
            Some("raw") => Some(DiskFormat::Raw),
            Some(_) | None => None,
        },
    }
}

fn io_limits(tune: &Element) -> IoLimits {
    let value = |name: &str| tune.text_of(name).parse().unwrap_or(0);
    let either = |read: &str, write: &str| value(read).max(value(write));
    IoLimits {
        read_iops: value("read_iops_sec"),
        write_iops: value("write_iops_sec"),
        read_bytes_sec: value("read_bytes_sec"),
        write_bytes_sec: value("write_bytes_sec"),
        burst_iops: either("read_iops_sec_max", "write_iops_sec_max"),
        burst_bytes: either("read_bytes_sec_max", "write_bytes_sec_max"),
        burst_duration_sec: narrow(
            either("read_iops_sec_max_length", "write_iops_sec_max_length")
                .max(either("read_bytes_sec_max_length", "write_bytes_sec_max_length")),
        ),
    }
}

fn cdrom(element: &Element) -> Cdrom {
    let iso_path = source_path(element);
    Cdrom {
        id: element.child("target").map(|target| target.get_or_empty("dev").to_owned()).unwrap_or_default(),
        boot_index: boot_index(element),
        connected: Some(!iso_path.is_empty()),
        iso_path,
    }
}

fn nic(element: &Element) -> Nic {
    let mac = element.child("mac").map(|mac| mac.get_or_empty("address").to_ascii_lowercase()).unwrap_or_default();
    let source = element.child("source");
    let of_source = |name: &str| source.map(|source| source.get_or_empty(name).to_owned()).unwrap_or_default();
    let network = of_source("network");
    let rate = |side: &str| element.at(&["bandwidth", side]).map_or(0, |side| side.number("average").div_ceil(125));
    Nic {
        id: mac.clone(),
        mac,
        bridge: if network.is_empty() { of_source("bridge") } else { String::new() },
        network,
        model: match element.child("model").map(|model| model.get_or_empty("type")) {
            Some("e1000") => NicModel::E1000,
            Some("e1000e") => NicModel::E1000e,
            Some("vmxnet3") => NicModel::Vmxnet3,
            Some(_) | None => NicModel::Virtio,
        },
        qos: NicQos {
            ingress_rate_mbps: rate("inbound"),
            egress_rate_mbps: rate("outbound"),
            burst_kb: ["inbound", "outbound"]
                .iter()
                .filter_map(|side| element.at(&["bandwidth", side]))
                .map(|side| side.number("burst"))
                .max()
                .unwrap_or(0),
        },
        boot_index: boot_index(element),
    }
}

fn tpm(element: &Element) -> Tpm {
    let backend = element.child("backend");
    Tpm {
        enabled: Some(true),
        version: match backend.and_then(|backend| backend.get("version")) {
            Some("1.2") => TpmVersion::V1_2,
            Some(_) | None => TpmVersion::V2_0,
        },
        persistent: backend.and_then(|backend| backend.get("persistent_state")) == Some("yes"),
    }
}

fn watchdog(element: &Element) -> Watchdog {
    Watchdog {
        enabled: true,
        model: match element.get("model") {
            Some("ib700") => WatchdogModel::Ib700,
            Some(_) | None => WatchdogModel::I6300esb,
        },
        action: match element.get("action") {
            Some("shutdown") => WatchdogAction::Shutdown,
            Some("poweroff") => WatchdogAction::Poweroff,
            Some("pause") => WatchdogAction::Pause,
            Some("none") => WatchdogAction::None,
            Some(_) | None => WatchdogAction::Reset,
        },
    }
}

fn rng(element: &Element) -> Rng {
    let rate = element.child("rate");
    Rng {
        enabled: Some(true),
        rate_bytes: rate.map_or(0, |rate| rate.number("bytes")),
        period_ms: rate.map_or(0, |rate| narrow(rate.number("period"))),
        backend: element.text_of("backend"),
    }
}

fn firmware(domain: &Element) -> Firmware {
    let Some(os) = domain.child("os") else {
        return Firmware::Bios;
    };
    let efi = os.get("firmware") == Some("efi")
        || os.child("loader").is_some_and(|loader| loader.get("type") == Some("pflash"));
    if !efi {
        return Firmware::Bios;
    }
    let secure = os.child("loader").is_some_and(|loader| loader.get("secure") == Some("yes"))
        || os.child("firmware").is_some_and(|firmware| {
            firmware
                .named("feature")
                .any(|feature| feature.get("name") == Some("secure-boot") && feature.get("enabled") == Some("yes"))
        });
    if secure { Firmware::UefiSecureBoot } else { Firmware::Uefi }
}

fn boot(domain: &Element) -> Boot {
    let Some(os) = domain.child("os") else {
        return Boot::default();
    };
    let kernel_path = os.text_of("kernel");
    let menu = os.child("bootmenu").filter(|menu| menu.get("enable") == Some("yes"));
    Boot {
        order: Vec::new(),
        menu_timeout_sec: menu.map_or(0, |menu| narrow(menu.number("timeout").div_ceil(1000))),
        direct: (!kernel_path.is_empty()).then(|| DirectBoot {
            kernel_path,
            initrd_path: os.text_of("initrd"),
            cmdline: os.text_of("cmdline"),
        }),
    }
}

fn display(devices: &Element) -> Display {
    let kind = match devices.named("graphics").next().map(|graphics| graphics.get_or_empty("type")) {
        Some("vnc") => DisplayKind::Vnc,
        Some("spice") => DisplayKind::Spice,
        Some(_) | None => DisplayKind::None,
    };
    let model = devices.at(&["video", "model"]);
    let video = match model.map(|model| model.get_or_empty("type")) {
        Some("cirrus") => VideoModel::Cirrus,
        Some("qxl") => VideoModel::Qxl,
        Some("virtio") => VideoModel::Virtio,
        Some(_) | None => VideoModel::Vga,
    };
    Display { kind, video, video_memory: Mib(model.map_or(0, |model| model.number("vram")) >> 10) }
}
