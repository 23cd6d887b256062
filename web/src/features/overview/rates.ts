// Counters to rates, and the columns of the charts.

import type { NodePoint } from '@/api/node_metrics';

export interface Columns {
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly cpu: readonly (number | null)[];
  readonly memory: readonly (number | null)[];
  readonly rx: readonly (number | null)[];
  readonly tx: readonly (number | null)[];
}

/** What a counter grew by a second. Null: nothing to compare with, or it began anew. */
export function perSecond(now: bigint, before: bigint | undefined, millis: number): number | null {
  if (before === undefined || now < before || millis <= 0) return null;
  return (Number(now - before) * 1000) / millis;
}

export function columnsOf(points: readonly NodePoint[]): Columns {
  const rate = (index: number, pick: (point: NodePoint) => bigint): number | null => {
    const point = points[index];
    const before = points[index - 1];
    if (point === undefined || before === undefined) return null;
    return perSecond(pick(point), pick(before), point.at - before.at);
  };
  return {
    times: points.map((point) => point.at / 1000),
    cpu: points.map((point) => point.metrics.cpuUsagePercent),
    memory: points.map((point) => Number(point.metrics.memoryUsedBytes)),
    rx: points.map((_point, index) => rate(index, (one) => one.metrics.networkRxBytes)),
    tx: points.map((_point, index) => rate(index, (one) => one.metrics.networkTxBytes)),
  };
}

/** The past before what was heard live, so that a chart does not begin empty. */
export interface Past {
  readonly start: number;
  readonly step: number;
  readonly column: (name: string) => readonly number[] | undefined;
  readonly count: number;
}

const CHARTED = { cpu: 'cpu_percent', memory: 'memory_used_bytes', rx: 'network_rx_bytes_sec', tx: 'network_tx_bytes_sec' } as const;

export function withPast(live: Columns, past: Past | null): Columns {
  if (past === null) return live;
  const until = live.times[0] ?? Number.POSITIVE_INFINITY;
  const kept = Array.from({ length: past.count }, (_, index) => index).filter((index) => past.start + index * past.step < until);
  const column = (name: keyof typeof CHARTED): (number | null)[] => {
    const values = past.column(CHARTED[name]);
    return kept.map((index) => {
      const value = values?.[index];
      return value === undefined || Number.isNaN(value) ? null : value;
    });
  };
  return {
    times: [...kept.map((index) => past.start + index * past.step), ...live.times],
    cpu: [...column('cpu'), ...live.cpu],
    memory: [...column('memory'), ...live.memory],
    rx: [...column('rx'), ...live.rx],
    tx: [...column('tx'), ...live.tx],
  };
}
