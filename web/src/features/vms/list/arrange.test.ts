import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { VirtualMachineSchema, VmStatus_PowerState as Power, type VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { arrange, Arranger, labelCounts, naturalKey, toneCounts } from './arrange';
import { firstAction } from './first_action';
import { DEFAULT_STATE } from './url_state';

const none = (): undefined => undefined;

function vm(name: string, more: Parameters<typeof create<typeof VirtualMachineSchema>>[1] = {}): VirtualMachine {
  return create(VirtualMachineSchema, { id: `id-${name}`, name, ...more });
}

const names = (vms: readonly VirtualMachine[]): string[] => vms.map((one) => one.name);

test('numbers in names sort as numbers, capitals as small letters', () => {
  const rows = arrange([vm('web-10'), vm('Web-2'), vm('db')], DEFAULT_STATE, none);
  expect(names(rows)).toEqual(['db', 'Web-2', 'web-10']);
  expect(naturalKey('A2') < naturalKey('a10')).toBe(true);
});

test('every word of a search must be found, in names, labels or addresses', () => {
  const vms = [
    vm('web-1', { labels: { env: 'prod' }, status: { ipAddresses: ['10.0.0.12'] } }),
    vm('web-2', { labels: { env: 'test' } }),
  ];
  const find = (query: string): string[] => names(arrange(vms, { ...DEFAULT_STATE, query }, none));
  expect(find('web prod')).toEqual(['web-1']);
  expect(find('10.0.0')).toEqual(['web-1']);
  expect(find('web zzz')).toEqual([]);
  expect(find('  ')).toEqual(['web-1', 'web-2']);
});

test('filters of states and labels all hold', () => {
  const vms = [
    vm('a', { labels: { env: 'prod' }, status: { state: Power.RUNNING } }),
    vm('b', { labels: { env: 'prod' }, status: { state: Power.STOPPED } }),
    vm('c', { status: { state: Power.CRASHED } }),
  ];
  expect(names(arrange(vms, { ...DEFAULT_STATE, states: ['running', 'wrong'] }, none))).toEqual(['a', 'c']);
  expect(names(arrange(vms, { ...DEFAULT_STATE, labels: ['env=prod'], states: ['stopped'] }, none))).toEqual(['b']);
  expect(labelCounts(vms)).toEqual([['env=prod', 2]]);
  expect(toneCounts(vms).get('wrong')).toBe(1);
});

test('by state, what needs someone is first; equals go by name', () => {
  const vms = [
    vm('b', { status: { state: Power.RUNNING } }),
    vm('a', { status: { state: Power.RUNNING } }),
    vm('z', { status: { state: Power.LOST } }),
  ];
  expect(names(arrange(vms, { ...DEFAULT_STATE, sort: 'state' }, none))).toEqual(['z', 'a', 'b']);
  expect(names(arrange(vms, { ...DEFAULT_STATE, sort: 'state', descending: true }, none))).toEqual(['a', 'b', 'z']);
});

test('ten thousand are arranged well within a frame that counts', () => {
  const vms = Array.from({ length: 10_000 }, (_, index) => vm(`vm-${(index * 7919) % 10_000}`));
  const arranger = new Arranger();
  arranger.arrange(vms, DEFAULT_STATE, none);
  const from = performance.now();
  const rows = arranger.arrange(vms, DEFAULT_STATE, none);
  expect(performance.now() - from).toBeLessThan(200);
  expect(rows[0]?.name).toBe('vm-0');
  expect(rows[9_999]?.name).toBe('vm-9999');
});

test('the first action is the first that the server allows, and follows no rule of its own', () => {
  const allowed = (...verbs: string[]): { allowedActions: { verb: string; allowed: boolean }[] } => ({
    allowedActions: verbs.map((verb) => ({ verb, allowed: true })),
  });
  const verb = (one: VirtualMachine): string | undefined => {
    const action = firstAction(one);
    return action?.kind === 'verb' ? action.verb.verb : action?.kind;
  };
  expect(verb(vm('a', allowed('start', 'delete')))).toBe('start');
  expect(verb(vm('a', allowed('resume', 'start')))).toBe('resume');
  expect(verb(vm('a', { ...allowed('stop'), status: { resourceUsage: {} } }))).toBe('console');
  expect(verb(vm('a', { ...allowed('force_stop'), status: { operation: { verb: 'stop' } } }))).toBe('force_stop');
  expect(verb(vm('a'))).toBeUndefined();
});

test('arranging what was arranged before comes to the same', () => {
  const arranger = new Arranger();
  const first = [vm('c'), vm('a'), vm('b')];
  expect(names(arranger.arrange(first, DEFAULT_STATE, none))).toEqual(['a', 'b', 'c']);
  const second = [vm('c'), vm('b2'), vm('a')];
  expect(names(arranger.arrange(second, DEFAULT_STATE, none))).toEqual(['a', 'b2', 'c']);
  expect(names(arranger.arrange(second, { ...DEFAULT_STATE, descending: true }, none))).toEqual(['c', 'b2', 'a']);
});
