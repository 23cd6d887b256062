// What will be made, in a few plain lines.

import { FirmwareType } from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';
import type { CreateOptions } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import type { DiskForm, Form } from './form';
import { profileOf } from './proposals';

export type Line = readonly [string, string];

const FIRMWARE: Record<FirmwareType, string> = {
  [FirmwareType.BIOS]: 'BIOS',
  [FirmwareType.UEFI]: 'UEFI',
  [FirmwareType.UEFI_SECURE_BOOT]: 'UEFI, Secure Boot',
};

const fileOf = (path: string): string => path.trim().split('/').pop() || '(no file yet)';

function disk(one: DiskForm): string {
  if (one.kind === 'file') return `${fileOf(one.path)}, as it is`;
  const size = `${one.sizeGib.trim() || '?'} GiB`;
  return one.kind === 'new' ? `${size}, new` : `${size} over ${fileOf(one.path)}`;
}

function network(on: string): string {
  return on === '' ? 'default network' : on.replace(':', ' ');
}

export function describe(form: Form, options: CreateOptions): Line[] {
  const starts = {
    image: null,
    iso: `CD with ${fileOf(form.iso)}`,
    network: 'the disk, then the network',
    nothing: null,
  }[form.start];
  return [
    ['System', profileOf(options, form.profile)?.label ?? 'not told'],
    ['Machine', `${form.cores.trim() || '?'} vCPU, ${form.memory.trim() || '?'} ${form.memoryUnit}, ${FIRMWARE[form.firmware]}${form.tpm ? ', TPM' : ''}`],
    ...form.disks.map((one, index): Line => [form.disks.length === 1 ? 'Disk' : `Disk ${index + 1}`, disk(one)]),
    ...(form.disks.length === 0 ? [['Disks', 'none'] as const] : []),
    ...(starts === null ? [] : [['Starts from', starts] as const]),
    ['Network', form.nics.length === 0 ? 'none' : form.nics.map((nic) => network(nic.on)).join(', ')],
    ['Then', `${form.startNow ? 'started' : 'left off'}${form.autostart ? ', starts with the host' : ''}`],
  ];
}
