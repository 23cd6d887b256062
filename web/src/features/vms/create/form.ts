// What the page of a new VM holds: what was typed, as it was typed. What it means is `request.ts`'s.

import type { CreateOptions } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { DiskDevice_BusType as Bus, DiskFormat, FirmwareType, NetworkInterface_Model as NicModel } from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';

/** What the user has to begin with. */
export const STARTS = ['image', 'iso', 'network', 'nothing'] as const;
export type Start = (typeof STARTS)[number];

export type BootOrder = 'proposed' | 'disks' | 'cds' | 'network';
export type MemoryUnit = 'GiB' | 'MiB';

export interface DiskForm {
  /** Of the row, for as long as it is there. */
  readonly key: number;
  /** A new volume; a new one over an image that is only read; a file as it is. */
  readonly kind: 'new' | 'overlay' | 'file';
  /** The image under it, or the file. */
  readonly path: string;
  /** Of the file named by `path`, or of a new volume. An overlay is always qcow2. */
  readonly format: DiskFormat;
  readonly sizeGib: string;
  /** Null: what fits the operating system. */
  readonly bus: Bus | null;
  /** Empty: the default one. */
  readonly pool: string;
}

export interface NicForm {
  readonly key: number;
  /** `network:default`, `bridge:br0`. Empty: the default network. */
  readonly on: string;
  readonly model: NicModel;
  readonly mac: string;
}

export interface Form {
  readonly start: Start;
  readonly iso: string;
  readonly profile: string;
  readonly name: string;
  readonly description: string;
  readonly labels: string;
  readonly cores: string;
  readonly memory: string;
  readonly memoryUnit: MemoryUnit;
  readonly disks: readonly DiskForm[];
  readonly nics: readonly NicForm[];
  readonly firmware: FirmwareType;
  readonly tpm: boolean;
  readonly autostart: boolean;
  readonly startNow: boolean;
  readonly cpuModel: string;
  readonly sockets: string;
  readonly threads: string;
  readonly boot: BootOrder;
  readonly serialPorts: number;
  readonly agent: boolean;
  readonly screen: boolean;
  readonly kernel: string;
  readonly initrd: string;
  readonly cmdline: string;
  /** What the user has set himself: no proposal changes it. */
  readonly touched: ReadonlySet<Proposed>;
}

/** What is proposed, until it is set. */
export type Proposed = 'profile' | 'name' | 'cores' | 'memory' | 'disk' | 'firmware' | 'tpm' | 'nicModel' | 'format';

export type Change = (next: (form: Form) => Form) => void;

export function emptyDisk(key: number): DiskForm {
  return { key, kind: 'new', path: '', format: DiskFormat.QCOW2, sizeGib: '20', bus: null, pool: '' };
}

export function emptyNic(key: number, options: CreateOptions): NicForm {
  return { key, on: firstNetwork(options), model: NicModel.VIRTIO_NET, mac: '' };
}

/** `default` where it runs, else the first that runs, else a bridge. */
export function firstNetwork(options: CreateOptions): string {
  const active = options.networks.filter((network) => network.active);
  const network = active.find((one) => one.name === 'default') ?? active[0];
  if (network !== undefined) return `network:${network.name}`;
  const bridge = options.bridges[0];
  return bridge === undefined ? '' : `bridge:${bridge}`;
}

export function nextKey(rows: readonly { readonly key: number }[]): number {
  return rows.reduce((most, row) => Math.max(most, row.key), 0) + 1;
}

export function emptyForm(options: CreateOptions): Form {
  return {
    start: 'image',
    iso: '',
    profile: '',
    name: '',
    description: '',
    labels: '',
    cores: '2',
    memory: '2',
    memoryUnit: 'GiB',
    disks: [{ ...emptyDisk(1), kind: 'overlay' }],
    nics: firstNetwork(options) === '' ? [] : [emptyNic(1, options)],
    firmware: FirmwareType.BIOS,
    tpm: false,
    autostart: false,
    startNow: true,
    cpuModel: '',
    sockets: '',
    threads: '',
    boot: 'proposed',
    serialPorts: 1,
    agent: true,
    screen: true,
    kernel: '',
    initrd: '',
    cmdline: '',
    touched: new Set(),
  };
}

/** Sets what the user set: it is his from now on. */
export function set(form: Form, patch: Partial<Form>, touches?: Proposed): Form {
  if (touches === undefined || form.touched.has(touches)) return { ...form, ...patch };
  return { ...form, ...patch, touched: new Set(form.touched).add(touches) };
}

export function setDisk(form: Form, key: number, patch: Partial<DiskForm>, touches?: Proposed): Form {
  return set(form, { disks: form.disks.map((disk) => (disk.key === key ? { ...disk, ...patch } : disk)) }, touches);
}

export function setNic(form: Form, key: number, patch: Partial<NicForm>, touches?: Proposed): Form {
  return set(form, { nics: form.nics.map((nic) => (nic.key === key ? { ...nic, ...patch } : nic)) }, touches);
}

/** The same size in the other unit, which no proposal takes back. */
export function inUnit(form: Form, unit: MemoryUnit): Form {
  if (unit === form.memoryUnit) return form;
  const value = Number(form.memory);
  if (form.memory.trim() === '' || !Number.isFinite(value)) return set(form, { memoryUnit: unit }, 'memory');
  const memory = unit === 'MiB' ? Math.round(value * 1024) : Number((value / 1024).toFixed(3));
  return set(form, { memory: String(memory), memoryUnit: unit }, 'memory');
}
