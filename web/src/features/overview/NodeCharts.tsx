// What this host does now and did in the last ten minutes.

import { useQuery } from '@connectrpc/connect-query';
import { lazy, Suspense, useMemo, type ReactElement, type ReactNode } from 'react';
import { useDiskTotals, useNodeMetrics } from '@/api/hooks';
import { useIsDark } from '@/app/theme';
import { MetricService } from '@/gen/Quantixkvm/compute/v1/metric_service_pb';
import { bytes, percent, rate, toMillis } from '@/ui/format';
import { useNarrow } from '@/ui/time';
import { columnsOf, withPast, type Past } from './rates';

const Chart = lazy(() => import('@/ui/Chart'));
const SPAN_SEC = 600;
const HEIGHT = 132;
const NARROW_HEIGHT = 92;

interface PanelProps {
  readonly title: string;
  readonly now: ReactNode;
  readonly empty: boolean;
  readonly children: ReactNode;
}

function Panel({ title, now, empty, children }: PanelProps): ReactElement {
  return (
    <section className="q-panel" aria-label={title}>
      <header className="q-panel-head">
        <h2>{title}</h2>
        <span className="q-figure-large">{now}</span>
      </header>
      {empty ? <p className="q-dim">Not measured yet.</p> : <Suspense fallback={<div style={{ height: HEIGHT }} />}>{children}</Suspense>}
    </section>
  );
}

function usePast(nodeId: string): Past | null {
  const { data } = useQuery(MetricService.method.getNodeMetricHistory, { nodeId }, { staleTime: Infinity, retry: false });
  return useMemo(() => {
    if (data === undefined) return null;
    const columns = new Map(data.columns.map((one) => [one.name, one.values]));
    return { start: (toMillis(data.start) ?? 0) / 1000, step: data.stepSec, count: data.count, column: (name: string) => columns.get(name) };
  }, [data]);
}

const last = (values: readonly (number | null)[]): number | null => values[values.length - 1] ?? null;
const shown = (value: number | null, format: (value: number) => string): string => (value === null ? '—' : format(value));

export function NodeCharts({ nodeId }: { nodeId: string }): ReactElement {
  const points = useNodeMetrics(nodeId);
  const past = usePast(nodeId);
  const disk = useDiskTotals();
  const narrow = useNarrow();
  const theme = useIsDark() ? 'dark' : 'light';
  const columns = useMemo(() => withPast(columnsOf(points), past), [points, past]);
  const newest = points[points.length - 1]?.metrics;
  const total = Number(newest?.memoryTotalBytes ?? 0n);
  const common = { span: SPAN_SEC, theme, height: narrow ? NARROW_HEIGHT : HEIGHT };
  const empty = columns.times.length === 0;
  const cpuSeries = useMemo(() => [{ name: 'CPU', hue: '--q-accent', values: columns.cpu }], [columns]);
  const memorySeries = useMemo(() => [{ name: 'Memory', hue: '--q-accent', values: columns.memory }], [columns]);
  const networkSeries = useMemo(
    () => [{ name: 'In', hue: '--q-accent', values: columns.rx }, { name: 'Out', hue: '--q-moving', values: columns.tx }],
    [columns],
  );
  const diskTimes = useMemo(() => disk.map((one) => one.at / 1000), [disk]);
  const diskSeries = useMemo(
    () => [
      { name: 'Read', hue: '--q-accent', values: disk.map((one) => one.read) },
      { name: 'Written', hue: '--q-moving', values: disk.map((one) => one.written) },
    ],
    [disk],
  );
  const diskNow = disk[disk.length - 1];
  return (
    <div className="q-charts">
      <Panel title="CPU" empty={empty} now={shown(last(columns.cpu), percent)}>
        <Chart label="CPU of the host, the last ten minutes" times={columns.times} series={cpuSeries} max={100} format={percent} {...common} />
      </Panel>
      <Panel title="Memory" empty={empty} now={<>{shown(last(columns.memory), bytes)} {total > 0 ? <small className="q-dim">of {bytes(total)}</small> : null}</>}>
        <Chart label="Memory of the host, the last ten minutes" times={columns.times} series={memorySeries} max={total || undefined} binary format={bytes} {...common} />
      </Panel>
      <Panel title="Disks of VMs" empty={disk.length === 0} now={diskNow === undefined ? '—' : rate((diskNow.read ?? 0) + (diskNow.written ?? 0))}>
        <Chart label="Disks of all VMs, the last minutes" times={diskTimes} series={diskSeries} binary format={rate} {...common} />
      </Panel>
      <Panel title="Network" empty={empty} now={shown(last(columns.rx) === null ? null : (last(columns.rx) ?? 0) + (last(columns.tx) ?? 0), rate)}>
        <Chart label="Network of the host, the last ten minutes" times={columns.times} series={networkSeries} binary format={rate} {...common} />
      </Panel>
    </div>
  );
}
