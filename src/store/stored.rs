//! The shapes of records as they lie in the file: plain structs, no attributes, no types of the
//! model or the wire. Field order is the format: never reorder, never insert. A new shape is a new
//! type with the next version byte; the old one stays, and a file holds both, each row with its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::codec::{Record, decode};
use super::error::StoreError;
use crate::model::definition::{DefinitionText, NewVolume, VolumeRef};
use crate::model::event::{Event, Severity, Subject};
use crate::model::id::{NodeId, OperationId, ProjectId, VmId};
use crate::model::operation::{Cancel, CreateIntent, DeleteIntent, Intent, Operation, OperationState, Verb};
use crate::model::spec::{DiskFormat, DiskProvisioning, GuestOs, GuestOsFamily};
use crate::model::units::Gib;
use crate::model::vm::{Activity, DeletionProtection, Moment, Origin, PausedReason, PowerState, VmRecord};

/// A number that stands for a variant, both ways, in one list.
macro_rules! coded {
    ($to:ident, $from:ident, $type:ty, $($variant:pat => $code:literal = $value:expr),+ $(,)?) => {
        fn $to(value: $type) -> u8 {
            match value { $($variant => $code),+ }
        }
        fn $from(code: u8) -> Result<$type, StoreError> {
            match code {
                $($code => Ok($value),)+
                other => Err(unknown(stringify!($type), other)),
            }
        }
    };
}

fn unknown(what: &str, code: u8) -> StoreError {
    StoreError::BadRow { table: "(any)", row: what.to_owned(), why: format!("{code} stands for nothing") }
}

coded!(origin_code, origin_of, Origin,
    Origin::ControlPlane => 1 = Origin::ControlPlane,
    Origin::HostDiscovered => 2 = Origin::HostDiscovered,
    Origin::Imported => 3 = Origin::Imported,
);

coded!(state_code, state_of, PowerState,
    PowerState::Provisioning => 1 = PowerState::Provisioning,
    PowerState::Running => 2 = PowerState::Running,
    PowerState::Stopped => 3 = PowerState::Stopped,
    PowerState::Suspended => 4 = PowerState::Suspended,
    PowerState::Crashed(Activity::Active) => 5 = PowerState::Crashed(Activity::Active),
    PowerState::Crashed(Activity::Inactive) => 6 = PowerState::Crashed(Activity::Inactive),
    PowerState::Migrating => 7 = PowerState::Migrating,
    PowerState::Lost => 8 = PowerState::Lost,
    PowerState::Unknown => 9 = PowerState::Unknown,
    PowerState::Paused(PausedReason::User) => 20 = PowerState::Paused(PausedReason::User),
    PowerState::Paused(PausedReason::IoError) => 21 = PowerState::Paused(PausedReason::IoError),
    PowerState::Paused(PausedReason::NoSpace) => 22 = PowerState::Paused(PausedReason::NoSpace),
    PowerState::Paused(PausedReason::Watchdog) => 23 = PowerState::Paused(PausedReason::Watchdog),
    PowerState::Paused(PausedReason::Crashed) => 24 = PowerState::Paused(PausedReason::Crashed),
    PowerState::Paused(PausedReason::Migration) => 25 = PowerState::Paused(PausedReason::Migration),
    PowerState::Paused(PausedReason::Guest) => 26 = PowerState::Paused(PausedReason::Guest),
    PowerState::Paused(PausedReason::Other) => 27 = PowerState::Paused(PausedReason::Other),
);

coded!(verb_code, verb_of, Verb,
    Verb::Create => 1 = Verb::Create,
    Verb::Start => 2 = Verb::Start,
    Verb::Stop => 3 = Verb::Stop,
    Verb::ForceStop => 4 = Verb::ForceStop,
    Verb::Reboot => 5 = Verb::Reboot,
    Verb::Reset => 6 = Verb::Reset,
    Verb::Pause => 7 = Verb::Pause,
    Verb::Resume => 8 = Verb::Resume,
    Verb::Suspend => 9 = Verb::Suspend,
    Verb::Update => 10 = Verb::Update,
    Verb::Delete => 11 = Verb::Delete,
    Verb::ForceDelete => 12 = Verb::ForceDelete,
    Verb::Adopt => 13 = Verb::Adopt,
    Verb::Redefine => 14 = Verb::Redefine,
    Verb::Drain => 15 = Verb::Drain,
    Verb::MountIso => 16 = Verb::MountIso,
    Verb::EjectIso => 17 = Verb::EjectIso,
    Verb::Console => 18 = Verb::Console,
    Verb::Screenshot => 19 = Verb::Screenshot,
    Verb::SendKeys => 20 = Verb::SendKeys,
);

