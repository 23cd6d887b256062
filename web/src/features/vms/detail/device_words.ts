// Disks and cards in words.

import { DiskFormat, type DiskDevice, type NetworkInterface } from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';

export function formatWord(format: DiskFormat): string {
  return format === DiskFormat.QCOW2 ? 'qcow2' : format === DiskFormat.RAW ? 'raw' : '';
}

export function diskSize(disk: DiskDevice, bytes: (value: number) => string): string {
  return disk.sizeGib > 0n ? bytes(Number(disk.sizeGib) * 1024 ** 3) : 'size not known';
}

/** Where a disk's bytes are. */
export function diskPlace(disk: DiskDevice): string {
  if (disk.path !== '') return disk.path;
  return [disk.storagePoolId, disk.volumeId].filter((part) => part !== '').join(' / ') || 'nowhere known';
}

export function nicPlace(nic: NetworkInterface): string {
  return nic.bridge !== '' ? `bridge ${nic.bridge}` : nic.networkId || 'no network';
}
