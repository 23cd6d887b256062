import { create } from '@bufbuild/protobuf';
import { expect, test, vi } from 'vitest';
import { NodeMetricsSchema } from '@/gen/Quantixkvm/compute/v1/node_service_pb';
import { pointOfNode } from './node_metrics';
import { NOTHING, perSecond, PointStore, type Point } from './points';

const point = (at: number): Point => ({ ...NOTHING, at, cpu: 1 });

test('a counter that began anew says nothing', () => {
  expect(perSecond(100n, 50n, 2000)).toBe(25);
  expect(perSecond(10n, 50n, 2000)).toBeNull();
  expect(perSecond(10n, undefined, 2000)).toBeNull();
});

test('of a node, rates are by the time between; its disks are not heard', () => {
  const metrics = (rx: bigint) => create(NodeMetricsSchema, { networkRxBytes: rx, cpuUsagePercent: 5, memoryTotalBytes: 8n });
  expect(pointOfNode(2000, metrics(4000n), { at: 0, metrics: metrics(0n) })).toMatchObject({ cpu: 5, rx: 2000, diskRead: null, memoryTotal: 8 });
  expect(pointOfNode(2000, metrics(4000n), null).rx).toBeNull();
});

test('one watch a thing, which ends a while after the last who looked', () => {
  vi.useFakeTimers();
  const takes: ((point: Point) => void)[] = [];
  const end = vi.fn();
  const store = new PointStore<Point>((_id, take) => {
    takes.push(take);
    return end;
  }, (tell) => tell());
  const heard = vi.fn();
  const first = store.subscribe('a', heard);
  const second = store.subscribe('a', () => undefined);
  expect(takes).toHaveLength(1);
  takes[0]?.(point(1000));
  // Said again when the connection was found again.
  takes[0]?.(point(1000));
  expect(store.points('a').map(({ at }) => at)).toEqual([1000]);
  expect(heard).toHaveBeenCalledTimes(1);
  for (let at = 2; at < 500; at += 1) takes[0]?.(point(at * 1000));
  expect(store.points('a')).toHaveLength(300);
  first();
  second();
  const third = store.subscribe('a', heard);
  vi.advanceTimersByTime(2000);
  expect(end).not.toHaveBeenCalled();
  third();
  vi.advanceTimersByTime(2000);
  expect(end).toHaveBeenCalledTimes(1);
  expect(store.points('a')).toEqual([]);
  vi.useRealTimers();
});
