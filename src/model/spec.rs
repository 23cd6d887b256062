//! `VmSpec`: what a VM is made of, as far as this version honours it. The wire declares more;
//! `unoffered` lists the paths that a request may not set yet. The truth of a defined VM's
//! specification is libvirt's definition: this type is written to it and read from it.
//!
//! `Option` means "not asked for": the writer then chooses the default of the field (BEHAVIOUR
//! §5) from what the host offers. An explicit value, zero and false included, is honoured.

use serde::{Deserialize, Serialize};

use super::units::{Gib, Mib};

/// The whole specification of a VM.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct VmSpec {
    /// Machine type as the guest sees it (`pc-q35-7.2`). Empty in a request: the host's newest q35.
    pub machine: String,
    pub cpu: Cpu,
    pub memory: Memory,
    pub disks: Vec<Disk>,
    pub cdroms: Vec<Cdrom>,
    pub nics: Vec<Nic>,
    pub tpm: Option<Tpm>,
    pub watchdog: Option<Watchdog>,
    pub rng: Option<Rng>,
    /// Number of serial ports; the first is the console. `None`: one.
    pub serial_ports: Option<u32>,
    /// `None`: BIOS.
    pub firmware: Option<Firmware>,
    pub boot: Boot,
    pub display: Display,
    /// Whether the guest-agent channel exists. `None`: yes.
    pub agent: Option<bool>,
    pub guest_os: GuestOs,
}

/// Virtual processors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cpu {
    /// vCPUs in total at boot, 1-256.
    pub cores: u32,
    /// vCPUs up to which can be hot-plugged; 0: `cores`.
    pub max_cores: u32,
    /// Sockets; 0: one.
    pub sockets: u32,
    /// Threads a core; 0: one.
    pub threads_per_core: u32,
    /// libvirt's CPU model name; empty: `host-passthrough` under KVM, `max` under TCG.
    /// `host-passthrough`, `host-model` and `max` are taken as modes.
    pub model: String,
    pub features: CpuFeatures,
}

/// CPU flags that must be present in the guest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CpuFeatures {
    pub aes_ni: bool,
    pub avx: bool,
    pub avx2: bool,
    pub avx512: bool,
    /// vmx or svm, whichever the host has.
    pub nested_virt: bool,
    /// Further flags by libvirt's names; a leading `-` disables the flag.
    pub custom_flags: Vec<String>,
}

/// Guest memory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Memory at boot, 256 MiB - 1 TiB.
    pub size: Mib,
    /// Memory up to which the balloon can be inflated while running; 0: `size`.
    pub max: Mib,
    /// Whether there is a virtio balloon. `None`: yes.
    pub ballooning: Option<bool>,
}

/// How a disk or CD-ROM is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DiskBus {
    VirtioBlk,
    VirtioScsi,
    Nvme,
    Sata,
    Ide,
}

/// The host's caching of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CacheMode {
    Writeback,
    Writethrough,
    None,
}

/// Format of a disk's file; always declared, never probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DiskFormat {
    Qcow2,
    Raw,
}

/// How a new volume's space is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum DiskProvisioning {
    /// Blocks are taken as they are written.
    #[default]
    Thin,
    /// Space is reserved at creation, not zeroed.
    ThickLazy,
    /// Space is reserved and zeroed at creation.
    ThickEager,
}

/// A disk: a new volume of `size`, an existing volume of a pool, or a file or block device of
/// the host named by `path`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Disk {
    /// Target name in the guest definition (`vda`, `sda`); empty in a request: chosen.
    pub id: String,
    /// Pool of the volume, by id or name; empty: `default`.
    pub pool: String,
    /// An existing volume's name or id in the pool; empty with `size`: a new one is made.
    pub volume: String,
    /// Size of a new volume; of an existing one as last seen, `Gib(0)` when unknown.
    pub size: Gib,
    /// `None`: virtio-blk for Linux, SATA for Windows.
    pub bus: Option<DiskBus>,
    pub provisioning: DiskProvisioning,
    /// 1 is tried first; 0: disks boot in their order, before CD-ROMs.
    pub boot_index: u32,
    pub io_limits: IoLimits,
    /// `None`: the hypervisor's own default.
    pub cache: Option<CacheMode>,
    pub readonly: bool,
    /// `None`: yes for thin volumes.
    pub discard: Option<bool>,
    /// Absolute path of the image under a new overlay volume; empty: none.
    pub backing_file: String,
    /// Format of `backing_file`; required with it.
    pub backing_format: Option<DiskFormat>,
    /// Absolute path of an existing file or block device; empty: a volume is meant.
    pub path: String,
    /// Format of `path`, required with it; of a new volume, `None`: qcow2.
    pub format: Option<DiskFormat>,
}

/// Upper bounds of a disk's traffic; 0: unlimited.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IoLimits {
    pub read_iops: u64,
    pub write_iops: u64,
    pub read_bytes_sec: u64,
    pub write_bytes_sec: u64,
    /// Operations a second during a burst, reads and writes alike.
    pub burst_iops: u64,
    /// Bytes a second during a burst, reads and writes alike.
    pub burst_bytes: u64,
    pub burst_duration_sec: u32,
}

