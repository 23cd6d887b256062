//! The hypervisor as the service needs it: one narrow, blocking trait. Callers run it on threads
//! of their own; nothing here is async. `libvirt` is its one implementation.
//!
//! Calls fall in two classes (ARCHITECTURE, decision 3). *Quick* ones never ask QEMU and share the
//! connection that carries events. *Asking* ones may hang with a hung QEMU or agent: they run on a
//! pool of connections, and the caller holds at most one of them a VM.

pub mod libvirt;

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use crate::model::definition::{
    Belongings, DefinitionText, NewVolume, PoolFacts, ShownDefinition, VmDefinition, VmIdentity, VolumeFacts, VolumeRef,
};
use crate::model::id::VmId;
use crate::model::spec::VmSpec;
use crate::model::vm::{Autostart, DescribedVm, Lifetime, ListedVm, VmCounters};

/// Why the hypervisor did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HypervisorError {
    /// The connection is down; the message says since when and why.
    #[error("libvirt cannot be reached: {0}")]
    Unreachable(String),
    /// No such VM on the host.
    #[error("libvirt has no VM {0}")]
    NoSuchVm(VmId),
    /// No such pool, volume or network.
    #[error("{0}")]
    NotFound(String),
    /// A name or an id is taken.
    #[error("{0}")]
    AlreadyExists(String),
    /// libvirt refused the definition or an argument.
    #[error("libvirt refused it: {0}")]
    Refused(String),
    /// The VM is not in a state for it, as libvirt sees it.
    #[error("libvirt says the VM is not in a state for this: {0}")]
    WrongState(String),
    /// This host or driver cannot do it.
    #[error("this host's hypervisor does not offer it: {0}")]
    Unsupported(String),
    /// No room on the host or in a pool.
    #[error("{0}")]
    NoSpace(String),
    /// The guest agent did not answer.
    #[error("the guest agent did not answer: {0}")]
    AgentUnresponsive(String),
    /// libvirt gave up waiting.
    #[error("libvirt timed out: {0}")]
    TimedOut(String),
    /// Another program holds it; it may be taken from it.
    #[error("{0}")]
    InUse(String),
    /// The guest holds the tray of its drive shut.
    #[error("the guest holds the drive's tray: {0}")]
    TrayHeld(String),
    /// Anything else, in libvirt's words.
    #[error("libvirt failed: {0}")]
    Failed(String),
}

/// Result of a hypervisor call.
pub type Result<T> = std::result::Result<T, HypervisorError>;

/// What the hypervisor says by itself. A notice carries no state: the receiver looks again, so
/// that a lost or reordered notice can never leave a wrong state behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Connected (again): everything may have changed; list again.
    Connected,
    /// The connection is gone; the sentence says why.
    Disconnected(String),
    /// The VM started, stopped, paused, resumed, was saved, crashed.
    LifeChanged(VmId),
    /// The VM's persistent or running definition changed, was renamed, or its autostart flag did.
    DefinitionChanged(VmId),
    /// The VM is no longer defined.
    Undefined(VmId),
    /// The guest was reset or rebooted. A driver without such an event (libvirt's test driver)
    /// sends this notice when its reboot or reset call has returned.
    Rebooted(VmId),
    /// The guest agent's channel opened or closed.
    AgentChanged(VmId, AgentChannel),
    /// A network's leases, or a VM's addresses, may have changed.
    NetworkChanged,
}

/// Whether something in the guest holds the agent's channel open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentChannel {
    Connected,
    Disconnected,
}

/// What libvirt does with a reboot request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GuestRequest {
    /// Ask the agent in the guest.
    Agent,
    /// Press the ACPI power button (or, for a reboot, send ACPI reboot).
    Acpi,
}

