// What this host does now, or did in a time of the past.

import { useQuery } from '@connectrpc/connect-query';
import { lazy, Suspense, useMemo, type ReactElement, type ReactNode } from 'react';
import { toProblem } from '@/api/errors';
import { useDiskTotals, useNode, useNodeMetrics } from '@/api/hooks';
import { average, columnsOfHistory, columnsOfPoints, isEmpty, joined, type Columns } from '@/api/metric_columns';
import { useIsDark } from '@/app/theme';
import { between, useRange, type ChosenRange } from '@/features/metrics/range';
import { AsOf, RangeChoice } from '@/features/metrics/RangeChoice';
import { MetricService, type MetricHistory } from '@/gen/Quantixkvm/compute/v1/metric_service_pb';
import { bytes, exact, percent, rate } from '@/ui/format';
import { ProblemNote } from '@/ui/ProblemNote';
import { useNarrow } from '@/ui/time';

const Chart = lazy(() => import('@/ui/Chart'));
const HEIGHT = 132;
const NARROW_HEIGHT = 92;

type Values = readonly (number | null)[];

interface Disks {
  readonly title: string;
  readonly times: readonly number[];
  readonly read: Values;
  readonly written: Values;
}

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

const newest = (values: Values): number | null => values[values.length - 1] ?? null;
const both = (a: number | null, b: number | null): number | null => (a === null && b === null ? null : (a ?? 0) + (b ?? 0));

interface Props {
  readonly columns: Columns;
  readonly disks: Disks;
  readonly total: number;
  readonly range: ChosenRange;
}

function Charts({ columns, disks, total, range }: Props): ReactElement {
  const narrow = useNarrow();
  const theme = useIsDark() ? 'dark' : 'light';
  const isLive = range.id === 'live';
  // Of now, the newest says most; of a time, what it was like on the whole.
  const figure = (values: Values): number | null => (isLive ? newest(values) : average(values));
  const told = (value: number | null, format: (value: number) => string): ReactNode =>
    value === null ? '—' : <>{format(value)}{isLive ? null : <small className="q-dim"> on average</small>}</>;
  const common = { span: range.seconds, theme, height: narrow ? NARROW_HEIGHT : HEIGHT, ...(isLive ? {} : { when: (seconds: number) => exact(seconds * 1000) }) };
  const empty = columns.times.length === 0;
  const words = isLive ? 'the last ten minutes' : 'in the chosen time';
  const cpu = useMemo(() => [{ name: 'CPU', hue: '--q-accent', values: columns.cpu }], [columns]);
  const memory = useMemo(() => [{ name: 'Memory', hue: '--q-accent', values: columns.memory }], [columns]);
  const network = useMemo(() => [{ name: 'In', hue: '--q-accent', values: columns.rx }, { name: 'Out', hue: '--q-moving', values: columns.tx }], [columns]);
  const disk = useMemo(() => [{ name: 'Read', hue: '--q-accent', values: disks.read }, { name: 'Written', hue: '--q-moving', values: disks.written }], [disks]);
  return (
    <div className="q-charts">
      <Panel title="CPU" empty={empty} now={told(figure(columns.cpu), percent)}>
        <Chart label={`CPU of the host, ${words}`} times={columns.times} series={cpu} max={100} format={percent} {...common} />
      </Panel>
      <Panel title="Memory" empty={empty} now={<>{told(figure(columns.memory), bytes)} {total > 0 && isLive ? <small className="q-dim">of {bytes(total)}</small> : null}</>}>
        <Chart label={`Memory of the host, ${words}`} times={columns.times} series={memory} max={total || undefined} binary format={bytes} {...common} />
      </Panel>
      <Panel title={disks.title} empty={disks.times.length === 0} now={told(both(figure(disks.read), figure(disks.written)), rate)}>
        <Chart label={`${disks.title}, ${words}`} times={disks.times} series={disk} binary format={rate} {...common} />
      </Panel>
      <Panel title="Network" empty={empty} now={told(both(figure(columns.rx), figure(columns.tx)), rate)}>
        <Chart label={`Network of the host, ${words}`} times={columns.times} series={network} binary format={rate} {...common} />
      </Panel>
    </div>
  );
}

function useHistory(nodeId: string, range: ChosenRange): { history: MetricHistory | undefined; error: Error | null } {
  const { data, error } = useQuery(MetricService.method.getNodeMetricHistory, { nodeId, ...between(range) }, { staleTime: Infinity });
  return { history: data, error };
}

interface Looking {
  readonly nodeId: string;
  readonly total: number;
  readonly range: ChosenRange;
}

function Live({ nodeId, total, range }: Looking): ReactElement {
  const points = useNodeMetrics(nodeId);
  const { history } = useHistory(nodeId, range);
  const past = useMemo(() => (history === undefined ? columnsOfPoints([]) : columnsOfHistory(history)), [history]);
  const columns = useMemo(() => joined(past, columnsOfPoints(points)), [past, points]);
  const totals = useDiskTotals();
  const disks = useMemo(
    () => ({ title: 'Disks of VMs', times: totals.map((one) => one.at / 1000), read: totals.map((one) => one.read), written: totals.map((one) => one.written) }),
    [totals],
  );
  return <Charts columns={columns} disks={disks} total={points.at(-1)?.memoryTotal ?? total} range={range} />;
}

function Past({ nodeId, total, range }: Looking): ReactElement | null {
  const { history, error } = useHistory(nodeId, range);
  const columns = useMemo(() => (history === undefined ? null : columnsOfHistory(history)), [history]);
  const disks = useMemo(() => (columns === null ? null : { title: 'Disks', times: columns.times, read: columns.diskRead, written: columns.diskWrite }), [columns]);
  if (error !== null) {
    const problem = toProblem(error);
    return <ProblemNote message={problem.message} requestId={problem.requestId}><button type="button" className="q-link" onClick={range.again}>Ask again</button></ProblemNote>;
  }
  if (history === undefined || columns === null || disks === null) return null;
  return (
    <>
      <AsOf stepSec={history.stepSec} range={range} />
      {isEmpty(columns) ? <p className="q-dim">Nothing was measured in this time: this server was off.</p> : <Charts columns={columns} disks={disks} total={total} range={range} />}
    </>
  );
}

export function NodeCharts({ nodeId }: { nodeId: string }): ReactElement {
  const range = useRange();
  const memory = useNode(nodeId)?.status?.resources?.memory;
  const total = memory === undefined ? 0 : Number(memory.usedBytes + memory.availableBytes);
  return (
    <section className="q-node-charts" aria-label="Metrics of the host">
      <RangeChoice range={range} />
      {range.id === 'live' ? <Live nodeId={nodeId} total={total} range={range} /> : <Past key={range.id} nodeId={nodeId} total={total} range={range} />}
    </section>
  );
}
