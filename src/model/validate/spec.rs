//! The rules of a VM's specification. Limits are the wire contract's; the rest is what libvirt or
//! QEMU would refuse later, in words that a user of theirs must guess at.

use std::collections::BTreeSet;

use super::super::spec::{
    Boot, BootClass, Cdrom, Cpu, Disk, DiskBus, DiskFormat, DiskProvisioning, Display, Firmware, IoLimits, Memory, Nic,
    NicQos, Rng, Tpm, TpmVersion, VmSpec,
};
use super::{Violation, line, quoted, text};

const CORES_MAX: u32 = 256;
const MEMORY_MIN_MIB: u64 = 256;
const MEMORY_MAX_MIB: u64 = 1 << 20;
const DISK_MAX_GIB: u64 = 65_536;
const DISKS_MAX: usize = 32;
const CDROMS_MAX: usize = 4;
const NICS_MAX: usize = 16;
const FLAGS_MAX: usize = 64;
const SERIAL_MAX: u32 = 4;
const VIDEO_MEMORY_MAX_MIB: u64 = 1024;
const BOOT_MENU_MAX_SEC: u32 = 65;
const BOOT_INDEX_MAX: u32 = 999;
/// QEMU's own bound of a throttle's value.
const IO_LIMIT_MAX: u64 = 1_000_000_000_000_000;
const BURST_MAX_SEC: u32 = 3600;
const RATE_MAX_MBPS: u64 = 1_000_000;
const RATE_BURST_MAX_KB: u64 = 4_194_303;
const RNG_PERIOD_MAX_MS: u32 = 3_600_000;
/// The kernel's PATH_MAX without its terminating NUL.
const PATH_MAX: usize = 4095;
/// The kernel's IFNAMSIZ without its terminating NUL.
const INTERFACE_MAX: usize = 15;
/// COMMAND_LINE_SIZE of x86.
const CMDLINE_MAX: usize = 2047;
const RNG_BACKENDS: [&str; 3] = ["/dev/urandom", "/dev/random", "/dev/hwrng"];

/// Where a specification comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// A request that makes a VM: devices are described, none exists.
    Request,
    /// A present definition with a request's parts in it: its devices come back with all that is
    /// known of them, and other libvirt clients may have written what no request could say.
    Definition,
}

/// An absolute path in its one plain spelling, so that two names of one file are equal.
#[must_use]
pub fn host_path(value: &str, field: &str) -> Option<Violation> {
    let wrong = |description: String| Some(Violation::new(field, description));
    if let Some(violation) = line(value, field, PATH_MAX) {
        Some(violation)
    } else if value.len() > PATH_MAX {
        wrong(format!("may hold {PATH_MAX} bytes at most; it has {}", value.len()))
    } else if !value.starts_with('/') {
        wrong(format!("must be an absolute path on the host; {} is not", quoted(value)))
    } else if value.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
        wrong(format!(
            "must be written without \".\", \"..\" and doubled or trailing \"/\"; {} is not",
            quoted(value)
        ))
    } else {
        None
    }
}

/// Everything that is wrong with a specification of a defined VM, fields under `prefix`.
#[must_use]
pub fn spec(spec: &VmSpec, prefix: &str) -> Vec<Violation> {
    of_origin(spec, prefix, Origin::Definition)
}

/// What is wrong with `new` and was not wrong in `old` already: a VM of another libvirt client may
/// break our rules, and must not for that refuse every change.
#[must_use]
pub fn spec_change(old: &VmSpec, new: &VmSpec, prefix: &str) -> Vec<Violation> {
    let known = spec(old, prefix);
    let mut found = spec(new, prefix);
    found.retain(|violation| !known.contains(violation));
    found
}

pub(super) fn of_origin(spec: &VmSpec, prefix: &str, origin: Origin) -> Vec<Violation> {
    let mut rules = Rules { prefix, found: Vec::new() };
    rules.cpu(&spec.cpu);
    rules.memory(&spec.memory);
    rules.disks(&spec.disks, origin);
    rules.cdroms(&spec.cdroms);
    rules.nics(&spec.nics);
    rules.targets(&spec.disks, &spec.cdroms);
    rules.boot_indexes(spec);
    rules.boot(spec, origin);
    rules.tpm(spec.tpm.as_ref(), spec.firmware);
    rules.rng(spec.rng.as_ref());
    rules.display(&spec.display);
    if let Some(ports) = spec.serial_ports {
        rules.within("serial.count", ports, 0_u32, SERIAL_MAX);
    }
    rules.add(line(&spec.guest_os.variant, &rules.at("guest_os.variant"), 255));
    rules.found
}