/// A CD-ROM drive.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cdrom {
    /// Target name (`sda`); empty in a request: chosen.
    pub id: String,
    /// Absolute path of the ISO; empty: the drive is empty.
    pub iso_path: String,
    /// 1 is tried first; 0: after the disks.
    pub boot_index: u32,
    /// `Some(false)`: the medium is not inserted. `None`: inserted.
    pub connected: Option<bool>,
}

impl Cdrom {
    /// What the guest finds in the drive; empty: nothing.
    #[must_use]
    pub fn medium(&self) -> &str {
        if self.connected == Some(false) { "" } else { &self.iso_path }
    }
}

/// Model of a network card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum NicModel {
    #[default]
    Virtio,
    E1000,
    E1000e,
    Vmxnet3,
}

/// A network card on a libvirt network or on a host bridge.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Nic {
    /// Its MAC address; empty in a request: as `mac`.
    pub id: String,
    /// libvirt network, by id or name; empty with `bridge` empty: `default`.
    pub network: String,
    /// Existing host bridge; excludes `network`.
    pub bridge: String,
    /// `52:54:00:…`; empty: chosen at random, unused on this host.
    pub mac: String,
    pub model: NicModel,
    pub qos: NicQos,
    /// 1 is tried first; 0: not a boot device unless the boot order names networks.
    pub boot_index: u32,
}

/// Bandwidth limits of a network card; 0: unlimited. Megabits a second as on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NicQos {
    pub ingress_rate_mbps: u64,
    pub egress_rate_mbps: u64,
    /// Kilobytes that may pass at once at peak speed.
    pub burst_kb: u64,
}

/// Boot firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Firmware {
    Bios,
    Uefi,
    UefiSecureBoot,
}

/// Version of the emulated TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TpmVersion {
    V1_2,
    V2_0,
}

/// An emulated TPM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tpm {
    /// `Some(false)` asks for none, `None` for the default (none unless the guest OS needs it).
    pub enabled: Option<bool>,
    pub version: TpmVersion,
    /// Whether the TPM's state outlives an undefine.
    pub persistent: bool,
}

/// Model of the watchdog device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WatchdogModel {
    I6300esb,
    Ib700,
}

/// What happens when the watchdog bites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WatchdogAction {
    Reset,
    Shutdown,
    Poweroff,
    Pause,
    None,
}

/// A watchdog device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watchdog {
    pub enabled: bool,
    pub model: WatchdogModel,
    pub action: WatchdogAction,
}

/// A virtio random number generator.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rng {
    /// `None`: yes.
    pub enabled: Option<bool>,
    /// Bytes a period; 0: unlimited.
    pub rate_bytes: u64,
    /// Length of the period; 0 with a rate: 1000 ms.
    pub period_ms: u32,
    /// `/dev/urandom` (default), `/dev/random` or `/dev/hwrng`.
    pub backend: String,
}

/// Class of device to boot from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BootClass {
    Disk,
    Cdrom,
    Network,
    Usb,
}

/// One entry of the boot order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootDevice {
    pub class: BootClass,
    /// A disk's or CD-ROM's target, a NIC's MAC; empty: every device of the class, in order.
    pub device_id: String,
}

/// How the VM boots.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Boot {
    pub order: Vec<BootDevice>,
    /// Seconds that the firmware's boot menu waits; 0: no menu.
    pub menu_timeout_sec: u32,
    pub direct: Option<DirectBoot>,
}

/// A kernel that QEMU loads itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DirectBoot {
    pub kernel_path: String,
    pub initrd_path: String,
    pub cmdline: String,
}

/// Kind of graphical display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum DisplayKind {
    #[default]
    Vnc,
    Spice,
    None,
}

/// Model of the video card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum VideoModel {
    #[default]
    Vga,
    Cirrus,
    Qxl,
    Virtio,
}

/// The screen: VNC on a private unix socket, reached through libvirt only.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Display {
    pub kind: DisplayKind,
    pub video: VideoModel,
    /// Video memory; 0: the model's own.
    pub video_memory: Mib,
}

/// Family of the guest's operating system, from which device defaults follow. Numbers are the
/// wire's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum GuestOsFamily {
    #[default]
    Unspecified,
    Rhel,
    Debian,
    Suse,
    Arch,
    Fedora,
    GenericLinux,
    WindowsServer,
    WindowsDesktop,
    WindowsLegacy,
    Freebsd,
    Openbsd,
    Netbsd,
    Macos,
    Solaris,
    Other,
}

impl GuestOsFamily {
    /// Whether Windows defaults apply: local clock, Hyper-V enlightenments, SATA CD-ROM.
    #[must_use]
    pub fn is_windows(self) -> bool {
        matches!(self, Self::WindowsServer | Self::WindowsDesktop | Self::WindowsLegacy)
    }
}

/// What runs inside, as told by the one who created the VM.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GuestOs {
    pub family: GuestOsFamily,
    /// Free text such as `debian12`.
    pub variant: String,
}