coded!(operation_state_code, operation_state_of, OperationState,
    OperationState::Running => 1 = OperationState::Running,
    OperationState::Succeeded => 2 = OperationState::Succeeded,
    OperationState::Failed => 3 = OperationState::Failed,
    OperationState::Cancelled => 4 = OperationState::Cancelled,
);

coded!(format_code, format_of, DiskFormat,
    DiskFormat::Qcow2 => 1 = DiskFormat::Qcow2,
    DiskFormat::Raw => 2 = DiskFormat::Raw,
);

coded!(provisioning_code, provisioning_of, DiskProvisioning,
    DiskProvisioning::Thin => 1 = DiskProvisioning::Thin,
    DiskProvisioning::ThickLazy => 2 = DiskProvisioning::ThickLazy,
    DiskProvisioning::ThickEager => 3 = DiskProvisioning::ThickEager,
);

coded!(family_code, family_of, GuestOsFamily,
    GuestOsFamily::Unspecified => 0 = GuestOsFamily::Unspecified,
    GuestOsFamily::Rhel => 1 = GuestOsFamily::Rhel,
    GuestOsFamily::Debian => 2 = GuestOsFamily::Debian,
    GuestOsFamily::Suse => 3 = GuestOsFamily::Suse,
    GuestOsFamily::Arch => 4 = GuestOsFamily::Arch,
    GuestOsFamily::Fedora => 5 = GuestOsFamily::Fedora,
    GuestOsFamily::GenericLinux => 6 = GuestOsFamily::GenericLinux,
    GuestOsFamily::WindowsServer => 10 = GuestOsFamily::WindowsServer,
    GuestOsFamily::WindowsDesktop => 11 = GuestOsFamily::WindowsDesktop,
    GuestOsFamily::WindowsLegacy => 12 = GuestOsFamily::WindowsLegacy,
    GuestOsFamily::Freebsd => 20 = GuestOsFamily::Freebsd,
    GuestOsFamily::Openbsd => 21 = GuestOsFamily::Openbsd,
    GuestOsFamily::Netbsd => 22 = GuestOsFamily::Netbsd,
    GuestOsFamily::Macos => 30 = GuestOsFamily::Macos,
    GuestOsFamily::Solaris => 31 = GuestOsFamily::Solaris,
    GuestOsFamily::Other => 99 = GuestOsFamily::Other,
);

coded!(severity_code, severity_of, Severity,
    Severity::Info => 1 = Severity::Info,
    Severity::Warning => 2 = Severity::Warning,
    Severity::Error => 3 = Severity::Error,
);

coded!(subject_code_inner, subject_of, Subject,
    Subject::Vm => 1 = Subject::Vm,
    Subject::Node => 2 = Subject::Node,
);

