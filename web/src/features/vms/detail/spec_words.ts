// What a VM is made of, in words.

import { VMOrigin, type VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import {
  DiskDevice_BusType as Bus,
  DiskDevice_CacheMode as Cache,
  DisplayConfig_GpuType as Gpu,
  FirmwareType,
  GuestOSFamily as Family,
  NetworkInterface_Model as Model,
  WatchdogConfig_WatchdogAction as Action,
} from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';

export const ORIGINS: Record<VMOrigin, string> = {
  [VMOrigin.VM_ORIGIN_UNKNOWN]: 'unknown',
  [VMOrigin.VM_ORIGIN_CONTROL_PLANE]: 'created here',
  [VMOrigin.VM_ORIGIN_HOST_DISCOVERED]: 'found on the host',
  [VMOrigin.VM_ORIGIN_IMPORTED]: 'found on the host and adopted',
};

const FAMILIES: Record<Family, string> = {
  [Family.GUEST_OS_FAMILY_UNSPECIFIED]: '',
  [Family.GUEST_OS_FAMILY_RHEL]: 'Red Hat',
  [Family.GUEST_OS_FAMILY_DEBIAN]: 'Debian',
  [Family.GUEST_OS_FAMILY_SUSE]: 'SUSE',
  [Family.GUEST_OS_FAMILY_ARCH]: 'Arch Linux',
  [Family.GUEST_OS_FAMILY_FEDORA]: 'Fedora',
  [Family.GUEST_OS_FAMILY_GENERIC_LINUX]: 'Linux',
  [Family.GUEST_OS_FAMILY_WINDOWS_SERVER]: 'Windows Server',
  [Family.GUEST_OS_FAMILY_WINDOWS_DESKTOP]: 'Windows',
  [Family.GUEST_OS_FAMILY_WINDOWS_LEGACY]: 'Windows before 10',
  [Family.GUEST_OS_FAMILY_FREEBSD]: 'FreeBSD',
  [Family.GUEST_OS_FAMILY_OPENBSD]: 'OpenBSD',
  [Family.GUEST_OS_FAMILY_NETBSD]: 'NetBSD',
  [Family.GUEST_OS_FAMILY_MACOS]: 'macOS',
  [Family.GUEST_OS_FAMILY_SOLARIS]: 'Solaris',
  [Family.GUEST_OS_FAMILY_OTHER]: 'other',
};

export function osWord(vm: VirtualMachine): string {
  const os = vm.spec?.guestOs;
  if (os === undefined) return 'not told';
  const family = FAMILIES[os.family];
  if (os.variant === '') return family || 'not told';
  return family === '' ? os.variant : `${os.variant} (${family})`;
}

/** `pc-q35-7.2`: the machine and its version. */
export function machineWord(vm: VirtualMachine): string {
  return vm.hardwareVersion || 'machine not known';
}

const FIRMWARE: Record<FirmwareType, string> = {
  [FirmwareType.BIOS]: 'BIOS',
  [FirmwareType.UEFI]: 'UEFI',
  [FirmwareType.UEFI_SECURE_BOOT]: 'UEFI with Secure Boot',
};

export function firmwareWord(vm: VirtualMachine): string {
  return FIRMWARE[vm.spec?.firmware ?? FirmwareType.BIOS];
}

export const BUSES: Record<Bus, string> = {
  [Bus.VIRTIO_BLK]: 'virtio-blk',
  [Bus.VIRTIO_SCSI]: 'virtio-scsi',
  [Bus.NVME]: 'NVMe',
  [Bus.SATA]: 'SATA',
  [Bus.IDE]: 'IDE',
};
export const CACHES: Record<Cache, string> = {
  [Cache.WRITEBACK]: 'writeback',
  [Cache.WRITETHROUGH]: 'writethrough',
  [Cache.NONE]: 'none',
};
export const MODELS: Record<Model, string> = {
  [Model.VIRTIO_NET]: 'virtio',
  [Model.E1000]: 'e1000',
  [Model.E1000E]: 'e1000e',
  [Model.VMXNET3]: 'vmxnet3',
};
export const GPUS: Record<Gpu, string> = {
  [Gpu.VGA]: 'VGA',
  [Gpu.CIRRUS]: 'Cirrus',
  [Gpu.QXL]: 'QXL',
  [Gpu.VIRTIO_GPU]: 'virtio',
};
export const WATCHDOG_ACTIONS: Record<Action, string> = {
  [Action.RESET]: 'resets the guest',
  [Action.SHUTDOWN]: 'asks the guest to power off',
  [Action.POWEROFF]: 'cuts the power',
  [Action.PAUSE]: 'pauses the guest',
  [Action.NONE]: 'only tells',
};