struct Rules<'a> {
    prefix: &'a str,
    found: Vec<Violation>,
}

impl Rules<'_> {
    fn at(&self, path: &str) -> String {
        format!("{}.{path}", self.prefix)
    }

    fn add(&mut self, violation: Option<Violation>) {
        self.found.extend(violation);
    }

    fn wrong(&mut self, path: &str, why: impl Into<String>) {
        let at = self.at(path);
        self.found.push(Violation::new(&at, why));
    }

    fn within(&mut self, path: &str, value: impl Into<u64>, min: impl Into<u64>, max: impl Into<u64>) {
        let (value, min, max) = (value.into(), min.into(), max.into());
        if !(min..=max).contains(&value) {
            self.wrong(path, format!("must be {min}-{max}; {value} was sent"));
        }
    }

    fn count(&mut self, path: &str, count: usize, max: usize) {
        if count > max {
            self.wrong(path, format!("may hold {max} entries at most; it has {count}"));
        }
    }

    fn cpu(&mut self, cpu: &Cpu) {
        if cpu.cores == 0 {
            self.wrong("cpu.cores", format!("is required: 1-{CORES_MAX}"));
        } else {
            self.within("cpu.cores", cpu.cores, 1_u32, CORES_MAX);
        }
        if cpu.max_cores != 0 {
            self.within("cpu.max_cores", cpu.max_cores, 1_u32, CORES_MAX);
            if cpu.max_cores < cpu.cores {
                self.wrong(
                    "cpu.max_cores",
                    format!("must not be below cores; {} is below {}", cpu.max_cores, cpu.cores),
                );
            }
        }
        let shape = u64::from(cpu.sockets.max(1)) * u64::from(cpu.threads_per_core.max(1));
        let field = if cpu.sockets > 1 { "cpu.sockets" } else { "cpu.threads_per_core" };
        if cpu.cores > 0 && u64::from(cpu.cores) % shape != 0 {
            self.wrong(
                field,
                format!("sockets × threads_per_core must divide cores; {shape} does not divide {}", cpu.cores),
            );
        } else if cpu.max_cores > cpu.cores && u64::from(cpu.max_cores) % shape != 0 {
            self.wrong(
                field,
                format!("sockets × threads_per_core must divide max_cores; {shape} does not divide {}", cpu.max_cores),
            );
        }
        let is_word = |word: &str| {
            (1..=64).contains(&word.len())
                && word.starts_with(|c: char| c.is_ascii_alphanumeric())
                && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        if !cpu.model.is_empty() && !is_word(&cpu.model) {
            self.wrong(
                "cpu.model",
                format!("must be 1-64 ASCII letters, digits, \"-\", \"_\", \".\"; {} is not", quoted(&cpu.model)),
            );
        }
        self.count("cpu.features.custom_flags", cpu.features.custom_flags.len(), FLAGS_MAX);
        let mut seen = BTreeSet::new();
        for (index, flag) in cpu.features.custom_flags.iter().enumerate() {
            let path = format!("cpu.features.custom_flags[{index}]");
            let bare = flag.strip_prefix('-').unwrap_or(flag);
            if !is_word(bare) {
                self.wrong(
                    &path,
                    format!(
                        "must be a flag by libvirt's name, with \"-\" before it to take it away; {} is not",
                        quoted(flag)
                    ),
                );
            } else if !seen.insert(bare) {
                self.wrong(&path, format!("names {} a second time", quoted(bare)));
            }
        }
    }

    fn memory(&mut self, memory: &Memory) {
        if memory.size.0 == 0 {
            self.wrong("memory.size_mib", format!("is required: {MEMORY_MIN_MIB}-{MEMORY_MAX_MIB}"));
        } else {
            self.within("memory.size_mib", memory.size.0, MEMORY_MIN_MIB, MEMORY_MAX_MIB);
        }
        if memory.max.0 == 0 {
            return;
        }
        if memory.max.0 > MEMORY_MAX_MIB {
            self.within("memory.max_memory_mib", memory.max.0, MEMORY_MIN_MIB, MEMORY_MAX_MIB);
        } else if memory.max < memory.size {
            self.wrong(
                "memory.max_memory_mib",
                format!("must not be below size_mib; {} is below {}", memory.max.0, memory.size.0),
            );
        } else if memory.max > memory.size && memory.ballooning == Some(false) {
            self.wrong(
                "memory.max_memory_mib",
                "needs the balloon, through which the guest is given more; leave ballooning_enabled unset",
            );
        }
    }

    fn disks(&mut self, disks: &[Disk], origin: Origin) {
        self.count("disks", disks.len(), DISKS_MAX);
        let mut places: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (index, disk) in disks.iter().enumerate() {
            let at = format!("disks[{index}]");
            self.disk(&at, disk, origin);
            let place = if disk.path.is_empty() {
                let pool = if disk.pool.is_empty() { "default" } else { &disk.pool };
                (pool, disk.volume.as_str())
            } else {
                ("", disk.path.as_str())
            };
            if !place.1.is_empty() && !places.insert(place) {
                self.wrong(&at, format!("names {} a second time; each disk needs its own", quoted(place.1)));
            }
        }
    }

    fn disk(&mut self, at: &str, disk: &Disk, origin: Origin) {
        let field = |name: &str| format!("{at}.{name}");
        self.target(&field("id"), &disk.id);
        self.pool_word(&field("storage_pool_id"), &disk.pool);
        self.pool_word(&field("volume_id"), &disk.volume);
        self.path(&field("path"), &disk.path);
        self.path(&field("backing_file"), &disk.backing_file);
        self.within(&field("boot_index"), disk.boot_index, 0_u32, BOOT_INDEX_MAX);
        self.io_limits(&field("io_limits"), &disk.io_limits);
        if disk.size.0 > DISK_MAX_GIB {
            self.within(&field("size_gib"), disk.size.0, 1_u64, DISK_MAX_GIB);
        }
        if disk.readonly && matches!(disk.bus, Some(DiskBus::Sata | DiskBus::Ide)) {
            self.wrong(&field("readonly"), "is not possible on SATA and IDE; use VIRTIO_BLK or VIRTIO_SCSI");
        }
        if !disk.path.is_empty() && disk.format.is_none() {
            self.wrong(&field("format"), "is required with path: QCOW2 or RAW; a format is never guessed");
        }
        match (disk.backing_file.is_empty(), disk.backing_format) {
            (false, None) => {
                self.wrong(&field("backing_format"), "is required with backing_file: QCOW2 or RAW");
            }
            (true, Some(_)) => self.wrong(&field("backing_format"), "has no meaning without backing_file"),
            (false, Some(_)) | (true, None) => {}
        }
        match origin {
            Origin::Request => self.new_disk(at, disk),
            Origin::Definition => {}
        }
    }

    /// A disk of a request is one of three, never a mixture.
    fn new_disk(&mut self, at: &str, disk: &Disk) {
        let field = |name: &str| format!("{at}.{name}");
        let exists = if !disk.path.is_empty() {
            for (name, is_set) in [
                ("storage_pool_id", !disk.pool.is_empty()),
                ("volume_id", !disk.volume.is_empty()),
                ("size_gib", disk.size.0 > 0),
            ] {
                if is_set {
                    self.wrong(
                        &field(name),
                        "does not go with path: name an existing file, or a volume, or the size of a new one",
                    );
                }
            }
            Some("path")
        } else if !disk.volume.is_empty() {
            Some("volume_id")
        } else {
            None
        };
        match exists {
            Some(named) => {
                if disk.provisioning != DiskProvisioning::Thin {
                    self.wrong(&field("provisioning"), format!("is of new volumes; it does not go with {named}"));
                }
                if !disk.backing_file.is_empty() {
                    self.wrong(&field("backing_file"), format!("is of new volumes; it does not go with {named}"));
                }
            }
            None => {
                if disk.size.0 == 0 {
                    self.wrong(
                        &field("size_gib"),
                        format!("is required for a new volume: 1-{DISK_MAX_GIB}; or name a volume_id or a path"),
                    );
                }
                if disk.readonly {
                    self.wrong(&field("readonly"), "is not possible for a new volume: nothing would ever be on it");
                }
                if !disk.backing_file.is_empty() {
                    if disk.format == Some(DiskFormat::Raw) {
                        self.wrong(
                            &field("format"),
                            "must be QCOW2 over a backing_file; RAW cannot lie over another image",
                        );
                    }
                    if disk.provisioning != DiskProvisioning::Thin {
                        self.wrong(&field("provisioning"), "must be THIN over a backing_file");
                    }
                }
            }
        }
    }

    fn target(&mut self, path: &str, id: &str) {
        if id.is_empty() {
            return;
        }
        let fits = id.len() <= 16
            && id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !fits {
            self.wrong(
                path,
                format!(
                    "must be a target such as \"vda\", lower-case letters and digits, 16 at most; {} is none",
                    quoted(id)
                ),
            );
        }
    }

    /// A pool's or volume's name or id.
    fn pool_word(&mut self, path: &str, word: &str) {
        if let Some(violation) = line(word, &self.at(path), 255) {
            self.found.push(violation);
        } else if word.contains('/') || matches!(word, "." | "..") {
            self.wrong(path, format!("must be a name or an id, without \"/\"; {} is none", quoted(word)));
        }
    }

    /// An absolute path in its one plain spelling, so that two names of one file are equal.
    fn path(&mut self, path: &str, value: &str) {
        if !value.is_empty() {
            self.found.extend(host_path(value, &self.at(path)));
        }
    }

    fn io_limits(&mut self, at: &str, limits: &IoLimits) {
        for (name, value) in [
            ("read_iops", limits.read_iops),
            ("write_iops", limits.write_iops),
            ("read_bytes_sec", limits.read_bytes_sec),
            ("write_bytes_sec", limits.write_bytes_sec),
            ("burst_iops", limits.burst_iops),
            ("burst_bytes", limits.burst_bytes),
        ] {
            self.within(&format!("{at}.{name}"), value, 0_u64, IO_LIMIT_MAX);
        }
        for (name, burst, base, what) in [
            ("burst_iops", limits.burst_iops, limits.read_iops.max(limits.write_iops), "read_iops or write_iops"),
            (
                "burst_bytes",
                limits.burst_bytes,
                limits.read_bytes_sec.max(limits.write_bytes_sec),
                "read_bytes_sec or write_bytes_sec",
            ),
        ] {
            let path = format!("{at}.{name}");
            if burst > 0 && base == 0 {
                self.wrong(&path, format!("needs {what}: a burst goes beyond a limit"));
            } else if burst > 0 && burst < base {
                self.wrong(&path, format!("must not be below {what}; {burst} is below {base}"));
            }
        }
        let path = format!("{at}.burst_duration_sec");
        self.within(&path, limits.burst_duration_sec, 0_u32, BURST_MAX_SEC);
        if limits.burst_duration_sec > 0 && limits.burst_iops == 0 && limits.burst_bytes == 0 {
            self.wrong(&path, "needs burst_iops or burst_bytes");
        }
    }

    fn cdroms(&mut self, cdroms: &[Cdrom]) {
        self.count("cdroms", cdroms.len(), CDROMS_MAX);
        for (index, cdrom) in cdroms.iter().enumerate() {
            let at = format!("cdroms[{index}]");
            self.target(&format!("{at}.id"), &cdrom.id);
            self.path(&format!("{at}.iso_path"), &cdrom.iso_path);
            self.within(&format!("{at}.boot_index"), cdrom.boot_index, 0_u32, BOOT_INDEX_MAX);
        }
    }

    fn nics(&mut self, nics: &[Nic]) {
        self.count("nics", nics.len(), NICS_MAX);
        let mut seen = BTreeSet::new();
        for (index, nic) in nics.iter().enumerate() {
            let at = format!("nics[{index}]");
            let field = |name: &str| format!("{at}.{name}");
            self.add(line(&nic.network, &self.at(&field("network_id")), 255));
            self.bridge(&field("bridge"), nic);
            self.mac(&field("mac_address"), &nic.mac);
            if !nic.id.is_empty() {
                if nic.mac.is_empty() {
                    self.mac(&field("id"), &nic.id);
                } else if !nic.id.eq_ignore_ascii_case(&nic.mac) {
                    self.wrong(
                        &field("id"),
                        format!(
                            "is another spelling of mac_address; {} differs from {}",
                            quoted(&nic.id),
                            quoted(&nic.mac)
                        ),
                    );
                }
            }
            let mac = if nic.mac.is_empty() { &nic.id } else { &nic.mac }.to_ascii_lowercase();
            if !mac.is_empty() && !seen.insert(mac.clone()) {
                self.wrong(&field("mac_address"), format!("{} is another card's of this VM", quoted(&mac)));
            }
            self.qos(&field("qos"), &nic.qos);
            self.within(&field("boot_index"), nic.boot_index, 0_u32, BOOT_INDEX_MAX);
        }
    }

    fn bridge(&mut self, path: &str, nic: &Nic) {
        if nic.bridge.is_empty() {
            return;
        }
        if !nic.network.is_empty() {
            self.wrong(path, "does not go with network_id: a card is on a network or on a bridge");
        }
        let fits = nic.bridge.len() <= INTERFACE_MAX
            && nic.bridge.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '/' | ':'))
            && !matches!(nic.bridge.as_str(), "." | "..");
        if !fits {
            self.wrong(
                path,
                format!(
                    "must be the name of a network device, {INTERFACE_MAX} characters at most without spaces, \"/\" and \":\"; {} is none",
                    quoted(&nic.bridge)
                ),
            );
        }
    }

    fn mac(&mut self, path: &str, mac: &str) {
        if mac.is_empty() {
            return;
        }
        let parts: Vec<Option<u8>> = mac
            .split(':')
            .map(|part| {
                (part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
                    .then(|| u8::from_str_radix(part, 16).ok())
                    .flatten()
            })
            .collect();
        match parts.as_slice() {
            [Some(first), Some(b), Some(c), Some(d), Some(e), Some(f)] => {
                if first & 1 == 1 {
                    self.wrong(
                        path,
                        format!("must be a unicast address (first byte even); {} is for groups", quoted(mac)),
                    );
                } else if [first, b, c, d, e, f] == [&0; 6] {
                    self.wrong(path, "must not be all zeros");
                }
            }
            _ => self.wrong(path, format!("must be written like 52:54:00:12:34:56; {} is not", quoted(mac))),
        }
    }

    fn qos(&mut self, at: &str, qos: &NicQos) {
        self.within(&format!("{at}.ingress_rate_mbps"), qos.ingress_rate_mbps, 0_u64, RATE_MAX_MBPS);
        self.within(&format!("{at}.egress_rate_mbps"), qos.egress_rate_mbps, 0_u64, RATE_MAX_MBPS);
        self.within(&format!("{at}.burst_kb"), qos.burst_kb, 0_u64, RATE_BURST_MAX_KB);
        if qos.burst_kb > 0 && qos.ingress_rate_mbps == 0 && qos.egress_rate_mbps == 0 {
            self.wrong(&format!("{at}.burst_kb"), "needs ingress_rate_mbps or egress_rate_mbps");
        }
    }

    /// Disks and CD-ROMs share one space of targets.
    fn targets(&mut self, disks: &[Disk], cdroms: &[Cdrom]) {
        let mut seen = BTreeSet::new();
        let ids =
            disks.iter().enumerate().map(|(index, disk)| (format!("disks[{index}].id"), disk.id.as_str())).chain(
                cdroms.iter().enumerate().map(|(index, cdrom)| (format!("cdroms[{index}].id"), cdrom.id.as_str())),
            );
        for (path, id) in ids {
            if !id.is_empty() && !seen.insert(id) {
                self.wrong(&path, format!("{} is another disk's or CD-ROM's of this VM", quoted(id)));
            }
        }
    }

    fn boot_indexes(&mut self, spec: &VmSpec) {
        let mut seen = BTreeSet::new();
        for (path, index) in boot_indexes(spec) {
            if index > 0 && !seen.insert(index) {
                self.wrong(&path, format!("each place in the boot order is given once; {index} is given twice"));
            }
        }
    }

    fn boot(&mut self, spec: &VmSpec, origin: Origin) {
        let Boot { order, menu_timeout_sec, direct } = &spec.boot;
        self.within("boot.menu_timeout_sec", *menu_timeout_sec, 0_u32, BOOT_MENU_MAX_SEC);
        if let Some(direct) = direct {
            if direct.kernel_path.is_empty() {
                self.wrong(
                    "boot.direct_boot.kernel_path",
                    "is required with direct_boot: an absolute path on the host",
                );
            }
            self.path("boot.direct_boot.kernel_path", &direct.kernel_path);
            self.path("boot.direct_boot.initrd_path", &direct.initrd_path);
            self.add(text(&direct.cmdline, &self.at("boot.direct_boot.cmdline"), CMDLINE_MAX));
        }
        // In a definition the devices' places are the order that was.
        if !order.is_empty() && origin == Origin::Request && boot_indexes(spec).iter().any(|(_, index)| *index > 0) {
            self.wrong("boot.boot_order", "does not go with boot_index of the devices; use one of the two");
        }
        self.count("boot.boot_order", order.len(), DISKS_MAX + CDROMS_MAX + NICS_MAX);
        let mut seen: BTreeSet<(u8, String)> = BTreeSet::new();
        for (index, device) in order.iter().enumerate() {
            let id = &device.device_id;
            let (rank, what, found) = match device.class {
                BootClass::Disk => (0, "disk", spec.disks.iter().any(|disk| disk.id == *id)),
                BootClass::Cdrom => (1, "CD-ROM", spec.cdroms.iter().any(|cdrom| cdrom.id == *id)),
                BootClass::Network => (
                    2,
                    "network card",
                    spec.nics.iter().any(|nic| nic.mac.eq_ignore_ascii_case(id) || nic.id.eq_ignore_ascii_case(id)),
                ),
                BootClass::Usb => (3, "USB device", false),
            };
            let at = format!("boot.boot_order[{index}]");
            if !id.is_empty() && !found {
                self.wrong(
                    &format!("{at}.device_id"),
                    format!("no {what} of this VM has the id {}; give it that id, or leave device_id out", quoted(id)),
                );
            } else if !seen.insert((rank, id.to_ascii_lowercase())) {
                self.wrong(&at, "is in the order a second time");
            }
        }
    }

    fn tpm(&mut self, tpm: Option<&Tpm>, firmware: Option<Firmware>) {
        let Some(tpm) = tpm.filter(|tpm| tpm.enabled == Some(true)) else { return };
        match (tpm.version, firmware) {
            (TpmVersion::V1_2, Some(Firmware::Uefi | Firmware::UefiSecureBoot)) => {
                self.wrong("tpm.version", "must be TPM_2_0 with UEFI; TPM_1_2 works with BIOS only");
            }
            (TpmVersion::V1_2, Some(Firmware::Bios) | None) | (TpmVersion::V2_0, _) => {}
        }
    }

    fn rng(&mut self, rng: Option<&Rng>) {
        let Some(rng) = rng else { return };
        if !rng.backend.is_empty() && !RNG_BACKENDS.contains(&rng.backend.as_str()) {
            self.wrong(
                "rng.backend",
                format!("must be one of {}; {} is not", RNG_BACKENDS.join(", "), quoted(&rng.backend)),
            );
        }
        self.within("rng.rate_bytes", rng.rate_bytes, 0_u64, u64::from(u32::MAX));
        self.within("rng.period_ms", rng.period_ms, 0_u32, RNG_PERIOD_MAX_MS);
        if rng.period_ms > 0 && rng.rate_bytes == 0 {
            self.wrong("rng.period_ms", "needs rate_bytes: without a rate there is no limit");
        }
    }

    fn display(&mut self, display: &Display) {
        self.within("display.video_memory_mib", display.video_memory.0, 0_u64, VIDEO_MEMORY_MAX_MIB);
    }
}

/// Every device's place in the boot order with its field.
fn boot_indexes(spec: &VmSpec) -> Vec<(String, u32)> {
    let disks = spec.disks.iter().map(|disk| disk.boot_index).enumerate().map(|(n, i)| (format!("disks[{n}]"), i));
    let cdroms = spec.cdroms.iter().map(|drive| drive.boot_index).enumerate().map(|(n, i)| (format!("cdroms[{n}]"), i));
    let nics = spec.nics.iter().map(|nic| nic.boot_index).enumerate().map(|(n, i)| (format!("nics[{n}]"), i));
    disks.chain(cdroms).chain(nics).map(|(at, index)| (format!("{at}.boot_index"), index)).collect()
}
