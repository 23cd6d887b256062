import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { VMUsageUpdateSchema, type VMUsageUpdate } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { Live } from './live';
import { POINTS, Ring } from './rings';
import { UsageStore } from './usage';

const closed = new Live({ open: () => expect.unreachable('nothing is watched') });
const atOnce = (tell: () => void): void => tell();

function update(at: number, vms: Record<string, { cpu: number; read?: bigint }>): VMUsageUpdate {
  return create(VMUsageUpdateSchema, {
    measuredAt: timestampFromMs(at),
    vms: Object.entries(vms).map(([vmId, { cpu, read = 0n }]) => ({
      vmId,
      usage: { cpuUsagePercent: cpu, memoryUsedBytes: 1n, memoryAllocatedBytes: 4n, diskReadBytes: read },
    })),
  });
}

test('a ring keeps the last of what was pushed, oldest first', () => {
  const ring = new Ring(3);
  expect(ring.toArray()).toEqual([]);
  [1, 2, 3, 4].forEach((value) => ring.push(value));
  expect(ring.toArray()).toEqual([2, 3, 4]);
});

test('usage keeps the last points of what runs and forgets what does not', () => {
  const store = new UsageStore(closed, atOnce);
  for (let index = 0; index < POINTS + 5; index += 1) store.apply(update(index * 2000, { a: { cpu: index }, b: { cpu: 1 } }));
  const a = store.get('a');
  expect(a?.cpu).toHaveLength(POINTS);
  expect(a?.cpu[0]).toBe(5);
  expect(a?.memory[0]).toBe(25);
  expect(store.get('a')).toBe(a);
  store.apply(update(200_000, { b: { cpu: 9 } }));
  expect(store.get('a')).toBeUndefined();
  expect(store.busiest(5)).toEqual(['b']);
});

test('the disks of all VMs are added up; a counter that began anew counts nothing', () => {
  const store = new UsageStore(closed, atOnce);
  store.apply(update(0, { a: { cpu: 0, read: 1000n }, b: { cpu: 0, read: 5000n } }));
  store.apply(update(2000, { a: { cpu: 0, read: 3000n }, b: { cpu: 0, read: 0n } }));
  expect(store.diskTotals().map((one) => one.read)).toEqual([null, 1000]);
});
