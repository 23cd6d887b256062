//! A whole definition from a specification, with the defaults of the field: q35 with spare root
//! ports for hot-plug, virtio everything, a serial console and an agent channel always, discarding
//! sparse disks, UEFI by libvirt's own choice of image. Order and content follow from the
//! specification alone: the same one gives the same bytes.

use std::collections::HashMap;

use super::caps::{Driver, HostProfile};
use super::devices::{self, bus_words, target_name, unsupported};
use super::metadata;
use super::tree::Element;
use crate::hypervisor::{Accelerator, HypervisorError};
use crate::model::definition::{DefinitionText, VmDefinition};
use crate::model::spec::{Boot, BootClass, Cpu, DiskBus, Firmware, VmSpec};

/// Spare PCIe ports, each good for one device while the VM runs.
const SPARE_ROOT_PORTS: usize = 10;
/// From here on APIC ids need the extended mode that an IOMMU gives.
const MANY_VCPUS: u32 = 255;

/// The definition's text.
///
/// # Errors
/// `Unsupported`, naming the field and what the host lacks.
pub fn write_domain(definition: &VmDefinition, host: &HostProfile) -> Result<DefinitionText, HypervisorError> {
    let spec = &definition.spec;
    let legacy = uses_ide(spec);
    if legacy && !matches!(spec.firmware, None | Some(Firmware::Bios)) {
        return Err(unsupported("spec.disks[].bus", "IDE disks need BIOS firmware; use SATA with UEFI"));
    }
    if many_vcpus(&spec.cpu) {
        can_have_many_vcpus(host, legacy)?;
    }
    let targets = Targets::of(spec)?;
    let orders = orders(spec, &targets);
    let domain_type = match (host.driver, host.accelerator) {
        (Driver::Test, _) => "test",
        (Driver::Qemu, Accelerator::Kvm) => "kvm",
        (Driver::Qemu, Accelerator::Tcg) => "qemu",
    };
    let mut domain = Element::new("domain")
        .attr("type", domain_type)
        .with(Element::new("name").text(&definition.hypervisor_name))
        .with(Element::new("uuid").text(definition.id))
        .with(Element::new("metadata").with(metadata::declared(&definition.identity)))
        .with(Element::new("memory").attr("unit", "KiB").text(max_memory_kib(spec)))
        .with(Element::new("currentMemory").attr("unit", "KiB").text(spec.memory.size.bytes() >> 10))
        .with(vcpu(&spec.cpu))
        .with(os(spec, host, legacy)?)
        .with(features(spec))
        .with_some(cpu(&spec.cpu, host)?)
        .with(clock(spec))
        .with(Element::new("on_poweroff").text("destroy"))
        .with(Element::new("on_reboot").text("restart"))
        .with(Element::new("on_crash").text("preserve"));
    if host.driver == Driver::Qemu {
        domain.push(
            Element::new("pm")
                .with(Element::new("suspend-to-mem").attr("enabled", "no"))
                .with(Element::new("suspend-to-disk").attr("enabled", "no")),
        );
    }
    domain.push(all_devices(spec, host, legacy, &targets, &orders)?);
    Ok(DefinitionText(domain.write()?))
}

fn uses_ide(spec: &VmSpec) -> bool {
    spec.disks.iter().any(|disk| disk.bus == Some(DiskBus::Ide))
}

/// The memory that the balloon may be inflated to.
pub(super) fn max_memory_kib(spec: &VmSpec) -> u64 {
    spec.memory.max.max(spec.memory.size).bytes() >> 10
}

pub(super) fn vcpu(cpu: &Cpu) -> Element {
    let max = cpu.max_cores.max(cpu.cores);
    let mut vcpu = Element::new("vcpu").attr("placement", "static");
    if max > cpu.cores {
        vcpu.set("current", cpu.cores);
    }
    vcpu.text(max)
}

fn os(spec: &VmSpec, host: &HostProfile, legacy: bool) -> Result<Element, HypervisorError> {
    let mut kind = Element::new("type").attr("arch", &host.arch);
    match host.driver {
        Driver::Qemu => kind.set("machine", if legacy { "pc" } else { &host.machine }),
        Driver::Test => {}
    }
    let mut os = Element::new("os").with(kind.text("hvm"));
    firmware(&mut os, spec.firmware, host)?;
    boot(&mut os, &spec.boot);
    Ok(os)
}

