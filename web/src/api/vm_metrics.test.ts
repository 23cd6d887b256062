import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ResourceUsageSchema } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { pointOf } from './vm_metrics';

const usage = (read: bigint) => create(ResourceUsageSchema, { cpuUsagePercent: 12.5, memoryUsedBytes: 1024n, diskReadBytes: read });

test('counters become rates by the time between', () => {
  const point = pointOf(4000, usage(3000n), { at: 2000, usage: usage(1000n) });
  expect(point).toMatchObject({ at: 4000, cpu: 12.5, memory: 1024, diskRead: 1000, rx: 0 });
});

test('the first measurement and a counter that began anew give no rate', () => {
  expect(pointOf(4000, usage(3000n), null).diskRead).toBeNull();
  expect(pointOf(4000, usage(3n), { at: 2000, usage: usage(1000n) }).diskRead).toBeNull();
});

test('a VM that is off leaves a gap', () => {
  expect(pointOf(4000, undefined, null)).toEqual({ at: 4000, cpu: null, memory: null, diskRead: null, diskWrite: null, rx: null, tx: null });
});
