//! An operation: the recorded intent of a verb, its progress, and the lock on its VM.

use serde::{Deserialize, Serialize};

use super::id::{OperationId, VmId};
use super::vm::Moment;

/// What may be asked of a VM; the names are those of `allowed_actions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verb {
    Create,
    Start,
    Stop,
    ForceStop,
    Reboot,
    Reset,
    Pause,
    Resume,
    Suspend,
    Update,
    Delete,
    ForceDelete,
    Adopt,
    Redefine,
    /// Of a node: stop its VMs before maintenance.
    Drain,
    MountIso,
    EjectIso,
    /// See the screen or the serial port: no operation, but not possible at any time.
    Console,
    Screenshot,
    SendKeys,
}

impl Verb {
    /// Every verb that `allowed_actions` lists, in its order.
    pub const ACTIONS: [Self; 18] = [
        Self::Start,
        Self::Stop,
        Self::ForceStop,
        Self::Reboot,
        Self::Reset,
        Self::Pause,
        Self::Resume,
        Self::Suspend,
        Self::Update,
        Self::Delete,
        Self::ForceDelete,
        Self::Adopt,
        Self::Redefine,
        Self::MountIso,
        Self::EjectIso,
        Self::Console,
        Self::Screenshot,
        Self::SendKeys,
    ];

    /// The wire's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::ForceStop => "force_stop",
            Self::Reboot => "reboot",
            Self::Reset => "reset",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Suspend => "suspend",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::ForceDelete => "force_delete",
            Self::Adopt => "adopt",
            Self::Redefine => "redefine",
            Self::Drain => "drain",
            Self::MountIso => "mount_iso",
            Self::EjectIso => "eject_iso",
            Self::Console => "console",
            Self::Screenshot => "screenshot",
            Self::SendKeys => "send_keys",
        }
    }
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OperationState {
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// Whether a client may cancel the operation now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cancel {
    Possible,
    Impossible,
}

/// The record of one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    pub id: OperationId,
    pub verb: Verb,
    /// VM's or node's id as text.
    pub resource_id: String,
    pub state: OperationState,
    /// 0-100.
    pub progress_percent: u8,
    /// What is being done, in words: `waiting for the guest to power off`.
    pub step: String,
    pub created_at: Moment,
    /// When it fails by itself, where it has a deadline.
    pub deadline: Option<Moment>,
    pub finished_at: Option<Moment>,
    /// Connect code of the failure, empty while none.
    pub error_code: String,
    /// Sentence of the failure, empty while none.
    pub error_message: String,
    pub cancel: Cancel,
    /// Who asked.
    pub user: String,
    /// `x-request-id` of the call that began it.
    pub request_id: String,
    /// What must be known to finish or undo it after a crash.
    pub intent: Intent,
}

/// What an interrupted operation needs to be finished or undone at the next start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Intent {
    /// Nothing beyond the verb: what happened is read from the hypervisor.
    Plain,
    /// A VM being made: undone by removing what of it exists.
    Create(Box<CreateIntent>),
    /// A VM being deleted: finished.
    Delete(DeleteIntent),
    /// A VM being redefined from its last definition: finished or left lost.
    Redefine,
    /// A definition being replaced: finished.
    Update {
        /// The record as it will be, the new definition in it.
        vm: Box<super::vm::VmRecord>,
    },
    /// A medium being changed: what the drive holds afterwards says whether it was done.
    Media {
        /// Id of the drive.
        cdrom: String,
        /// Path of the medium; empty: ejected.
        path: String,
    },
}

/// A VM being made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateIntent {
    pub vm: super::vm::VmRecord,
    pub volumes: Vec<super::definition::NewVolume>,
    pub autostart: bool,
    pub start_after: bool,
}

/// A VM being deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteIntent {
    pub vm: VmId,
    /// Volumes to delete, decided before the first effect.
    pub volumes: Vec<super::definition::VolumeRef>,
    /// Volumes kept, with the reason, for the event.
    pub kept: Vec<(String, String)>,
    /// Only our record goes; libvirt's definition stays.
    pub inventory_only: bool,
}
