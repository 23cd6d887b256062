//! What passes between the service and the hypervisor about one VM: the definition to be made,
//! the hypervisor's own text of a definition, and what was seen.

use serde::{Deserialize, Serialize};

use super::id::{NodeId, ProjectId, VmId};
use super::spec::{DiskFormat, DiskProvisioning, VmSpec};
use super::units::Gib;

/// The hypervisor's own text of a persistent or running definition (libvirt: the domain XML).
/// Opaque to every room but the hypervisor; kept so that a VM undefined outside can be redefined.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct DefinitionText(pub String);

/// The facts of ours that are mirrored into the hypervisor's definition, so that a lost state
/// file can be rebuilt from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmIdentity {
    /// The VM that this was written for: a copied definition is not mistaken for its original.
    pub vm_id: VmId,
    /// The node whose store owns the VM: the ownership tag.
    pub node_id: NodeId,
    pub project_id: ProjectId,
    /// Our name, which may be longer than the hypervisor allows.
    pub name: String,
    pub description: String,
    /// Sorted by key.
    pub labels: Vec<(String, String)>,
    pub created_by: String,
    /// Microseconds since 1970.
    pub created_at_us: i64,
    /// Grows with each change of name, labels, description or specification.
    pub generation: u64,
    /// Position in the node's start order; `None`: after those that have one.
    pub start_order: Option<u32>,
    /// Seconds to wait after this VM's start before the next one's.
    pub start_delay_sec: Option<u32>,
    pub deletion_protection: super::vm::DeletionProtection,
    pub guest_os_family: super::spec::GuestOsFamily,
    pub guest_os_variant: String,
    /// Volumes that were made for this VM and may go with it.
    pub owned_volumes: Vec<VolumeRef>,
}

/// A volume of a pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VolumeRef {
    /// Pool's name.
    pub pool: String,
    /// Volume's name within the pool.
    pub volume: String,
}

/// A volume to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewVolume {
    pub at: VolumeRef,
    pub size: Gib,
    pub format: DiskFormat,
    pub provisioning: DiskProvisioning,
    /// Image underneath: absolute path and its declared format.
    pub backing: Option<(String, DiskFormat)>,
}

/// A volume as it lies in its pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeFacts {
    pub at: VolumeRef,
    /// Absolute path for file and block volumes.
    pub path: String,
    /// Size that a guest sees, in bytes.
    pub capacity_bytes: u64,
    /// Bytes taken on the host.
    pub allocation_bytes: u64,
    /// `None`: neither qcow2 nor raw, or the pool does not say.
    pub format: Option<DiskFormat>,
    /// What it is for, as far as libvirt and its name tell.
    pub kind: VolumeKind,
    /// A file, and no device, directory or object of a network.
    pub is_file: bool,
    /// Image underneath an overlay.
    pub backing_path: Option<String>,
}

/// What a volume is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VolumeKind {
    Disk,
    /// A CD or DVD.
    Iso,
    /// A directory, or a format of another hypervisor.
    Other,
}

/// A storage pool's room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolFacts {
    /// Nil: it is not there yet, and is made on first use.
    pub id: uuid::Uuid,
    pub name: String,
    pub active: bool,
    pub kind: PoolKind,
    /// Where its volumes lie; empty where they lie in no directory.
    pub path: String,
    pub capacity_bytes: u64,
    pub allocation_bytes: u64,
    pub available_bytes: u64,
}

/// What a pool's volumes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// Files of a directory.
    Files,
    /// Devices, or objects of a network.
    Other,
}

/// What a VM has on the host beside its definition and its disks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Belongings {
    /// Its firmware's variables: the path, or nothing where libvirt has chosen none yet.
    pub nvram: Option<String>,
    pub has_saved_memory: bool,
    /// Where libvirt keeps the saved memory; `None`: that is not known of this libvirt.
    pub saved_memory_path: Option<String>,
    /// Names, oldest first.
    pub snapshots: Vec<String>,
    pub tpm: TpmState,
}

/// What becomes of an emulated TPM's state when its VM is undefined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TpmState {
    #[default]
    None,
    Goes,
    /// Its definition says that it outlives the VM.
    Stays,
}

/// A VM's definitions for people to read, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShownDefinition {
    /// Empty for a transient VM.
    pub persistent: String,
    /// Empty while it is off.
    pub live: String,
}

/// Everything needed to write one VM's persistent definition. Volumes exist or will exist at the
/// paths that the disks' `path` fields name: the service has resolved pools before this is made.
#[derive(Debug, Clone, PartialEq)]
pub struct VmDefinition {
    pub id: VmId,
    /// Name for the hypervisor: at most 60 characters, free on the host.
    pub hypervisor_name: String,
    pub identity: VmIdentity,
    /// Every disk has a `path` and a `format`; every NIC a MAC.
    pub spec: VmSpec,
}