/// What may be used by VMs on this host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostOffer {
    /// libvirt's host UUID, where it has one.
    pub host_uuid: Option<uuid::Uuid>,
    /// `QEMU` or `TEST`.
    pub hypervisor: String,
    /// `7.2.0`.
    pub hypervisor_version: String,
    /// libvirt's own, `9.0.0`.
    pub libvirt_version: String,
    /// KVM is in libvirt's capabilities.
    pub kvm: bool,
    /// Model name, sockets, cores, threads, MHz of libvirt's node info.
    pub cpu_model: String,
    pub cpu_mhz: u32,
    pub sockets: u32,
    pub cores_per_socket: u32,
    pub threads_per_core: u32,
    pub memory_bytes: u64,
    /// The accelerator in force after configuration and capabilities.
    pub accelerator: Option<Accelerator>,
    /// UEFI firmware, and the same with Secure Boot.
    pub uefi: bool,
    pub secure_boot: bool,
    /// A TPM emulator.
    pub tpm_emulator: bool,
    /// Names of the CPU models that this host can give a guest. Empty: libvirt does not say.
    pub cpu_models: Vec<String>,
    /// vCPUs that the machine can have; 0: libvirt does not say.
    pub max_vcpus: u32,
    /// User and group that QEMU runs as. `None`: as whoever runs libvirtd.
    pub qemu_ids: Option<(u32, u32)>,
}

impl HostOffer {
    /// Whether guests are run at all: libvirt's test driver keeps definitions and opens no file.
    #[must_use]
    pub fn runs_guests(&self) -> bool {
        !self.hypervisor.eq_ignore_ascii_case("TEST")
    }
}

/// How guests' CPUs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Accelerator {
    Kvm,
    Tcg,
}

/// What the configuration asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AcceleratorChoice {
    #[default]
    Auto,
    Kvm,
    Tcg,
}

/// How a start is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StartFrom {
    /// The saved memory where there is one, else a boot.
    SavedOrBoot,
    /// Boot; a saved memory is dropped.
    FreshBoot,
}

/// What goes with an undefine beside the definition. The implementation undefines exactly what
/// the VM has (NVRAM, managed save, snapshot and checkpoint metadata, TPM state).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Undefine {
    WithState,
}

/// Where a VM reaches the network, by the lease and agent sources.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses {
    /// Without prefix length, IPv4 first.
    pub ips: Vec<String>,
}

/// A kernel to start as a proof of KVM, as libvirt's QEMU reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    pub kernel: std::path::PathBuf,
    pub initrd: Option<std::path::PathBuf>,
}

/// What came of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The kernel's first line.
    Spoke(String),
    /// It ran and said nothing in time.
    Silent,
    /// It could not be started; why.
    NotStarted(String),
}

/// A libvirt network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInfo {
    pub id: uuid::Uuid,
    pub name: String,
    pub active: bool,
    /// The host's bridge that it made, where it has one.
    pub bridge: Option<String>,
}

/// What of a running VM can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Consoles {
    /// Place of the VNC display among its displays.
    pub vnc: Option<u32>,
    /// It has a display that is none of VNC's.
    pub has_other_display: bool,
    pub has_serial: bool,
}

/// How a serial port that another program has open is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SerialHold {
    /// It is left to it: [`HypervisorError::InUse`].
    IfFree,
    /// It is taken from it.
    TakeOver,
}

/// What a serial port says.
#[derive(Debug, PartialEq, Eq)]
pub enum SerialSaid<'a> {
    Bytes(&'a [u8]),
    /// Nothing more comes; why, in libvirt's words where it has any.
    Ended(String),
}

/// Who hears a serial port. Called on a thread of the hypervisor's that serves all ports: it must
/// neither block nor call the hypervisor.
pub type SerialSink = Box<dyn Fn(SerialSaid<'_>) + Send + Sync>;

/// An open serial port. Dropping it closes it, which may block.
pub trait SerialPort: Send + Sync {
    /// Type these bytes; blocks while the guest does not read them.
    ///
    /// # Errors
    /// The port has ended.
    fn write(&self, bytes: &[u8]) -> Result<()>;
}

/// What a screen shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub bytes: Vec<u8>,
    /// `image/png`, or what an older QEMU makes.
    pub mime_type: String,
}

/// How the tray of a drive is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tray {
    /// The guest may hold it.
    Ask,
    Force,
}

/// Which of a VM's two texts a medium is changed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaSide {
    /// The guest that runs, which alone may refuse.
    Running(Tray),
    /// What it is started with.
    Defined,
}