/// UEFI by auto-selection: libvirt picks the image for the features that are named.
pub(super) fn firmware(os: &mut Element, wanted: Option<Firmware>, host: &HostProfile) -> Result<(), HypervisorError> {
    os.unset("firmware");
    for stale in ["firmware", "loader", "nvram"] {
        os.remove_named(stale);
    }
    let secure = match wanted {
        None | Some(Firmware::Bios) => return Ok(()),
        Some(Firmware::Uefi) => false,
        Some(Firmware::UefiSecureBoot) => true,
    };
    if !host.uefi {
        return Err(unsupported("spec.firmware", "this host has no UEFI firmware; install the package ovmf"));
    }
    if secure && !host.secure_boot {
        return Err(unsupported(
            "spec.firmware",
            "this host's UEFI firmware has no Secure Boot; install the package ovmf",
        ));
    }
    os.set("firmware", "efi");
    let yes_or_no = if secure { "yes" } else { "no" };
    let mut chosen = Element::new("firmware");
    if secure {
        chosen.push(Element::new("feature").attr("enabled", "yes").attr("name", "enrolled-keys"));
    }
    chosen.push(Element::new("feature").attr("enabled", yes_or_no).attr("name", "secure-boot"));
    os.push(chosen);
    Ok(())
}

/// Direct kernel and boot menu; the order stands at the devices.
pub(super) fn boot(os: &mut Element, boot: &Boot) {
    for stale in ["kernel", "initrd", "cmdline", "bootmenu", "boot"] {
        os.remove_named(stale);
    }
    if let Some(direct) = &boot.direct {
        os.push(Element::new("kernel").text(&direct.kernel_path));
        if !direct.initrd_path.is_empty() {
            os.push(Element::new("initrd").text(&direct.initrd_path));
        }
        if !direct.cmdline.is_empty() {
            os.push(Element::new("cmdline").text(&direct.cmdline));
        }
    }
    if boot.menu_timeout_sec > 0 {
        os.push(
            Element::new("bootmenu")
                .attr("enable", "yes")
                .attr("timeout", u64::from(boot.menu_timeout_sec).saturating_mul(1000)),
        );
    }
}

fn features(spec: &VmSpec) -> Element {
    let mut features = Element::new("features").with(Element::new("acpi")).with(Element::new("apic"));
    if spec.guest_os.family.is_windows() {
        features.push(
            Element::new("hyperv")
                .attr("mode", "custom")
                .with(Element::new("relaxed").attr("state", "on"))
                .with(Element::new("vapic").attr("state", "on"))
                .with(Element::new("spinlocks").attr("state", "on").attr("retries", 8191)),
        );
    }
    if many_vcpus(&spec.cpu) {
        features.push(ioapic());
    }
    features
}

pub(super) fn many_vcpus(cpu: &Cpu) -> bool {
    cpu.max_cores.max(cpu.cores) > MANY_VCPUS
}

/// QEMU gives extended APIC ids only through KVM, and an IOMMU only on q35.
fn can_have_many_vcpus(host: &HostProfile, legacy: bool) -> Result<(), HypervisorError> {
    if host.driver == Driver::Qemu && host.accelerator == Accelerator::Tcg {
        return Err(unsupported(
            "spec.cpu.cores",
            &format!("more than {MANY_VCPUS} vCPUs need KVM, and this host emulates"),
        ));
    }
    if legacy {
        return Err(unsupported(
            "spec.cpu.cores",
            &format!("more than {MANY_VCPUS} vCPUs need a machine without IDE disks"),
        ));
    }
    Ok(())
}

fn ioapic() -> Element {
    Element::new("ioapic").attr("driver", "qemu")
}

fn iommu() -> Element {
    Element::new("iommu").attr("model", "intel").with(Element::new("driver").attr("intremap", "on").attr("eim", "on"))
}

/// An existing definition made fit for more vCPUs than an APIC id counts.
pub(super) fn for_many_vcpus(domain: &mut Element, host: &HostProfile) -> Result<(), HypervisorError> {
    let q35 = domain.at(&["os", "type"]).is_some_and(|kind| kind.get_or_empty("machine").contains("q35"));
    can_have_many_vcpus(host, host.driver == Driver::Qemu && !q35)?;
    let features = domain.child_mut("features");
    if !features.has("apic") {
        features.push(Element::new("apic"));
    }
    features.replace(ioapic());
    if host.driver == Driver::Qemu {
        domain.child_mut("devices").replace(iommu());
    }
    Ok(())
}