/// The byte by which events are indexed.
pub(super) fn subject_code(subject: Subject) -> u8 {
    subject_code_inner(subject)
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct VmV1 {
    id: [u8; 16],
    name: String,
    hypervisor_name: String,
    project_id: [u8; 16],
    node_id: [u8; 16],
    labels: BTreeMap<String, String>,
    description: String,
    origin: u8,
    created_by: String,
    created_at_us: i64,
    updated_at_us: i64,
    generation: u64,
    start_order: Option<u32>,
    start_delay_sec: Option<u32>,
    guest_os_family: u8,
    guest_os_variant: String,
    /// Pool and volume.
    owned_volumes: Vec<(String, String)>,
    disk_sizes: BTreeMap<String, u64>,
    definition: String,
    state: u8,
    state_changed_at_us: i64,
    last_seen_at_us: i64,
    error_message: String,
    lost_reason: String,
}

impl Record for VmV1 {
    const VERSION: u8 = 1;
    const TABLE: &'static str = "vms";
}

impl From<&VmRecord> for VmV1 {
    fn from(vm: &VmRecord) -> Self {
        Self {
            id: *vm.id.as_bytes(),
            name: vm.name.clone(),
            hypervisor_name: vm.hypervisor_name.clone(),
            project_id: *vm.project_id.as_bytes(),
            node_id: *vm.node_id.as_bytes(),
            labels: vm.labels.clone(),
            description: vm.description.clone(),
            origin: origin_code(vm.origin),
            created_by: vm.created_by.clone(),
            created_at_us: vm.created_at.0,
            updated_at_us: vm.updated_at.0,
            generation: vm.generation,
            start_order: vm.start_order,
            start_delay_sec: vm.start_delay_sec,
            guest_os_family: family_code(vm.guest_os.family),
            guest_os_variant: vm.guest_os.variant.clone(),
            owned_volumes: vm.owned_volumes.iter().map(|at| (at.pool.clone(), at.volume.clone())).collect(),
            disk_sizes: vm.disk_sizes.clone(),
            definition: vm.definition.0.clone(),
            state: state_code(vm.state),
            state_changed_at_us: vm.state_changed_at.0,
            last_seen_at_us: vm.last_seen_at.0,
            error_message: vm.error_message.clone(),
            lost_reason: vm.lost_reason.clone(),
        }
    }
}

impl TryFrom<VmV1> for VmRecord {
    type Error = StoreError;
    fn try_from(vm: VmV1) -> Result<Self, StoreError> {
        Ok(Self {
            id: VmId::from_bytes(vm.id),
            name: vm.name,
            hypervisor_name: vm.hypervisor_name,
            project_id: ProjectId::from_bytes(vm.project_id),
            node_id: NodeId::from_bytes(vm.node_id),
            labels: vm.labels,
            description: vm.description,
            origin: origin_of(vm.origin)?,
            created_by: vm.created_by,
            created_at: Moment(vm.created_at_us),
            updated_at: Moment(vm.updated_at_us),
            generation: vm.generation,
            start_order: vm.start_order,
            start_delay_sec: vm.start_delay_sec,
            deletion_protection: DeletionProtection::Off,
            guest_os: GuestOs { family: family_of(vm.guest_os_family)?, variant: vm.guest_os_variant },
            owned_volumes: vm.owned_volumes.into_iter().map(volume_of).collect(),
            disk_sizes: vm.disk_sizes,
            definition: DefinitionText(vm.definition),
            state: state_of(vm.state)?,
            state_changed_at: Moment(vm.state_changed_at_us),
            last_seen_at: Moment(vm.last_seen_at_us),
            error_message: vm.error_message,
            lost_reason: vm.lost_reason,
        })
    }
}

/// What version 1 has, and what came after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct VmV2 {
    first: VmV1,
    deletion_protection: bool,
}

impl Record for VmV2 {
    const VERSION: u8 = 2;
    const TABLE: &'static str = VmV1::TABLE;
}

impl From<&VmRecord> for VmV2 {
    fn from(vm: &VmRecord) -> Self {
        Self { first: VmV1::from(vm), deletion_protection: vm.deletion_protection.is_on() }
    }
}

impl TryFrom<VmV2> for VmRecord {
    type Error = StoreError;
    fn try_from(vm: VmV2) -> Result<Self, StoreError> {
        let deletion_protection = DeletionProtection::from_flag(vm.deletion_protection);
        Ok(Self { deletion_protection, ..vm.first.try_into()? })
    }
}

/// A VM of whatever version; `row` names it in the error.
pub(super) fn vm_of(bytes: &[u8], row: impl std::fmt::Display) -> Result<VmRecord, StoreError> {
    match bytes.first() {
        Some(&VmV1::VERSION) => decode::<VmV1>(bytes, row)?.try_into(),
        Some(_) | None => decode::<VmV2>(bytes, row)?.try_into(),
    }
}

