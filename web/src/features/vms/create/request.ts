// The form as the request that it makes, and what can't be put into one.

import type { MessageInitShape } from '@bufbuild/protobuf';
import { call, type Call } from '@/api/call';
import type { FieldViolation } from '@/api/errors';
import type { VirtualMachineSchema } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { VMService, type CreateOptions, type CreateVMRequestSchema } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import {
  BootDevice_DeviceType as BootFrom,
  DiskFormat,
  DisplayConfig_DisplayType as Display,
  FirmwareType,
  TpmConfig_TpmVersion as TpmVersion,
  type DiskDeviceSchema,
  type NetworkInterfaceSchema,
  type VmSpecSchema,
} from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';
import type { BootOrder, DiskForm, Form, NicForm } from './form';
import { profileOf } from './proposals';

export type CreateCall = Call<typeof CreateVMRequestSchema, typeof VirtualMachineSchema>;
export type CreateInput = MessageInitShape<typeof CreateVMRequestSchema>;

export interface Made {
  readonly input: CreateInput;
  /** What was typed that is no value at all; what a value may be is the server's to say. */
  readonly unread: readonly FieldViolation[];
  /** What has still to be told. */
  readonly missing: readonly FieldViolation[];
}

const UINT32_MAX = 4_294_967_295;

class Reader {
  readonly unread: FieldViolation[] = [];

  /** Empty is 0: the server says what that means. */
  whole(field: string, text: string, max: number = UINT32_MAX): number {
    const typed = text.trim();
    if (typed === '') return 0;
    const value = Number(typed);
    if (/^\d+$/.test(typed) && value <= max) return value;
    this.unread.push({ field, message: `must be a whole number; “${typed}” is none` });
    return 0;
  }

  mib(field: string, text: string, unit: Form['memoryUnit']): bigint {
    const typed = text.trim().replace(',', '.');
    if (typed === '') return 0n;
    const value = Number(typed) * (unit === 'GiB' ? 1024 : 1);
    if (/^\d+(\.\d+)?$/.test(typed) && Number.isSafeInteger(Math.round(value))) return BigInt(Math.round(value));
    this.unread.push({ field, message: `must be a number; “${text.trim()}” is none` });
    return 0n;
  }

  /** `env=prod, team=web`. */
  labels(text: string): Record<string, string> {
    const labels: Record<string, string> = {};
    for (const pair of text.split(',').map((one) => one.trim()).filter((one) => one !== '')) {
      const at = pair.indexOf('=');
      if (at > 0) labels[pair.slice(0, at).trim()] = pair.slice(at + 1).trim();
      else this.unread.push({ field: 'labels', message: `are pairs like env=prod; “${pair}” is none` });
    }
    return labels;
  }
}

function disk(form: DiskForm, field: string, reader: Reader): MessageInitShape<typeof DiskDeviceSchema> {
  const bus = form.bus === null ? {} : { bus: form.bus };
  const path = form.path.trim();
  if (form.kind === 'file') return { path, format: form.format, ...bus };
  const sizeGib = BigInt(reader.whole(`${field}.size_gib`, form.sizeGib));
  const made = { sizeGib, ...(form.pool === '' ? {} : { storagePoolId: form.pool }), ...bus };
  if (form.kind === 'new') return { ...made, format: form.format };
  return { ...made, backingFile: path, ...(path === '' ? {} : { backingFormat: form.format }), format: DiskFormat.QCOW2 };
}

function nic(form: NicForm): MessageInitShape<typeof NetworkInterfaceSchema> {
  const at = form.on.indexOf(':');
  const name = form.on.slice(at + 1);
  const place = form.on.startsWith('bridge:') ? { bridge: name } : { networkId: name };
  return { ...place, model: form.model, ...(form.mac.trim() === '' ? {} : { macAddress: form.mac.trim() }) };
}

const ORDERS: Record<Exclude<BootOrder, 'proposed'>, readonly BootFrom[]> = {
  disks: [BootFrom.DISK, BootFrom.CDROM, BootFrom.NETWORK],
  cds: [BootFrom.CDROM, BootFrom.DISK, BootFrom.NETWORK],
  network: [BootFrom.NETWORK, BootFrom.DISK, BootFrom.CDROM],
};

