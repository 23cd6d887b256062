import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import type { Problem } from '@/api/errors';
import { PreflightCheck_Outcome as Outcome, PreflightCheckSchema } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { anchorOf, gather, isAdvanced, labelOf, place, sentence } from './notes';

const problem = (fieldViolations: Problem['fieldViolations']): Problem => ({ code: 'invalid_argument', message: 'several things', reason: '', requestId: 'r1', fieldViolations });
const none = { unread: [], missing: [], problem: null, checks: [] };

describe('paths of the wire', () => {
  test('have a field of the page, or a row', () => {
    expect(place('spec.disks[0].backing_file')).toBe('spec.disks[0].path');
    expect(place('spec.disks[12].backing_format')).toBe('spec.disks[12].format');
    expect(place('spec.disks[1].io_limits.read_iops')).toBe('spec.disks[1]');
    expect(place('spec.nics[0].bridge')).toBe('spec.nics[0].network_id');
    expect(place('spec.cdroms[0].iso_path')).toBe('spec.cdroms');
    expect(place('spec.memory.size_mib')).toBe('spec.memory');
    expect(place('spec.boot.direct_boot.kernel_path')).toBe('spec.boot.direct_boot.kernel_path');
    expect(place('spec.boot.boot_order[0].type')).toBe('spec.boot');
    expect(place('labels["env"]')).toBe('labels');
  });

  test('or none, and then they are told whole', () => {
    expect(place('spec')).toBeNull();
    expect(place('node_id')).toBeNull();
    expect(place('named')).toBeNull();
    const notes = gather({ ...none, problem: problem([{ field: 'node_id', message: 'is another host' }]) });
    expect(notes.obstacles).toEqual([{ field: null, message: 'node_id: Is another host.', missing: false }]);
  });

  test('are named for people', () => {
    expect(labelOf('spec.disks[1].size_gib')).toBe('Disk 2: size');
    expect(labelOf('spec.nics[0]')).toBe('Network card 1');
    expect(labelOf('name')).toBe('Name');
    expect(isAdvanced('spec.boot.direct_boot.cmdline')).toBe(true);
    expect(isAdvanced('spec.cpu.cores')).toBe(false);
    expect(anchorOf('spec.disks[1].size_gib')).toBe('f-spec-disks-1-size-gib');
  });
});

describe('what is said', () => {
  test('stands beside its field, once', () => {
    const notes = gather({ ...none, problem: problem([
      { field: 'name', message: 'the project has a VM named "a" already' },
      { field: 'spec.disks[0].path', message: 'does not exist' },
      { field: 'spec.disks[0].path', message: 'does not exist' },
    ]) });
    expect(notes.of('name').violations).toEqual(['The project has a VM named "a" already.']);
    expect(notes.of('spec.disks[0].path').violations).toEqual(['Does not exist.']);
    expect(notes.of('spec.disks[1].path').violations).toEqual([]);
  });

  test('what the page could not read is not told again by the server, who never saw it', () => {
    const notes = gather({
      ...none,
      unread: [{ field: 'spec.cpu.cores', message: 'must be a whole number' }],
      missing: [{ field: 'spec.disks[0].path', message: 'choose an image' }],
      problem: problem([
        { field: 'spec.cpu.cores', message: 'must be 1-256' },
        { field: 'spec.disks[0]', message: 'is a mixture' },
        { field: 'name', message: 'is required' },
      ]),
    });
    expect(notes.obstacles.map((one) => [one.field, one.missing])).toEqual([
      ['spec.disks[0].path', true],
      ['spec.cpu.cores', false],
      ['name', false],
    ]);
    expect(notes.of('spec.disks[0].path').violations).toEqual([]);
  });

  test('a failure without fields is told as it is', () => {
    expect(gather({ ...none, problem: problem([]) }).obstacles).toEqual([{ field: null, message: 'Several things.', missing: false }]);
  });

  test('warnings have their remedy, what passed is told once', () => {
    const check = (outcome: Outcome, field: string, message: string, remedy = ''): ReturnType<typeof create<typeof PreflightCheckSchema>> =>
      create(PreflightCheckSchema, { outcome, field, message, remedy });
    const notes = gather({ ...none, checks: [
      check(Outcome.WARNING, 'spec.disks[0].size_gib', 'its end would be cut off', 'ask for 3 GiB or more'),
      check(Outcome.PASSED, 'spec.disks[0].storage_pool_id', 'pool "p" has room'),
      check(Outcome.PASSED, 'spec.disks[1].storage_pool_id', 'pool "p" has room'),
    ] });
    expect(notes.of('spec.disks[0].size_gib').warnings).toMatchObject([{ message: 'Its end would be cut off.', remedy: 'Ask for 3 GiB or more.' }]);
    expect(notes.passed).toEqual(['Pool "p" has room.']);
    expect(notes.obstacles).toEqual([]);
  });

  test('paths and quotes keep how they begin', () => {
    expect(sentence('/a/b can be read')).toBe('/a/b can be read.');
    expect(sentence('"a" is taken!')).toBe('"a" is taken!');
  });
});
