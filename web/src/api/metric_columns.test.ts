import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { MetricHistorySchema } from '@/gen/Quantixkvm/compute/v1/metric_service_pb';
import { average, columnsOfHistory, columnsOfPoints, isEmpty, joined } from './metric_columns';

const point = (at: number, cpu: number | null) => ({ at, cpu, memory: 1, diskRead: null, diskWrite: null, rx: null, tx: null });
const history = create(MetricHistorySchema, {
  start: timestampFromMs(100_000),
  stepSec: 10,
  count: 3,
  columns: [{ name: 'cpu_percent', values: [1, NaN, 3] }, { name: 'of_later', values: [9, 9, 9] }],
});

test('the past: NaN is a gap, a column that is not there is nothing but gaps', () => {
  const columns = columnsOfHistory(history);
  expect(columns.times).toEqual([100, 110, 120]);
  expect(columns.cpu).toEqual([1, null, 3]);
  expect(columns.memory).toEqual([null, null, null]);
});

test('the past ends where what was heard live begins', () => {
  const both = joined(columnsOfHistory(history), columnsOfPoints([point(115_000, 7), point(117_000, 8)]));
  expect(both.times).toEqual([100, 110, 115, 117]);
  expect(both.cpu).toEqual([1, null, 7, 8]);
  expect(joined(columnsOfHistory(history), columnsOfPoints([])).times).toHaveLength(3);
});

test('a time in which nothing was heard is a gap, not a line', () => {
  const columns = columnsOfPoints([point(10_000, 1), point(12_000, 2), point(40_000, 3)]);
  expect(columns.times).toEqual([10, 12, 13, 40]);
  expect(columns.cpu).toEqual([1, 2, null, 3]);
});

test('empty is where nothing was measured', () => {
  expect(isEmpty(columnsOfPoints([{ ...point(1000, null), memory: null }]))).toBe(true);
  expect(isEmpty(columnsOfHistory(history))).toBe(false);
});

test('an average is of what was measured', () => {
  expect(average([1, null, 3])).toBe(2);
  expect(average([null])).toBeNull();
});
