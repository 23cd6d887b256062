//! Every enum of the contract beside the one that the model has for it, in both directions at
//! once: a value added on either side does not compile until it has its partner.

use quantixkvm_proto::Quantixkvm::compute::v1 as wire;
use quantixkvm_proto::Quantixkvm::operation::v1 as wire_operation;

use crate::model::event::Severity;
use crate::model::node::{ConditionStatus, NodePhase, StorageKind};
use crate::model::operation::OperationState;
use crate::model::spec::{
    BootClass, CacheMode, DiskBus, DiskProvisioning, DisplayKind, Firmware, GuestOsFamily, NicModel, TpmVersion,
    VideoModel, WatchdogAction, WatchdogModel,
};
use crate::model::vm::{Origin, PausedReason};
use crate::service::requests::StateFilter;

macro_rules! pairs {
    ($read:ident, $write:ident: $wire:ty = $model:ty { $($on_wire:ident = $in_model:ident,)* }) => {
        #[allow(dead_code, reason = "some enums travel one way")]
        pub(super) fn $read(value: $wire) -> $model {
            match value { $(<$wire>::$on_wire => <$model>::$in_model,)* }
        }
        #[allow(dead_code, reason = "some enums travel one way")]
        pub(super) fn $write(value: $model) -> $wire {
            match value { $(<$model>::$in_model => <$wire>::$on_wire,)* }
        }
    };
}

pairs!(bus_in, bus_out: wire::disk_device::BusType = DiskBus {
    VIRTIO_BLK = VirtioBlk, VIRTIO_SCSI = VirtioScsi, NVME = Nvme, SATA = Sata, IDE = Ide,
});
pairs!(provisioning_in, provisioning_out: wire::disk_device::ProvisioningType = DiskProvisioning {
    THIN = Thin, THICK_LAZY = ThickLazy, THICK_EAGER = ThickEager,
});
pairs!(cache_in, cache_out: wire::disk_device::CacheMode = CacheMode {
    WRITEBACK = Writeback, WRITETHROUGH = Writethrough, NONE = None,
});
pairs!(nic_in, nic_out: wire::network_interface::Model = NicModel {
    VIRTIO_NET = Virtio, E1000 = E1000, E1000E = E1000e, VMXNET3 = Vmxnet3,
});
pairs!(firmware_in, firmware_out: wire::FirmwareType = Firmware {
    BIOS = Bios, UEFI = Uefi, UEFI_SECURE_BOOT = UefiSecureBoot,
});
pairs!(tpm_in, tpm_out: wire::tpm_config::TpmVersion = TpmVersion { TPM_1_2 = V1_2, TPM_2_0 = V2_0, });
pairs!(watchdog_in, watchdog_out: wire::watchdog_config::WatchdogModel = WatchdogModel {
    I6300ESB = I6300esb, IB700 = Ib700,
});
pairs!(action_in, action_out: wire::watchdog_config::WatchdogAction = WatchdogAction {
    RESET = Reset, SHUTDOWN = Shutdown, POWEROFF = Poweroff, PAUSE = Pause, NONE = None,
});
pairs!(boot_in, boot_out: wire::boot_device::DeviceType = BootClass {
    DISK = Disk, CDROM = Cdrom, NETWORK = Network, USB = Usb,
});
pairs!(display_in, display_out: wire::display_config::DisplayType = DisplayKind {
    VNC = Vnc, SPICE = Spice, NONE = None,
});
pairs!(video_in, video_out: wire::display_config::GpuType = VideoModel {
    VGA = Vga, CIRRUS = Cirrus, QXL = Qxl, VIRTIO_GPU = Virtio,
});
pairs!(family_in, family_out: wire::GuestOSFamily = GuestOsFamily {
    GUEST_OS_FAMILY_UNSPECIFIED = Unspecified,
    GUEST_OS_FAMILY_RHEL = Rhel,
    GUEST_OS_FAMILY_DEBIAN = Debian,
    GUEST_OS_FAMILY_SUSE = Suse,
    GUEST_OS_FAMILY_ARCH = Arch,
    GUEST_OS_FAMILY_FEDORA = Fedora,
    GUEST_OS_FAMILY_GENERIC_LINUX = GenericLinux,
    GUEST_OS_FAMILY_WINDOWS_SERVER = WindowsServer,
    GUEST_OS_FAMILY_WINDOWS_DESKTOP = WindowsDesktop,
    GUEST_OS_FAMILY_WINDOWS_LEGACY = WindowsLegacy,
    GUEST_OS_FAMILY_FREEBSD = Freebsd,
    GUEST_OS_FAMILY_OPENBSD = Openbsd,
    GUEST_OS_FAMILY_NETBSD = Netbsd,
    GUEST_OS_FAMILY_MACOS = Macos,
    GUEST_OS_FAMILY_SOLARIS = Solaris,
    GUEST_OS_FAMILY_OTHER = Other,
});
pairs!(phase_in, phase_out: wire::node_status::Phase = NodePhase {
    UNKNOWN = Unknown, PENDING = Pending, READY = Ready, NOT_READY = NotReady, MAINTENANCE = Maintenance,
    DRAINING = Draining, OFFLINE = Offline,
});
pairs!(condition_in, condition_out: wire::node_condition::Status = ConditionStatus {
    UNKNOWN = Unknown, TRUE = True, FALSE = False,
});
pairs!(storage_in, storage_out: wire::storage_device::DeviceType = StorageKind {
    HDD = Hdd, SSD = Ssd, NVME = Nvme,
});
pairs!(severity_in, severity_out: wire::node_event::EventType = Severity {
    NORMAL = Info, WARNING = Warning, ERROR = Error,
});
pairs!(state_filter_in, state_filter_out: wire::vm_status::PowerState = StateFilter {
    UNKNOWN = Unknown, RUNNING = Running, STOPPED = Stopped, PAUSED = Paused, SUSPENDED = Suspended,
    CRASHED = Crashed, MIGRATING = Migrating, PROVISIONING = Provisioning, LOST = Lost,
});

