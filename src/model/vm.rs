//! A VM: the record that the store owns, and what was last observed of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::definition::{DefinitionText, VolumeRef};
use super::id::{NodeId, ProjectId, VmId};
use super::spec::{GuestOs, VmSpec};

/// A moment: microseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Moment(pub i64);

impl Moment {
    /// The wall clock's now.
    #[must_use]
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// Whole seconds from `earlier` to `self`, 0 where the clock went back.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> u64 {
        u64::try_from((self.0 - earlier.0) / 1_000_000).unwrap_or(0)
    }

    /// This moment plus `seconds`.
    #[must_use]
    pub fn plus_seconds(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(i64::from(seconds) * 1_000_000))
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = u64::try_from(self.0).unwrap_or(0);
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_micros(micros);
        write!(f, "{}", humantime::format_rfc3339_millis(at))
    }
}

/// Who brought the VM here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// Created through this API.
    ControlPlane,
    /// Defined by another libvirt client and found.
    HostDiscovered,
    /// Found, then adopted by `AdoptVM`.
    Imported,
}

impl Origin {
    /// Whether our metadata lives in its definition.
    #[must_use]
    pub fn is_managed(self) -> bool {
        match self {
            Self::ControlPlane | Self::Imported => true,
            Self::HostDiscovered => false,
        }
    }
}

/// Why a guest is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PausedReason {
    User,
    IoError,
    NoSpace,
    Watchdog,
    Crashed,
    Migration,
    /// The guest put itself to sleep.
    Guest,
    Other,
}

/// Settled states of a VM; a verb in flight is shown beside the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PowerState {
    /// Being created: intent recorded, not yet defined.
    Provisioning,
    Running,
    Stopped,
    Paused(PausedReason),
    /// Memory saved on disk.
    Suspended,
    /// The guest or its QEMU died; `Active`: the dead guest is still held by the hypervisor.
    Crashed(Activity),
    Migrating,
    /// Was ours and is no longer defined on the host.
    Lost,
    Unknown,
}

/// Whether the hypervisor holds a process for the VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Activity {
    Active,
    Inactive,
}

impl PowerState {
    /// The wire's word for the state.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
            Self::Paused(_) => "PAUSED",
            Self::Suspended => "SUSPENDED",
            Self::Crashed(_) => "CRASHED",
            Self::Migrating => "MIGRATING",
            Self::Lost => "LOST",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// Whether the guest holds memory and CPU of the host now.
    #[must_use]
    pub fn holds_resources(self) -> bool {
        match self {
            Self::Running | Self::Paused(_) | Self::Migrating | Self::Crashed(Activity::Active) => true,
            Self::Provisioning
            | Self::Stopped
            | Self::Suspended
            | Self::Crashed(Activity::Inactive)
            | Self::Lost
            | Self::Unknown => false,
        }
    }
}

/// What the store owns of a VM. Power state and devices are libvirt's; the copies here are the
/// last that were seen, for when libvirt is away and for redefining a lost VM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VmRecord {
    pub id: VmId,
    pub name: String,
    /// The name last given to, or seen at, the hypervisor.
    pub hypervisor_name: String,
    pub project_id: ProjectId,
    pub node_id: NodeId,
    pub labels: BTreeMap<String, String>,
    pub description: String,
    pub origin: Origin,
    pub created_by: String,
    pub created_at: Moment,
    pub updated_at: Moment,
    /// `resource_version`: grows with spec, name, labels, description, never with state.
    pub generation: u64,
    pub start_order: Option<u32>,
    pub start_delay_sec: Option<u32>,
    pub deletion_protection: DeletionProtection,
    pub guest_os: GuestOs,
    /// Volumes made for this VM.
    pub owned_volumes: Vec<VolumeRef>,
    /// Guest-visible sizes of the disks by path, in bytes, as last seen.
    pub disk_sizes: BTreeMap<String, u64>,
    /// Last persistent definition seen.
    pub definition: DefinitionText,
    /// Last settled state and when it began.
    pub state: PowerState,
    pub state_changed_at: Moment,
    pub last_seen_at: Moment,
    /// Why the VM failed or crashed, in a sentence; empty: all is well.
    pub error_message: String,
    /// Why the VM is `Lost`; empty otherwise.
    pub lost_reason: String,
}

/// A VM in a list of the host: the cheap facts, one bulk call for all.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedVm {
    pub id: VmId,
    pub hypervisor_name: String,
    pub state: PowerState,
    /// The hypervisor's reason for the state in a sentence, empty when unremarkable.
    pub reason: String,
    pub lifetime: Lifetime,
    pub autostart: Autostart,
}

/// Whether a VM survives its power-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lifetime {
    Persistent,
    /// Gone when it stops.
    Transient,
}

/// libvirt's own autostart flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Autostart {
    On,
    Off,
}

impl Autostart {
    /// From the wire's or libvirt's flag.
    #[must_use]
    pub fn from_flag(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }

    /// As a flag.
    #[must_use]
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// Whether a VM may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum DeletionProtection {
    /// By nobody, until the protection is cleared.
    On,
    #[default]
    Off,
}

impl DeletionProtection {
    /// From the wire's or the store's flag.
    #[must_use]
    pub fn from_flag(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }

    /// As a flag.
    #[must_use]
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// The definitions of one VM and what can be read from them.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedVm {
    pub id: VmId,
    /// The persistent definition; for a transient VM the running one.
    pub persistent: DefinitionText,
    /// Read from `persistent`.
    pub spec: VmSpec,
    /// Read from the running definition, while there is one.
    pub running_spec: Option<VmSpec>,
    /// Our metadata, where present and readable.
    pub identity: Option<super::definition::VmIdentity>,
}

/// Measured use of one running VM; counters are since its start.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct VmCounters {
    /// Its process was busy or did not answer: only what the hypervisor knows without asking it.
    pub is_silent: bool,
    /// CPU time consumed, nanoseconds.
    pub cpu_time_ns: u64,
    /// vCPUs now online.
    pub vcpus: u32,
    /// Memory that the guest uses as its balloon driver says, else its resident size; bytes.
    pub memory_used_bytes: u64,
    /// Memory given to the guest, bytes.
    pub memory_allocated_bytes: u64,
    pub disk_read_bytes: u64,
    pub disk_write_bytes: u64,
    pub disk_read_ops: u64,
    pub disk_write_ops: u64,
    pub network_rx_bytes: u64,
    pub network_tx_bytes: u64,
    pub network_rx_packets: u64,
    pub network_tx_packets: u64,
}
