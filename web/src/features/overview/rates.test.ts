import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { NodeMetricsSchema } from '@/gen/Quantixkvm/compute/v1/node_service_pb';
import { columnsOf, perSecond, withPast } from './rates';

const point = (at: number, rx: bigint) => ({ at, metrics: create(NodeMetricsSchema, { networkRxBytes: rx, cpuUsagePercent: 5 }) });

test('a counter that began anew says nothing', () => {
  expect(perSecond(100n, 50n, 2000)).toBe(25);
  expect(perSecond(10n, 50n, 2000)).toBeNull();
  expect(perSecond(10n, undefined, 2000)).toBeNull();
  expect(columnsOf([point(0, 0n), point(2000, 4000n)]).rx).toEqual([null, 2000]);
});

test('the past goes before what was heard, and not beside it', () => {
  const live = columnsOf([point(25_000, 0n)]);
  const past = { start: 0, step: 10, count: 4, column: (name: string) => (name === 'cpu_percent' ? [1, Number.NaN, 3, 4] : undefined) };
  const all = withPast(live, past);
  expect(all.times).toEqual([0, 10, 20, 25]);
  expect(all.cpu).toEqual([1, null, 3, 5]);
  expect(all.memory).toEqual([null, null, null, 0]);
  expect(withPast(live, null)).toBe(live);
});