/// The hypervisor. Every method blocks; every error is a [`HypervisorError`].
pub trait Hypervisor: Send + Sync + 'static {
    /// Begin connecting, reconnecting with backoff for ever, and send what happens to `sink`.
    /// Called once. Returns at once; the first notice is `Connected` or `Disconnected`.
    fn run(&self, sink: Box<dyn Fn(Notice) + Send + Sync>);

    /// Stop the background threads and close the connections.
    fn close(&self);

    /// Whether the connection answers; the sentence says since when not and why.
    fn health(&self) -> Result<()>;

    /// What the host offers. Quick after the first call.
    fn offer(&self) -> Result<Arc<HostOffer>>;

    // -- reading; quick -------------------------------------------------------------------------

    /// Every VM of the host, managed or not, in a handful of bulk calls.
    fn list(&self) -> Result<Vec<ListedVm>>;

    /// One VM as in `list`; `None`: not there.
    fn look(&self, id: VmId) -> Result<Option<ListedVm>>;

    /// Its definitions and the specifications read from them; `None`: not there.
    fn describe(&self, id: VmId) -> Result<Option<DescribedVm>>;

    /// Its definitions for people to read, without secrets; `None`: not there.
    fn show(&self, id: VmId) -> Result<Option<ShownDefinition>>;

    /// A stored definition without its secrets. Pure.
    fn redact(&self, text: &DefinitionText) -> Result<String>;

    /// What it has beside its definition and its disks; `None`: not there.
    fn belongings(&self, id: VmId) -> Result<Option<Belongings>>;

    /// The specification in a stored definition, without asking libvirt. Pure.
    fn read(&self, text: &DefinitionText) -> Result<VmSpec>;

    /// Addresses by DHCP lease of the host's networks, for every VM, by MAC address.
    fn leases(&self) -> Result<HashMap<String, Addresses>>;

    /// Networks of the host.
    fn networks(&self) -> Result<Vec<NetworkInfo>>;

    // -- definitions; quick --------------------------------------------------------------------

    /// The text of a new definition: defaults filled in from what the host offers. Nothing changes.
    ///
    /// # Errors
    /// `Unsupported`, naming the field and the missing piece; `Refused`.
    fn render(&self, definition: &VmDefinition) -> Result<DefinitionText>;

    /// An existing definition with `spec` (and `identity`, where given) edited in place: unknown
    /// elements survive. Only what differs from what `current` says is touched. Pure.
    fn edit(&self, current: &DefinitionText, spec: &VmSpec, identity: Option<&VmIdentity>) -> Result<DefinitionText>;

    /// Define or replace the persistent definition. Idempotent.
    fn define(&self, id: VmId, text: &DefinitionText) -> Result<()>;

    /// Put our identity into the persistent (and running) definition's metadata; `None` removes it.
    fn tag(&self, id: VmId, identity: Option<&VmIdentity>, lifetime: Lifetime) -> Result<()>;

    /// Rename an inactive VM at the hypervisor.
    fn rename(&self, id: VmId, hypervisor_name: &str) -> Result<()>;

    /// Set libvirt's autostart flag.
    fn set_autostart(&self, id: VmId, autostart: Autostart) -> Result<()>;

    /// Undefine with everything that belongs to the definition. A VM that is not there is done.
    fn undefine(&self, id: VmId, what: Undefine) -> Result<()>;

    // -- life; asking ----------------------------------------------------------------------------

    /// Start; returns when QEMU runs.
    fn start(&self, id: VmId, from: StartFrom) -> Result<()>;

    /// Power off at once. A VM that is off is done. May take over 10 s on a hung QEMU.
    fn power_off(&self, id: VmId) -> Result<()>;

    /// Ask the guest to power off; returns when asked.
    fn request_shutdown(&self, id: VmId, by: GuestRequest) -> Result<()>;

    /// Ask the guest to reboot; returns when asked.
    fn request_reboot(&self, id: VmId, by: GuestRequest) -> Result<()>;

    /// Press reset.
    fn reset(&self, id: VmId) -> Result<()>;

    /// Stop the vCPUs.
    fn pause(&self, id: VmId) -> Result<()>;

    /// Let the vCPUs run.
    fn resume(&self, id: VmId) -> Result<()>;

    /// Wake a guest that put itself to sleep.
    fn wake(&self, id: VmId) -> Result<()>;

    /// Save the memory to disk and stop. `progress` is called with 0-100.
    fn save(&self, id: VmId, progress: &dyn Fn(u8)) -> Result<()>;

    /// Drop the saved memory. None there: done.
    fn drop_saved(&self, id: VmId) -> Result<()>;

    /// Apply to the running VM what of `spec` can be applied live (autostart-like facts aside):
    /// memory within its maximum, vCPUs within theirs. What cannot shows as a pending change.
    fn apply_live(&self, id: VmId, spec: &VmSpec) -> Result<()>;

    /// Whether the guest agent's channel is held open in the guest now. Quick.
    fn agent_channel(&self, id: VmId) -> Result<AgentChannel>;

    /// Addresses that the guest agent reports; asking.
    fn agent_addresses(&self, id: VmId) -> Result<Addresses>;

    // -- consoles --------------------------------------------------------------------------------

    /// What of the running VM can be seen. Quick.
    ///
    /// # Errors
    /// `Unsupported` on a driver without consoles; `WrongState` where it does not run.
    fn consoles(&self, id: VmId) -> Result<Consoles>;

    /// A connection of the caller's own to the VNC display at this place, past its password. Asking.
    fn open_vnc(&self, id: VmId, place: u32) -> Result<UnixStream>;

    /// Open the first serial port: `sink` hears it from now on, until the port is dropped. Opens a
    /// connection and asks no QEMU.
    ///
    /// # Errors
    /// `InUse`; `WrongState` where the VM does not run.
    fn open_serial(&self, id: VmId, hold: SerialHold, sink: SerialSink) -> Result<Box<dyn SerialPort>>;

    /// What the first screen shows. Asking.
    fn screenshot(&self, id: VmId) -> Result<Picture>;

    /// Press these keys together, by Linux's codes, and let go of them. Asking.
    fn send_keys(&self, id: VmId, codes: &[u16], hold: Duration) -> Result<()>;

    /// Put the file into the drive of this id, or take out what is in it, on one side; whether there is
    /// such a drive there. A VM that is off has no running side, a transient one no defined. What holds
    /// the file already is left alone. Asking.
    ///
    /// # Errors
    /// `TrayHeld`.
    fn change_media(&self, id: VmId, drive: &str, path: Option<&str>, side: MediaSide) -> Result<bool>;

    // -- statistics -----------------------------------------------------------------------------

    /// Counters of every running VM, in one bulk call with NOWAIT: a VM that is busy answers with
    /// what is known. Blocks as long as the hypervisor does: the caller gives it a thread.
    fn counters(&self) -> Result<HashMap<VmId, VmCounters>>;

    // -- storage; pool calls do not ask QEMU but may be slow ----------------------------------------

    /// The pool of this id or name. `default` is defined, built and started on first use; any
    /// other is started where it is not active.
    fn pool(&self, pool: &str) -> Result<PoolFacts>;

    /// As [`pool`](Self::pool), and nothing is made or started: `default` that is not there yet is
    /// told as it would be. `None`: not there.
    fn pool_look(&self, pool: &str) -> Result<Option<PoolFacts>>;

    /// All pools as they are.
    fn pools(&self) -> Result<Vec<PoolFacts>>;

    /// Path that a new volume of this name will have in the pool, before it exists.
    fn volume_path(&self, at: &VolumeRef) -> Result<String>;

    /// Create a volume. One of the same name is `AlreadyExists`.
    fn volume_create(&self, volume: &NewVolume) -> Result<VolumeFacts>;

    /// One volume by name or path within its pool; `None`: not there.
    fn volume(&self, at: &VolumeRef) -> Result<Option<VolumeFacts>>;

    /// Every volume of a pool.
    fn volumes(&self, pool: &str) -> Result<Vec<VolumeFacts>>;

    /// The volume of an absolute path in whatever active pool; `None`: in none.
    fn volume_by_path(&self, path: &str) -> Result<Option<VolumeFacts>>;

    /// Delete a volume. Not there: done.
    fn volume_delete(&self, at: &VolumeRef) -> Result<()>;
}
