//! Editing a definition in place: only what differs between what it says and what is wanted is
//! touched, so that another client's unknown elements survive. Devices are told apart by their id:
//! a disk's target, a card's MAC.

use super::caps::HostProfile;
use super::consoles::insert;
use super::devices::{self, unsupported};
use super::metadata;
use super::read::read_tree;
use super::tree::Element;
use super::write::{self, Targets, orders};
use crate::hypervisor::HypervisorError;
use crate::model::definition::{DefinitionText, VmIdentity};
use crate::model::spec::{Cdrom, Cpu, Disk, DiskBus, VmSpec};

/// The definition with `spec` in force, and our metadata where `identity` is given.
///
/// # Errors
/// `Unsupported`, naming what the host lacks; `Refused` where `current` cannot be read.
pub fn edit_domain(
    current: &DefinitionText,
    spec: &VmSpec,
    identity: Option<&VmIdentity>,
    host: &HostProfile,
) -> Result<DefinitionText, HypervisorError> {
    let mut domain = Element::parse(&current.0)?;
    let now = read_tree(&domain)?;
    if now.spec == *spec && (identity.is_none() || identity == now.identity.as_ref()) {
        return Ok(current.clone());
    }
    let old = &now.spec;
    if let Some(identity) = identity {
        let metadata = domain.child_mut("metadata");
        metadata.remove(metadata::is_ours);
        metadata.push(metadata::declared(identity));
    }
    if old.memory.size != spec.memory.size || old.memory.max != spec.memory.max {
        domain.replace(Element::new("memory").attr("unit", "KiB").text(write::max_memory_kib(spec)));
        domain.replace(Element::new("currentMemory").attr("unit", "KiB").text(spec.memory.size.bytes() >> 10));
    }
    if old.cpu != spec.cpu {
        edit_cpu(&mut domain, old, spec, host)?;
    }
    if old.firmware.unwrap_or(crate::model::spec::Firmware::Bios)
        != spec.firmware.unwrap_or(crate::model::spec::Firmware::Bios)
    {
        write::firmware(domain.child_mut("os"), spec.firmware, host)?;
    }
    if old.boot.direct != spec.boot.direct || old.boot.menu_timeout_sec != spec.boot.menu_timeout_sec {
        write::boot(domain.child_mut("os"), &spec.boot);
    }
    let targets = Targets::of(spec)?;
    let order = orders(spec, &targets);
    // libvirt allows an order at the devices or in <os>, never both.
    domain.child_mut("os").remove_named("boot");
    let devices = domain.child_mut("devices");
    edit_disks(devices, old, spec, &targets)?;
    edit_cdroms(devices, old, spec, &targets);
    edit_nics(devices, old, spec);
    for device in devices.children_mut() {
        let id = match device.name.as_str() {
            "disk" => device.child("target").map(|target| target.get_or_empty("dev").to_owned()),
            "interface" => device.child("mac").map(|mac| mac.get_or_empty("address").to_ascii_lowercase()),
            _ => None,
        };
        if let Some(id) = id {
            device.remove_named("boot");
            if let Some(place) = devices::boot(order.get(&id).copied()) {
                device.push(place);
            }
        }
    }
    if old.memory.ballooning != spec.memory.ballooning {
        devices.replace(devices::balloon(spec.memory.ballooning));
    }
    if old.tpm != spec.tpm {
        devices.remove_named("tpm");
        if let Some(tpm) = devices::tpm(spec.tpm.as_ref(), false, host)? {
            devices.push(tpm);
        }
    }
    if old.watchdog != spec.watchdog {
        devices.remove(|device| device.name == "watchdog" && device.get("model") != Some("itco"));
        if let Some(watchdog) = devices::watchdog(spec.watchdog.as_ref()) {
            devices.push(watchdog);
        }
    }
    if old.rng != spec.rng {
        devices.remove_named("rng");
        if let Some(rng) = devices::rng(spec.rng.as_ref()) {
            devices.push(rng);
        }
    }
    if old.serial_ports != spec.serial_ports {
        devices.remove_named("serial");
        devices.remove_named("console");
        for serial in devices::serials(spec.serial_ports) {
            devices.push(serial);
        }
    }
    if old.agent != spec.agent {
        devices.remove(|device| {
            device.name == "channel"
                && device.child("target").is_some_and(|target| target.get("name") == Some(devices::AGENT_CHANNEL))
        });
        if spec.agent != Some(false) {
            devices.push(devices::agent_channel());
        }
    }
    if old.display.kind != spec.display.kind {
        devices.remove_named("graphics");
        devices.remove_named("audio");
    }
    if old.display != spec.display {
        devices.remove_named("video");
        for shown in devices::display(&spec.display, host)? {
            if shown.name != "graphics" || old.display.kind != spec.display.kind {
                devices.push(shown);
            }
        }
    }
    Ok(DefinitionText(domain.write()?))
}

