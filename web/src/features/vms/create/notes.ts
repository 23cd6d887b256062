// What the server and the form say of a request, each thing beside its field: the paths of the
// wire onto the fields of the page.

import type { FieldViolation, Problem } from '@/api/errors';
import { PreflightCheck_Outcome as Outcome, type PreflightCheck } from '@/gen/Quantixkvm/compute/v1/vm_pb';

export interface Warning {
  readonly message: string;
  readonly remedy: string;
}

/** Something that stands in the way. */
export interface Obstacle {
  /** A field of the page; null: none in particular. */
  readonly field: string | null;
  readonly message: string;
  /** Not wrong, but still to be told. */
  readonly missing: boolean;
}

export interface Notes {
  readonly obstacles: readonly Obstacle[];
  readonly warnings: readonly (Warning & { readonly field: string | null })[];
  readonly passed: readonly string[];
  readonly of: (field: string) => { readonly violations: readonly string[]; readonly warnings: readonly Warning[] };
}

const DEVICE = /^spec\.(disks|nics)\[(\d+)\](?:\.([a-z_]+))?/;

/** Parts of a device that a field of the page stands for; others belong to the row. */
const PARTS: Record<string, string> = {
  'disks.path': 'path',
  'disks.backing_file': 'path',
  'disks.volume_id': 'path',
  'disks.size_gib': 'size_gib',
  'disks.bus': 'bus',
  'disks.format': 'format',
  'disks.backing_format': 'format',
  'disks.storage_pool_id': 'storage_pool_id',
  'nics.network_id': 'network_id',
  'nics.bridge': 'network_id',
  'nics.model': 'model',
  'nics.mac_address': 'mac_address',
  'nics.id': 'mac_address',
};

const LABELS: readonly (readonly [string, string])[] = [
  ['name', 'Name'],
  ['description', 'Description'],
  ['labels', 'Labels'],
  ['start_on_create', 'Start'],
  ['autostart', 'Autostart'],
  ['spec.guest_os', 'Operating system'],
  ['spec.cpu.cores', 'vCPUs'],
  ['spec.cpu.model', 'CPU model'],
  ['spec.cpu.sockets', 'Sockets'],
  ['spec.cpu.threads_per_core', 'Threads of a core'],
  ['spec.memory', 'Memory'],
  ['spec.firmware', 'Firmware'],
  ['spec.tpm', 'TPM'],
  ['spec.cdroms', 'ISO file'],
  ['spec.boot.direct_boot.kernel_path', 'Kernel'],
  ['spec.boot.direct_boot.initrd_path', 'Initial RAM disk'],
  ['spec.boot.direct_boot.cmdline', 'Command line'],
  ['spec.boot', 'Boot order'],
  ['spec.serial', 'Serial ports'],
  ['spec.agent', 'Guest agent'],
  ['spec.display', 'Screen'],
];
const WORDS: Record<string, string> = {
  path: 'file', size_gib: 'size', bus: 'bus', format: 'format', storage_pool_id: 'pool',
  network_id: 'network', model: 'model', mac_address: 'MAC address',
};
const ADVANCED = ['spec.cpu.model', 'spec.cpu.sockets', 'spec.cpu.threads_per_core', 'spec.boot', 'spec.serial', 'spec.agent', 'spec.display'];

const inside = (path: string, field: string): boolean =>
  path === field || path.startsWith(`${field}.`) || path.startsWith(`${field}[`);

/** The field of the page that a path of the wire is about. */
export function place(path: string): string | null {
  const device = DEVICE.exec(path);
  if (device !== null) {
    const [, list = '', index = '', part = ''] = device;
    const field = PARTS[`${list}.${part}`];
    return `spec.${list}[${index}]${field === undefined ? '' : `.${field}`}`;
  }
  return LABELS.find(([field]) => inside(path, field))?.[0] ?? null;
}

/** `Disk 2: size`, for a field that `place` gave. */
export function labelOf(field: string): string {
  const device = DEVICE.exec(field);
  if (device === null) return LABELS.find(([one]) => one === field)?.[1] ?? field;
  const what = `${device[1] === 'disks' ? 'Disk' : 'Network card'} ${Number(device[2]) + 1}`;
  const part = WORDS[device[3] ?? ''];
  return part === undefined ? what : `${what}: ${part}`;
}

export function isAdvanced(field: string): boolean {
  return ADVANCED.some((one) => inside(field, one));
}

/** Its place on the page. */
export function anchorOf(field: string): string {
  return `f-${field.replaceAll(/[^a-z0-9]+/gi, '-')}`;
}

/** What continues a field's name, as a sentence of its own. */
export function sentence(text: string): string {
  const begun = /^[a-z]/.test(text) ? `${text[0]?.toUpperCase()}${text.slice(1)}` : text;
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}

/** What can't be read is said once, by the page; the server only saw that it is missing. */
function unlessSaid(said: readonly (string | null)[]): (field: string | null) => boolean {
  return (field) => field === null || !said.some((one) => one !== null && inside(one, field));
}

export interface Heard {
  readonly unread: readonly FieldViolation[];
  readonly missing: readonly FieldViolation[];
  readonly problem: Problem | null;
  readonly checks: readonly PreflightCheck[];
}

export function gather({ unread, missing, problem, checks }: Heard): Notes {
  const wrong = (one: FieldViolation): Obstacle => {
    const field = place(one.field);
    const name = field === null && one.field !== '' ? `${one.field}: ` : '';
    return { field, message: name + sentence(one.message), missing: false };
  };
  const ours = [...missing.map((one) => ({ ...wrong(one), missing: true })), ...unread.map(wrong)];
  const told = unlessSaid(ours.map((one) => one.field));
  const found = (problem?.fieldViolations ?? []).map(wrong);
  const whole = problem !== null && found.length === 0 ? [{ field: null, message: sentence(problem.message), missing: false }] : [];
  const obstacles = [...ours, ...found.filter((one) => told(one.field)), ...whole];
  const warnings = checks
    .filter((check) => check.outcome === Outcome.WARNING)
    .map((check) => ({ field: place(check.field), message: sentence(check.message), remedy: check.remedy === '' ? '' : sentence(check.remedy) }));
  const passed = checks.filter((check) => check.outcome === Outcome.PASSED).map((check) => sentence(check.message));
  return {
    obstacles,
    warnings,
    passed: [...new Set(passed)],
    of: (field) => ({
      violations: [...new Set(obstacles.filter((one) => one.field === field && !one.missing).map((one) => one.message))],
      warnings: warnings.filter((one) => one.field === field),
    }),
  };
}
