import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { asCurl } from '@/api/curl';
import { VirtualMachineSchema } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { DeleteVMResponseSchema, type DeleteVMResponse } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { askDelete, confirmed, mayDelete, nowAsking, putAway, toType } from '../actions/ask';
import { verbOf } from '@/api/verbs';
import { inTurns } from './in_turns';
import { deleteCall, destroysData, freesWord, inShort, sizeWord } from './plan';

const plan = (gone: readonly string[], kept: readonly string[] = [], reclaimedBytes = 0n): DeleteVMResponse =>
  create(DeleteVMResponseSchema, { gone: gone.map((kind) => ({ kind, name: kind })), kept: kept.map((kind) => ({ kind, name: kind, reason: 'why' })), reclaimedBytes });
const vm = (name: string, ...verbs: string[]): ReturnType<typeof create<typeof VirtualMachineSchema>> =>
  create(VirtualMachineSchema, { id: name, name, allowedActions: ['delete', 'force_delete', 'force_stop'].map((verb) => ({ verb, allowed: verbs.includes(verb), reason: `no ${verb}` })) });

describe('a plan', () => {
  test('destroys data unless all that goes can be written again', () => {
    expect(destroysData(plan(['definition', 'nvram']))).toBe(false);
    expect(destroysData(plan(['definition', 'volume']))).toBe(true);
    expect(destroysData(plan(['definition', 'saved_memory']))).toBe(true);
    expect(destroysData(plan(['something_new']))).toBe(true);
  });

  test('is one line where there are many', () => {
    expect(inShort(plan(['definition', 'volume', 'volume'], ['file'], 2n * 1024n ** 3n))).toBe('Goes: definition, 2 volumes, frees 2 GiB; stays: file');
    expect(inShort(plan(['definition', 'tpm_state']))).toBe('Goes: definition, TPM state');
  });

  test('says where a size is not known, and makes none up', () => {
    const saved = (reclaimedBytes: bigint): DeleteVMResponse =>
      create(DeleteVMResponseSchema, { gone: [{ kind: 'definition' }, { kind: 'saved_memory', sizeUnknown: true }], reclaimedBytes });
    expect(saved(0n).gone.map(sizeWord)).toEqual(['', 'size not known']);
    expect(freesWord(saved(0n))).toBe('Frees room on the host’s disks; what saved memory takes is not known.');
    expect(freesWord(saved(1024n ** 3n))).toBe('Frees at least 1 GiB on the host’s disks; what saved memory takes is not known.');
    expect(freesWord(plan(['volume'], [], 1024n ** 3n))).toBe('Frees 1 GiB on the host’s disks.');
    expect(freesWord(plan(['definition']))).toBe('No room on the host’s disks becomes free.');
  });

  test('is the call that is made', () => {
    expect(asCurl(deleteCall('a', { force: true, deleteVolumes: false }), 'http://h')).toContain(`-d '{"id":"a","force":true}'`);
  });
});

describe('what is asked first', () => {
  test('deleting with force only where nothing less is allowed', () => {
    expect(mayDelete(vm('a', 'delete', 'force_delete'))).toEqual({ allowed: true, reason: '', force: false });
    expect(mayDelete(vm('a', 'force_delete'))).toEqual({ allowed: true, reason: '', force: true });
    expect(mayDelete(vm('a'))).toEqual({ allowed: false, reason: 'no delete', force: false });
    expect(toType([vm('a')])).toBe('a');
    expect(toType([vm('a'), vm('b')])).toBe('2 VMs');
  });

  test('a harsh verb waits for its answer; another question takes its place', async () => {
    const [start, off] = [verbOf('start'), verbOf('force_stop')];
    if (start === undefined || off === undefined) throw new Error('the verbs are gone');
    await expect(confirmed(start, [vm('a')])).resolves.toBe(true);
    const first = confirmed(off, [vm('a', 'force_stop'), vm('b')]);
    const asking = nowAsking();
    expect(asking?.kind === 'verb' && asking.vms.map((one) => one.name)).toEqual(['a']);
    askDelete([vm('a')]);
    await expect(first).resolves.toBe(false);
    putAway();
    const second = confirmed(off, [vm('a', 'force_stop')]);
    const again = nowAsking();
    if (again?.kind === 'verb') again.answer(true);
    putAway();
    await expect(second).resolves.toBe(true);
    expect(nowAsking()).toBeNull();
  });
});

test('things are worked on a few at a time, and no more once it was given up', async () => {
  const releases: (() => void)[] = [];
  const begun: number[] = [];
  const controller = new AbortController();
  const all = inTurns([1, 2, 3, 4], 2, controller.signal, (thing) => {
    begun.push(thing);
    return new Promise((resolve) => releases.push(resolve));
  });
  expect(begun).toEqual([1, 2]);
  releases[0]?.();
  await Promise.resolve();
  await Promise.resolve();
  expect(begun).toEqual([1, 2, 3]);
  controller.abort();
  releases.forEach((release) => release());
  await all;
  expect(begun).toEqual([1, 2, 3]);
});
