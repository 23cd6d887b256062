// Which VMs the list shows and in what order. What it reads of a VM is worked out once and kept as
// long as the VM is the same, for ten thousand are arranged anew at every change.

import type { VmUsage } from '@/api/usage';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { vmState } from '../vm_state';
import type { ColumnId, ListState, StateFilter } from './url_state';

/** Worked out when first read: most lists are neither searched nor filtered. */
class Facts {
  private labelList: readonly string[] | undefined;
  private searched: string | undefined;
  private shownTone: StateFilter | undefined;
  /** Sorts `web-2` before `web-10`. */
  readonly nameKey: string;

  constructor(private readonly vm: VirtualMachine) {
    this.nameKey = naturalKey(vm.name);
  }

  get tone(): StateFilter {
    return (this.shownTone ??= vmState(this.vm).tone);
  }

  get labels(): readonly string[] {
    return (this.labelList ??= Object.entries(this.vm.labels).map(([key, value]) => `${key}=${value}`));
  }

  /** All that the search looks in, lower case. */
  get text(): string {
    const { name, id, description, status } = this.vm;
    return (this.searched ??= [name, id, description, ...this.labels, ...(status?.ipAddresses ?? [])].join('\n').toLowerCase());
  }
}

const known = new WeakMap<VirtualMachine, Facts>();

export function naturalKey(text: string): string {
  return text.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, '0'));
}

export function factsOf(vm: VirtualMachine): Facts {
  let facts = known.get(vm);
  if (facts === undefined) {
    facts = new Facts(vm);
    known.set(vm, facts);
  }
  return facts;
}

const TONE_ORDER: Record<StateFilter, number> = { wrong: 0, moving: 1, paused: 2, running: 3, stopped: 4 };

function address(vm: VirtualMachine): string {
  const first = vm.status?.ipAddresses[0];
  // Those without one come last.
  return first === undefined ? '~' : naturalKey(first);
}

function millis(vm: VirtualMachine): number {
  return Number(vm.status?.stateChangedAt?.seconds ?? 0n);
}

export type UsageOf = (id: string) => VmUsage | undefined;

function keyOf(column: ColumnId, usageOf: UsageOf): (vm: VirtualMachine) => string | number {
  switch (column) {
    case 'state':
      return (vm) => TONE_ORDER[factsOf(vm).tone];
    case 'name':
      return (vm) => factsOf(vm).nameKey;
    case 'addresses':
      return address;
    case 'cpu':
      return (vm) => usageOf(vm.id)?.now.cpuUsagePercent ?? -1;
    case 'memory':
      return (vm) => Number(usageOf(vm.id)?.now.memoryUsedBytes ?? -1n);
    case 'labels':
      return (vm) => factsOf(vm).labels.join() || '~';
    // The longest in its state first.
    case 'since':
      return millis;
    case 'vcpus':
      return (vm) => vm.spec?.cpu?.cores ?? 0;
    case 'disk':
      return diskGib;
    case 'project':
      return (vm) => vm.projectId;
  }
}

export function diskGib(vm: VirtualMachine): number {
  return (vm.spec?.disks ?? []).reduce((sum, disk) => sum + Number(disk.sizeGib), 0);
}

/** Whether the order changes with what is measured. */
export function sortsByUsage(state: ListState): boolean {
  return state.sort === 'cpu' || state.sort === 'memory';
}

/** Puts things into the order that they had before: what is nearly in order is soon sorted. */
function asBefore(vms: readonly VirtualMachine[], before: readonly string[]): readonly VirtualMachine[] {
  if (before.length === 0) return vms;
  const left = new Map(vms.map((vm) => [vm.id, vm]));
  const ordered: VirtualMachine[] = [];
  for (const id of before) {
    const vm = left.get(id);
    if (vm === undefined) continue;
    ordered.push(vm);
    left.delete(id);
  }
  for (const vm of left.values()) ordered.push(vm);
  return ordered;
}

/** Arranges again and again what changes little. */
export class Arranger {
  private last: readonly string[] = [];

  arrange(vms: readonly VirtualMachine[], state: ListState, usageOf: UsageOf): VirtualMachine[] {
    const rows = arrange(asBefore(vms, this.last), state, usageOf);
    this.last = rows.map((vm) => vm.id);
    return rows;
  }
}

export function arrange(vms: readonly VirtualMachine[], state: ListState, usageOf: UsageOf): VirtualMachine[] {
  const words = state.query.toLowerCase().split(/\s+/).filter((word) => word !== '');
  const shown = vms.filter((vm) => {
    const facts = factsOf(vm);
    return (
      (state.states.length === 0 || state.states.includes(facts.tone)) &&
      (state.project === '' || vm.projectId === state.project) &&
      state.labels.every((label) => facts.labels.includes(label)) &&
      words.every((word) => facts.text.includes(word))
    );
  });
  const key = keyOf(state.sort, usageOf);
  const keyed = shown.map((vm) => ({ vm, key: key(vm), name: factsOf(vm).nameKey }));
  const sign = state.descending ? -1 : 1;
  keyed.sort((a, b) => {
    if (a.key !== b.key) return a.key < b.key ? -sign : sign;
    return a.name === b.name ? (a.vm.id < b.vm.id ? -1 : 1) : a.name < b.name ? -1 : 1;
  });
  return keyed.map((one) => one.vm);
}

function counted(all: Iterable<string>): [string, number][] {
  const counts = new Map<string, number>();
  for (const one of all) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts].sort((a, b) => (a[0] < b[0] ? -1 : 1));
}

/** How many VMs there are of each tone. */
export function toneCounts(vms: readonly VirtualMachine[]): ReadonlyMap<string, number> {
  return new Map(counted(vms.map((vm) => factsOf(vm).tone)));
}

/** Every label with the number of VMs that have it, by name. */
export function labelCounts(vms: readonly VirtualMachine[]): readonly (readonly [string, number])[] {
  return counted(vms.flatMap((vm) => [...factsOf(vm).labels]));
}

export function projectCounts(vms: readonly VirtualMachine[]): readonly (readonly [string, number])[] {
  return counted(vms.map((vm) => vm.projectId));
}
