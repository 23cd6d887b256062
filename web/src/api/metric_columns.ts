// What charts draw, of VMs and nodes alike: the points heard live and the past, in columns; where
// nothing was measured, a gap.

import type { MetricHistory } from '@/gen/Quantixkvm/compute/v1/metric_service_pb';
import { toMillis } from './moment';
import { NOTHING, type Measure, type Point } from './points';

type Values = readonly (number | null)[];

export interface Columns extends Readonly<Record<Measure, Values>> {
  /** Seconds since 1970, rising. */
  readonly times: readonly number[];
}

const NAMES: Record<Measure, string> = {
  cpu: 'cpu_percent',
  memory: 'memory_used_bytes',
  diskRead: 'disk_read_bytes_sec',
  diskWrite: 'disk_write_bytes_sec',
  rx: 'network_rx_bytes_sec',
  tx: 'network_tx_bytes_sec',
};
const MEASURES = Object.keys(NAMES) as Measure[];
/** Live points are two seconds apart; further ones were not heard. */
const HEARD_WITHIN_MS = 7000;

function columns(times: readonly number[], values: (measure: Measure) => Values): Columns {
  const [cpu, memory, diskRead, diskWrite, rx, tx] = MEASURES.map(values) as [Values, Values, Values, Values, Values, Values];
  return { times, cpu, memory, diskRead, diskWrite, rx, tx };
}

export function columnsOfPoints(points: readonly Point[]): Columns {
  const whole = points.flatMap((point, index): Point[] => {
    const before = points[index - 1];
    const gap = before !== undefined && point.at - before.at > HEARD_WITHIN_MS;
    return gap ? [{ at: before.at + 1000, ...NOTHING }, point] : [point];
  });
  return columns(whole.map((point) => point.at / 1000), (measure) => whole.map((point) => point[measure]));
}

export function columnsOfHistory(history: MetricHistory): Columns {
  const start = (toMillis(history.start) ?? 0) / 1000;
  const named = new Map(history.columns.map((column) => [column.name, column.values]));
  const indexes = Array.from({ length: history.count }, (_, index) => index);
  return columns(indexes.map((index) => start + index * history.stepSec), (measure) => {
    const values = named.get(NAMES[measure]);
    return indexes.map((index) => {
      const value = values?.[index];
      return value === undefined || Number.isNaN(value) ? null : value;
    });
  });
}

/** The past up to where the live points begin, then those. */
export function joined(past: Columns, live: Columns): Columns {
  const from = live.times[0];
  if (from === undefined) return past;
  const found = past.times.findIndex((time) => time >= from);
  const kept = found < 0 ? past.times.length : found;
  return columns([...past.times.slice(0, kept), ...live.times], (measure) => [...past[measure].slice(0, kept), ...live[measure]]);
}

/** What was measured, on average. Null: nothing was. */
export function average(values: Values): number | null {
  const measured = values.filter((value) => value !== null);
  return measured.length === 0 ? null : measured.reduce((sum, value) => sum + value, 0) / measured.length;
}

/** Whether anything was measured at all. */
export function isEmpty(all: Columns): boolean {
  return MEASURES.every((measure) => all[measure].every((value) => value === null));
}