/// `None`: QEMU's own default is all there is.
pub(super) fn cpu(cpu: &Cpu, host: &HostProfile) -> Result<Option<Element>, HypervisorError> {
    let mode = match (cpu.model.as_str(), host.accelerator) {
        ("host-passthrough" | "host-model", Accelerator::Tcg) if host.driver == Driver::Qemu => {
            return Err(unsupported(
                "spec.cpu.model",
                &format!("\"{}\" needs KVM, and this host emulates; leave it empty or use \"max\"", cpu.model),
            ));
        }
        ("", Accelerator::Kvm) | ("host-passthrough", _) => Some("host-passthrough"),
        ("host-model", _) => Some("host-model"),
        ("" | "max" | "maximum", _) => {
            if host.cpu_maximum {
                Some("maximum")
            } else if cpu.model.is_empty() {
                None
            } else {
                return Err(unsupported("spec.cpu.model", "this host's libvirt does not offer \"max\""));
            }
        }
        (_, _) => Some("custom"),
    };
    let mut element = Element::new("cpu");
    if let Some(mode) = mode {
        element.set("mode", mode);
        if mode == "custom" {
            element.set("match", "exact");
            element.set("check", "none");
            element.push(Element::new("model").attr("fallback", "forbid").text(&cpu.model));
        } else if mode == "host-passthrough" || mode == "maximum" {
            element.set("check", "none");
        }
    }
    element.push(topology(cpu));
    for (wanted, flag) in [
        (cpu.features.aes_ni, "aes"),
        (cpu.features.avx, "avx"),
        (cpu.features.avx2, "avx2"),
        (cpu.features.avx512, "avx512f"),
    ] {
        if wanted {
            element.push(Element::new("feature").attr("policy", "require").attr("name", flag));
        }
    }
    if cpu.features.nested_virt {
        let flag = host
            .nested_flag
            .as_ref()
            .ok_or_else(|| unsupported("spec.cpu.features.nested_virt", "this host's CPU has neither vmx nor svm"))?;
        element.push(Element::new("feature").attr("policy", "require").attr("name", flag));
    }
    for flag in &cpu.features.custom_flags {
        let (policy, name) = match flag.strip_prefix('-') {
            Some(name) => ("disable", name),
            None => ("require", flag.as_str()),
        };
        element.push(Element::new("feature").attr("policy", policy).attr("name", name));
    }
    Ok(Some(element))
}

pub(super) fn topology(cpu: &Cpu) -> Element {
    let max = cpu.max_cores.max(cpu.cores).max(1);
    let sockets = cpu.sockets.max(1);
    let threads = cpu.threads_per_core.max(1);
    let cores = (max / sockets.saturating_mul(threads)).max(1);
    Element::new("topology").attr("sockets", sockets).attr("cores", cores).attr("threads", threads)
}

fn clock(spec: &VmSpec) -> Element {
    let windows = spec.guest_os.family.is_windows();
    let mut clock = Element::new("clock")
        .attr("offset", if windows { "localtime" } else { "utc" })
        .with(Element::new("timer").attr("name", "rtc").attr("tickpolicy", "catchup"))
        .with(Element::new("timer").attr("name", "pit").attr("tickpolicy", "delay"))
        .with(Element::new("timer").attr("name", "hpet").attr("present", "no"));
    if windows {
        clock.push(Element::new("timer").attr("name", "hypervclock").attr("present", "yes"));
    }
    clock
}

/// Bus and target of each disk and CD-ROM, in their order.
pub(super) struct Targets {
    pub disks: Vec<(String, DiskBus)>,
    pub cdroms: Vec<(String, DiskBus)>,
}

impl Targets {
    /// Those that are named stay; the others take the next free name of their bus.
    pub fn of(spec: &VmSpec) -> Result<Self, HypervisorError> {
        let windows = spec.guest_os.family.is_windows();
        let default_bus = if windows { DiskBus::Sata } else { DiskBus::VirtioBlk };
        let cdrom_bus = if windows || uses_ide(spec) { DiskBus::Sata } else { DiskBus::VirtioScsi };
        let mut taken: Vec<String> = spec.disks.iter().map(|disk| disk.id.clone()).collect();
        taken.extend(spec.cdroms.iter().map(|cdrom| cdrom.id.clone()));
        let mut next = |id: &str, bus: DiskBus| -> Result<(String, DiskBus), HypervisorError> {
            if !id.is_empty() {
                return Ok((id.to_owned(), bus));
            }
            let Some((_, prefix)) = bus_words(bus) else {
                return Err(unsupported(
                    "spec.disks[].bus",
                    "NVME disks need libvirt 11.5 or later; use VIRTIO_BLK or VIRTIO_SCSI",
                ));
            };
            let name =
                (0..).map(|index| target_name(prefix, index)).find(|name| !taken.contains(name)).unwrap_or_default();
            taken.push(name.clone());
            Ok((name, bus))
        };
        Ok(Self {
            disks: spec
                .disks
                .iter()
                .map(|disk| next(&disk.id, disk.bus.unwrap_or(default_bus)))
                .collect::<Result<_, _>>()?,
            cdroms: spec.cdroms.iter().map(|cdrom| next(&cdrom.id, cdrom_bus)).collect::<Result<_, _>>()?,
        })
    }
}