fn edit_cpu(domain: &mut Element, old: &VmSpec, spec: &VmSpec, host: &HostProfile) -> Result<(), HypervisorError> {
    domain.replace(write::vcpu(&spec.cpu));
    // A list of single vCPUs contradicts a new count.
    domain.remove_named("vcpus");
    if write::many_vcpus(&spec.cpu) && !write::many_vcpus(&old.cpu) {
        write::for_many_vcpus(domain, host)?;
    }
    let counts = |cpu: &Cpu| (cpu.cores, cpu.max_cores, cpu.sockets, cpu.threads_per_core);
    let recounted = counts(&old.cpu) != counts(&spec.cpu);
    if recounted && domain.at(&["cpu", "numa"]).is_some() {
        return Err(unsupported(
            "spec.cpu",
            "this VM's definition lays its vCPUs out over NUMA cells; change it with virsh",
        ));
    }
    if old.cpu.model != spec.cpu.model || old.cpu.features != spec.cpu.features {
        if let Some(fresh) = write::cpu(&spec.cpu, host)? {
            remodel(domain.child_mut("cpu"), &fresh);
        }
    } else if recounted && (domain.at(&["cpu", "topology"]).is_some() || spec.cpu.sockets > 0) {
        domain.child_mut("cpu").replace(write::topology(&spec.cpu));
    }
    Ok(())
}

/// The model and the flags that a specification knows are replaced; caches, NUMA cells and optional
/// flags are another client's.
fn remodel(cpu: &mut Element, fresh: &Element) {
    for name in ["mode", "match", "check", "migratable"] {
        match fresh.get(name) {
            Some(value) => cpu.set(name, value),
            None => cpu.unset(name),
        }
    }
    cpu.remove(|child| {
        matches!(child.name.as_str(), "model" | "vendor" | "topology")
            || child.name == "feature" && matches!(child.get("policy"), None | Some("require" | "disable"))
    });
    for child in fresh.children() {
        cpu.push(child.clone());
    }
}

pub(super) fn is_disk(device: &Element, kind: &str, target: &str) -> bool {
    device.name == "disk"
        && device.get("device").unwrap_or("disk") == kind
        && device.child("target").is_some_and(|found| found.get("dev") == Some(target))
}

fn edit_disks(devices: &mut Element, old: &VmSpec, spec: &VmSpec, targets: &Targets) -> Result<(), HypervisorError> {
    for gone in old.disks.iter().filter(|disk| !targets.disks.iter().any(|(target, _)| *target == disk.id)) {
        devices.remove(|device| is_disk(device, "disk", &gone.id));
    }
    for (wanted, (target, bus)) in spec.disks.iter().zip(&targets.disks) {
        match old.disks.iter().find(|disk| disk.id == *target) {
            None => {
                needs_controller(devices, *bus);
                devices.push(devices::disk(wanted, target, *bus, None)?);
            }
            Some(before) if same_but_order(before, wanted) => {}
            Some(before) => {
                if let Some(device) = devices.children_mut().find(|device| is_disk(device, "disk", target)) {
                    edit_disk(device, before, wanted, *bus)?;
                }
                needs_controller(devices, *bus);
            }
        }
    }
    Ok(())
}

fn same_but_order(left: &Disk, right: &Disk) -> bool {
    Disk { boot_index: 0, size: right.size, ..left.clone() } == Disk { boot_index: 0, ..right.clone() }
}