/// `None`: the value that is never sent.
pub(super) fn operation_state_in(value: wire_operation::operation::State) -> Option<OperationState> {
    match value {
        wire_operation::operation::State::STATE_UNSPECIFIED => None,
        wire_operation::operation::State::STATE_RUNNING => Some(OperationState::Running),
        wire_operation::operation::State::STATE_SUCCEEDED => Some(OperationState::Succeeded),
        wire_operation::operation::State::STATE_FAILED => Some(OperationState::Failed),
        wire_operation::operation::State::STATE_CANCELLED => Some(OperationState::Cancelled),
    }
}

pub(super) fn operation_state_out(value: OperationState) -> wire_operation::operation::State {
    match value {
        OperationState::Running => wire_operation::operation::State::STATE_RUNNING,
        OperationState::Succeeded => wire_operation::operation::State::STATE_SUCCEEDED,
        OperationState::Failed => wire_operation::operation::State::STATE_FAILED,
        OperationState::Cancelled => wire_operation::operation::State::STATE_CANCELLED,
    }
}

pub(super) fn origin_out(value: Origin) -> wire::VMOrigin {
    match value {
        Origin::ControlPlane => wire::VMOrigin::VM_ORIGIN_CONTROL_PLANE,
        Origin::HostDiscovered => wire::VMOrigin::VM_ORIGIN_HOST_DISCOVERED,
        Origin::Imported => wire::VMOrigin::VM_ORIGIN_IMPORTED,
    }
}

pub(super) fn paused_out(value: PausedReason) -> wire::PausedReason {
    match value {
        PausedReason::User => wire::PausedReason::PAUSED_REASON_USER,
        PausedReason::IoError => wire::PausedReason::PAUSED_REASON_IO_ERROR,
        PausedReason::NoSpace => wire::PausedReason::PAUSED_REASON_NO_SPACE,
        PausedReason::Watchdog => wire::PausedReason::PAUSED_REASON_WATCHDOG,
        PausedReason::Crashed => wire::PausedReason::PAUSED_REASON_CRASHED,
        PausedReason::Migration => wire::PausedReason::PAUSED_REASON_MIGRATION,
        PausedReason::Guest => wire::PausedReason::PAUSED_REASON_GUEST,
        PausedReason::Other => wire::PausedReason::PAUSED_REASON_OTHER,
    }
}