/** Null: the server's own order, in which the network does not come. */
function bootOrder(form: Form, has: Readonly<Record<BootFrom, boolean>>): BootFrom[] | null {
  // An empty disk is passed over, an installed one is not: the disk first.
  const order = form.boot === 'proposed' ? (form.start === 'network' ? ORDERS.disks : null) : ORDERS[form.boot];
  return order === null ? null : order.filter((type) => has[type]);
}

function boot(form: Form): MessageInitShape<typeof VmSpecSchema>['boot'] {
  const order = bootOrder(form, {
    [BootFrom.DISK]: form.disks.length > 0,
    [BootFrom.CDROM]: form.start === 'iso',
    [BootFrom.NETWORK]: form.nics.length > 0,
    [BootFrom.USB]: false,
  });
  const [kernelPath, initrdPath, cmdline] = [form.kernel.trim(), form.initrd.trim(), form.cmdline.trim()];
  const direct = kernelPath === '' && initrdPath === '' && cmdline === '' ? {} : { directBoot: { kernelPath, initrdPath, cmdline } };
  if (order === null && !('directBoot' in direct)) return undefined;
  return { bootOrder: (order ?? []).map((type) => ({ type })), ...direct };
}

/** Without its file a start is none, and a disk another one: an empty path means something else to the server. */
function missingFiles(form: Form): FieldViolation[] {
  const missing: FieldViolation[] = [];
  if (form.start === 'iso' && form.iso.trim() === '') missing.push({ field: 'spec.cdroms[0].iso_path', message: 'choose an ISO file, or type its path' });
  form.disks.forEach((one, index) => {
    if (one.kind === 'new' || one.path.trim() !== '') return;
    const message = index === 0 && form.start === 'image' ? 'choose an image, or type its path' : 'type the path of the file';
    missing.push({ field: `spec.disks[${index}].path`, message });
  });
  return missing;
}

export function toRequest(form: Form, options: CreateOptions): Made {
  const reader = new Reader();
  const profile = profileOf(options, form.profile);
  const bootConfig = boot(form);
  const spec: MessageInitShape<typeof VmSpecSchema> = {
    cpu: {
      cores: reader.whole('spec.cpu.cores', form.cores),
      sockets: reader.whole('spec.cpu.sockets', form.sockets),
      threadsPerCore: reader.whole('spec.cpu.threads_per_core', form.threads),
      model: form.cpuModel,
    },
    memory: { sizeMib: reader.mib('spec.memory.size_mib', form.memory, form.memoryUnit) },
    disks: form.disks.map((one, index) => disk(one, `spec.disks[${index}]`, reader)),
    cdroms: form.start === 'iso' ? [{ isoPath: form.iso.trim() }] : [],
    nics: form.nics.map(nic),
    firmware: form.firmware,
    ...(form.tpm ? { tpm: { enabled: true, version: form.firmware === FirmwareType.BIOS ? TpmVersion.TPM_1_2 : TpmVersion.TPM_2_0 } } : {}),
    ...(form.serialPorts === 1 ? {} : { serial: { count: form.serialPorts } }),
    ...(form.agent ? {} : { agent: { enabled: false } }),
    ...(form.screen ? {} : { display: { type: Display.NONE } }),
    ...(profile === undefined ? {} : { guestOs: { family: profile.family, variant: profile.variant } }),
    ...(bootConfig === undefined ? {} : { boot: bootConfig }),
  };
  const input: CreateInput = {
    name: form.name.trim(),
    description: form.description,
    labels: reader.labels(form.labels),
    spec,
    startOnCreate: form.startNow,
    autostart: form.autostart,
  };
  return { input, unread: reader.unread, missing: missingFiles(form) };
}

export function createCall(input: CreateInput): CreateCall {
  return call(VMService.method.createVM, input);
}

export function planCall(input: CreateInput): CreateCall {
  return call(VMService.method.createVM, { ...input, validateOnly: true });
}