fn edit_disk(device: &mut Element, before: &Disk, wanted: &Disk, bus: DiskBus) -> Result<(), HypervisorError> {
    if before.path != wanted.path {
        let (kind, source) = devices::source(&wanted.path);
        device.set("type", kind);
        device.replace(source);
        device.remove_named("backingStore");
    }
    let driver = device.child_mut("driver");
    if let Some(format) = wanted.format {
        driver.set("type", devices::format_word(format));
    }
    match wanted.cache {
        Some(cache) => driver.set("cache", devices::cache_word(cache)),
        None => driver.unset("cache"),
    }
    if devices::discards(wanted) {
        driver.set("discard", "unmap");
    } else {
        driver.unset("discard");
    }
    device.remove_named("iotune");
    if let Some(tune) = devices::iotune(&wanted.io_limits) {
        device.push(tune);
    }
    device.remove_named("readonly");
    if wanted.readonly {
        device.push(Element::new("readonly"));
    }
    if before.bus != Some(bus) {
        let Some((word, _)) = devices::bus_words(bus) else {
            return Err(unsupported("spec.disks[].bus", "NVME disks need libvirt 11.5 or later"));
        };
        device.child_mut("target").set("bus", word);
        // The old address is one of the old bus.
        device.remove_named("address");
    }
    Ok(())
}

/// A disk on virtio-scsi needs its controller; libvirt would add an LSI one.
fn needs_controller(devices: &mut Element, bus: DiskBus) {
    let has = devices.named("controller").any(|controller| controller.get("type") == Some("scsi"));
    if bus == DiskBus::VirtioScsi && !has {
        devices.push(Element::new("controller").attr("type", "scsi").attr("index", 0).attr("model", "virtio-scsi"));
    }
}

fn edit_cdroms(devices: &mut Element, old: &VmSpec, spec: &VmSpec, targets: &Targets) {
    for gone in old.cdroms.iter().filter(|cdrom| !targets.cdroms.iter().any(|(target, _)| *target == cdrom.id)) {
        devices.remove(|device| is_disk(device, "cdrom", &gone.id));
    }
    for (wanted, (target, bus)) in spec.cdroms.iter().zip(&targets.cdroms) {
        let same = |cdrom: &&Cdrom| {
            cdrom.id == *target && (&cdrom.iso_path, cdrom.connected) == (&wanted.iso_path, wanted.connected)
        };
        if old.cdroms.iter().any(|cdrom| same(&cdrom)) {
            continue;
        }
        if let Some(device) = devices.children_mut().find(|device| is_disk(device, "cdrom", target)) {
            insert(device, Some(wanted.medium()).filter(|path| !path.is_empty()));
        } else {
            needs_controller(devices, *bus);
            devices.push(devices::cdrom(wanted, target, *bus, None));
        }
    }
}

fn edit_nics(devices: &mut Element, old: &VmSpec, spec: &VmSpec) {
    let is_nic = |device: &Element, mac: &str| {
        device.name == "interface"
            && device.child("mac").is_some_and(|found| found.get_or_empty("address").eq_ignore_ascii_case(mac))
    };
    for gone in old.nics.iter().filter(|nic| !spec.nics.iter().any(|wanted| wanted.mac.eq_ignore_ascii_case(&nic.mac)))
    {
        devices.remove(|device| is_nic(device, &gone.mac));
    }
    for wanted in &spec.nics {
        let Some(before) = old.nics.iter().find(|nic| nic.mac.eq_ignore_ascii_case(&wanted.mac)) else {
            devices.push(devices::nic(wanted, None));
            continue;
        };
        if let Some(device) = devices.children_mut().find(|device| is_nic(device, &wanted.mac)) {
            if before.network != wanted.network || before.bridge != wanted.bridge {
                let fresh = devices::nic(wanted, None);
                device.set("type", fresh.get_or_empty("type"));
                if let Some(source) = fresh.child("source") {
                    device.replace(source.clone());
                }
            }
            if before.model != wanted.model {
                device.replace(Element::new("model").attr("type", devices::nic_model_word(wanted.model)));
            }
            if before.qos != wanted.qos {
                device.remove_named("bandwidth");
                if let Some(bandwidth) = devices::bandwidth(&wanted.qos) {
                    device.push(bandwidth);
                }
            }
        }
    }
}