fn volume_of((pool, volume): (String, String)) -> VolumeRef {
    VolumeRef { pool, volume }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct NewVolumeV1 {
    pool: String,
    volume: String,
    size_gib: u64,
    format: u8,
    provisioning: u8,
    backing: Option<(String, u8)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum StoredIntent<V> {
    Plain,
    Create { vm: V, volumes: Vec<NewVolumeV1>, autostart: bool, start_after: bool },
    Delete { vm: [u8; 16], volumes: Vec<(String, String)>, kept: Vec<(String, String)>, inventory_only: bool },
    Redefine,
    Update { vm: V },
    Media { cdrom: String, path: String },
}

/// An operation, with VMs of this version in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredOperation<V> {
    id: [u8; 16],
    verb: u8,
    resource_id: String,
    state: u8,
    progress_percent: u8,
    step: String,
    created_at_us: i64,
    deadline_us: Option<i64>,
    finished_at_us: Option<i64>,
    error_code: String,
    error_message: String,
    cancellable: bool,
    user: String,
    request_id: String,
    intent: StoredIntent<V>,
}

pub(super) type OperationV1 = StoredOperation<VmV1>;
pub(super) type OperationV2 = StoredOperation<VmV2>;

impl Record for OperationV1 {
    const VERSION: u8 = 1;
    const TABLE: &'static str = "operations";
}

impl Record for OperationV2 {
    const VERSION: u8 = 2;
    const TABLE: &'static str = OperationV1::TABLE;
}

/// An operation of whatever version; `row` names it in the error.
pub(super) fn operation_of(bytes: &[u8], row: impl std::fmt::Display) -> Result<Operation, StoreError> {
    match bytes.first() {
        Some(&OperationV1::VERSION) => decode::<OperationV1>(bytes, row)?.try_into(),
        Some(_) | None => decode::<OperationV2>(bytes, row)?.try_into(),
    }
}

impl<V: for<'a> From<&'a VmRecord>> From<&Operation> for StoredOperation<V> {
    fn from(operation: &Operation) -> Self {
        Self {
            id: *operation.id.as_bytes(),
            verb: verb_code(operation.verb),
            resource_id: operation.resource_id.clone(),
            state: operation_state_code(operation.state),
            progress_percent: operation.progress_percent,
            step: operation.step.clone(),
            created_at_us: operation.created_at.0,
            deadline_us: operation.deadline.map(|at| at.0),
            finished_at_us: operation.finished_at.map(|at| at.0),
            error_code: operation.error_code.clone(),
            error_message: operation.error_message.clone(),
            cancellable: operation.cancel == Cancel::Possible,
            user: operation.user.clone(),
            request_id: operation.request_id.clone(),
            intent: StoredIntent::from(&operation.intent),
        }
    }
}

impl<V: for<'a> From<&'a VmRecord>> From<&Intent> for StoredIntent<V> {
    fn from(intent: &Intent) -> Self {
        match intent {
            Intent::Plain => Self::Plain,
            Intent::Redefine => Self::Redefine,
            Intent::Update { vm } => Self::Update { vm: V::from(vm.as_ref()) },
            Intent::Media { cdrom, path } => Self::Media { cdrom: cdrom.clone(), path: path.clone() },
            Intent::Create(create) => Self::Create {
                vm: V::from(&create.vm),
                volumes: create
                    .volumes
                    .iter()
                    .map(|volume| NewVolumeV1 {
                        pool: volume.at.pool.clone(),
                        volume: volume.at.volume.clone(),
                        size_gib: volume.size.0,
                        format: format_code(volume.format),
                        provisioning: provisioning_code(volume.provisioning),
                        backing: volume.backing.as_ref().map(|(path, format)| (path.clone(), format_code(*format))),
                    })
                    .collect(),
                autostart: create.autostart,
                start_after: create.start_after,
            },
            Intent::Delete(delete) => Self::Delete {
                vm: *delete.vm.as_bytes(),
                volumes: delete.volumes.iter().map(|at| (at.pool.clone(), at.volume.clone())).collect(),
                kept: delete.kept.clone(),
                inventory_only: delete.inventory_only,
            },
        }
    }
}

impl<V> TryFrom<StoredIntent<V>> for Intent
where
    VmRecord: TryFrom<V, Error = StoreError>,
{
    type Error = StoreError;
    fn try_from(intent: StoredIntent<V>) -> Result<Self, StoreError> {
        Ok(match intent {
            StoredIntent::Plain => Self::Plain,
            StoredIntent::Redefine => Self::Redefine,
            StoredIntent::Update { vm } => Self::Update { vm: Box::new(vm.try_into()?) },
            StoredIntent::Media { cdrom, path } => Self::Media { cdrom, path },
            StoredIntent::Create { vm, volumes, autostart, start_after } => Self::Create(Box::new(CreateIntent {
                vm: vm.try_into()?,
                volumes: volumes
                    .into_iter()
                    .map(|volume| {
                        Ok(NewVolume {
                            at: VolumeRef { pool: volume.pool, volume: volume.volume },
                            size: Gib(volume.size_gib),
                            format: format_of(volume.format)?,
                            provisioning: provisioning_of(volume.provisioning)?,
                            backing: match volume.backing {
                                Some((path, format)) => Some((path, format_of(format)?)),
                                None => None,
                            },
                        })
                    })
                    .collect::<Result<_, StoreError>>()?,
                autostart,
                start_after,
            })),
            StoredIntent::Delete { vm, volumes, kept, inventory_only } => Self::Delete(DeleteIntent {
                vm: VmId::from_bytes(vm),
                volumes: volumes.into_iter().map(volume_of).collect(),
                kept,
                inventory_only,
            }),
        })
    }
}

impl<V> TryFrom<StoredOperation<V>> for Operation
where
    VmRecord: TryFrom<V, Error = StoreError>,
{
    type Error = StoreError;
    fn try_from(operation: StoredOperation<V>) -> Result<Self, StoreError> {
        Ok(Self {
            id: OperationId::from_bytes(operation.id),
            verb: verb_of(operation.verb)?,
            resource_id: operation.resource_id,
            state: operation_state_of(operation.state)?,
            progress_percent: operation.progress_percent,
            step: operation.step,
            created_at: Moment(operation.created_at_us),
            deadline: operation.deadline_us.map(Moment),
            finished_at: operation.finished_at_us.map(Moment),
            error_code: operation.error_code,
            error_message: operation.error_message,
            cancel: if operation.cancellable { Cancel::Possible } else { Cancel::Impossible },
            user: operation.user,
            request_id: operation.request_id,
            intent: operation.intent.try_into()?,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct EventV1 {
    subject: u8,
    resource_id: String,
    kind: String,
    message: String,
    user: String,
    severity: u8,
    at_us: i64,
    metadata: BTreeMap<String, String>,
}

impl Record for EventV1 {
    const VERSION: u8 = 1;
    const TABLE: &'static str = "events";
}

impl From<&Event> for EventV1 {
    fn from(event: &Event) -> Self {
        Self {
            subject: subject_code(event.subject),
            resource_id: event.resource_id.clone(),
            kind: event.kind.clone(),
            message: event.message.clone(),
            user: event.user.clone(),
            severity: severity_code(event.severity),
            at_us: event.at.0,
            metadata: event.metadata.clone(),
        }
    }
}

impl TryFrom<EventV1> for Event {
    type Error = StoreError;
    fn try_from(event: EventV1) -> Result<Self, StoreError> {
        Ok(Self {
            subject: subject_of(event.subject)?,
            resource_id: event.resource_id,
            kind: event.kind,
            message: event.message,
            user: event.user,
            severity: severity_of(event.severity)?,
            at: Moment(event.at_us),
            metadata: event.metadata,
        })
    }
}

/// What was answered to a request with an idempotency key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct IdempotencyV1 {
    pub body: [u8; 32],
    pub created_at_us: i64,
    /// Nil: the change was one commit, done with this row.
    pub operation: [u8; 16],
    /// Connect code (empty: success) and the answer's bytes; `None`: not answered yet.
    pub answer: Option<(String, Vec<u8>)>,
}

impl Record for IdempotencyV1 {
    const VERSION: u8 = 1;
    const TABLE: &'static str = "idempotency";
}