/// Each bootable device's place in the order, by target or MAC. Where the request names an order,
/// that alone; else what has an index, by it, then the disks, then the CD-ROMs.
pub(super) fn orders(spec: &VmSpec, targets: &Targets) -> HashMap<String, u32> {
    let disks = || targets.disks.iter().map(|(target, _)| target.clone());
    let cdroms = || targets.cdroms.iter().map(|(target, _)| target.clone());
    let nics = || spec.nics.iter().map(|nic| nic.mac.clone());
    let mut sequence: Vec<String> = Vec::new();
    if spec.boot.order.is_empty() {
        let mut indexed: Vec<(u32, String)> = spec
            .disks
            .iter()
            .zip(disks())
            .map(|(disk, target)| (disk.boot_index, target))
            .chain(spec.cdroms.iter().zip(cdroms()).map(|(cdrom, target)| (cdrom.boot_index, target)))
            .chain(spec.nics.iter().map(|nic| (nic.boot_index, nic.mac.clone())))
            .filter(|(index, _)| *index > 0)
            .collect();
        indexed.sort_by_key(|(index, _)| *index);
        sequence.extend(indexed.into_iter().map(|(_, device)| device));
        sequence.extend(disks().chain(cdroms()));
    } else {
        for device in &spec.boot.order {
            if device.device_id.is_empty() {
                match device.class {
                    BootClass::Disk => sequence.extend(disks()),
                    BootClass::Cdrom => sequence.extend(cdroms()),
                    BootClass::Network => sequence.extend(nics()),
                    BootClass::Usb => {}
                }
            } else {
                sequence.push(device.device_id.clone());
            }
        }
    }
    let mut orders = HashMap::new();
    for device in sequence {
        let next = u32::try_from(orders.len()).unwrap_or(u32::MAX - 1) + 1;
        orders.entry(device).or_insert(next);
    }
    orders
}

fn all_devices(
    spec: &VmSpec,
    host: &HostProfile,
    legacy: bool,
    targets: &Targets,
    orders: &HashMap<String, u32>,
) -> Result<Element, HypervisorError> {
    let mut all = Element::new("devices");
    if let Some(emulator) = &host.emulator {
        all.push(Element::new("emulator").text(emulator));
    }
    for (disk, (target, bus)) in spec.disks.iter().zip(&targets.disks) {
        all.push(devices::disk(disk, target, *bus, orders.get(target).copied())?);
    }
    for (cdrom, (target, bus)) in spec.cdroms.iter().zip(&targets.cdroms) {
        all.push(devices::cdrom(cdrom, target, *bus, orders.get(target).copied()));
    }
    if host.driver == Driver::Qemu {
        if !legacy {
            all.push(Element::new("controller").attr("type", "pci").attr("index", 0).attr("model", "pcie-root"));
            for index in 1..=SPARE_ROOT_PORTS + spec.disks.len() + spec.nics.len() {
                all.push(
                    Element::new("controller").attr("type", "pci").attr("index", index).attr("model", "pcie-root-port"),
                );
            }
        }
        all.push(Element::new("controller").attr("type", "usb").attr("index", 0).attr("model", "qemu-xhci"));
    }
    if targets.disks.iter().chain(&targets.cdroms).any(|(_, bus)| *bus == DiskBus::VirtioScsi) {
        all.push(Element::new("controller").attr("type", "scsi").attr("index", 0).attr("model", "virtio-scsi"));
    }
    for nic in &spec.nics {
        all.push(devices::nic(nic, orders.get(&nic.mac).copied()));
    }
    for serial in devices::serials(spec.serial_ports) {
        all.push(serial);
    }
    if spec.agent != Some(false) {
        all.push(devices::agent_channel());
    }
    let uefi = matches!(spec.firmware, Some(Firmware::Uefi | Firmware::UefiSecureBoot));
    let wants_tpm = uefi && spec.guest_os.family.is_windows();
    if let Some(tpm) = devices::tpm(spec.tpm.as_ref(), wants_tpm, host)? {
        all.push(tpm);
    }
    let shown = devices::display(&spec.display, host)?;
    if host.driver == Driver::Qemu && shown.len() > 1 {
        all.push(Element::new("input").attr("type", "tablet").attr("bus", "usb"));
    }
    for element in shown {
        all.push(element);
    }
    if let Some(watchdog) = devices::watchdog(spec.watchdog.as_ref()) {
        all.push(watchdog);
    }
    if let Some(rng) = devices::rng(spec.rng.as_ref()) {
        all.push(rng);
    }
    all.push(devices::balloon(spec.memory.ballooning));
    if host.driver == Driver::Qemu {
        all.push(Element::new("panic").attr("model", "isa"));
        if many_vcpus(&spec.cpu) {
            all.push(iommu());
        }
    }
    Ok(all)
}
