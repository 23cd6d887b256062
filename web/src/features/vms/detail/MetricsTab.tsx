// What a VM does now and did: one cursor over all charts, gaps where nothing was measured.

import { useQuery } from '@connectrpc/connect-query';
import { lazy, Suspense, useMemo, type ReactElement } from 'react';
import { useParams } from 'react-router';
import { toProblem } from '@/api/errors';
import { useVm, useVmMetrics } from '@/api/hooks';
import { columnsOfHistory, columnsOfPoints, isEmpty, joined, type Columns } from '@/api/metric_columns';
import type { Measure } from '@/api/points';
import { useIsDark } from '@/app/theme';
import { runs } from '@/console/runs';
import { between, useRange, type ChosenRange } from '@/features/metrics/range';
import { AsOf, RangeChoice } from '@/features/metrics/RangeChoice';
import type { MetricHistory } from '@/gen/Quantixkvm/compute/v1/metric_service_pb';
import { MetricService } from '@/gen/Quantixkvm/compute/v1/metric_service_pb';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import type { Series } from '@/ui/Chart';
import { bytes, exact, mib, percent, rate } from '@/ui/format';
import { ProblemNote } from '@/ui/ProblemNote';

const Chart = lazy(() => import('@/ui/Chart'));

const HEIGHT = 168;

interface Panel {
  readonly title: string;
  readonly series: readonly (readonly [name: string, hue: string, measure: Measure])[];
  readonly format: (value: number) => string;
}

const PANELS: readonly Panel[] = [
  { title: 'CPU', series: [['of its vCPUs', '--q-accent', 'cpu']], format: percent },
  { title: 'Memory', series: [['used', '--q-accent', 'memory']], format: bytes },
  { title: 'Disks', series: [['read', '--q-accent', 'diskRead'], ['written', '--q-moving', 'diskWrite']], format: rate },
  { title: 'Network', series: [['in', '--q-accent', 'rx'], ['out', '--q-moving', 'tx']], format: rate },
];

/** Of next to nothing, a full height would be noise. */
const quiet = (series: readonly Series[] | undefined): boolean => (series ?? []).every(({ values }) => values.every((value) => value === null || value < 900));

function Charts({ vm, columns, span }: { vm: VirtualMachine; columns: Columns; span: number }): ReactElement {
  const theme = useIsDark() ? 'dark' : 'light';
  const given = Number(vm.status?.resourceUsage?.memoryAllocatedBytes ?? 0n) || Number(vm.spec?.memory?.sizeMib ?? 0n) * 1024 ** 2;
  const series = useMemo(
    () => PANELS.map((panel) => panel.series.map(([name, hue, measure]): Series => ({ name, hue, values: columns[measure] }))),
    [columns],
  );
  return (
    <div className="q-vm-charts">
      {PANELS.map((panel, index) => (
        <section key={panel.title} className="q-card" aria-label={`${panel.title} of ${vm.name}`}>
          <h2>
            {panel.title} {panel.title === 'Memory' ? <span className="q-dim">of {mib(given / 1024 ** 2)}</span> : null}
          </h2>
          <Suspense fallback={<div style={{ height: HEIGHT }} />}>
            <Chart
              label={`${panel.title} of ${vm.name}`}
              times={columns.times}
              series={series[index] ?? []}
              format={panel.format}
              max={panel.title === 'CPU' ? 100 : panel.title === 'Memory' && given > 0 ? given : quiet(series[index]) ? 1024 : undefined}
              binary={panel.title !== 'CPU'}
              height={HEIGHT}
              span={span}
              theme={theme}
              together={`vm-${vm.id}`}
              when={(seconds) => exact(seconds * 1000)}
            />
          </Suspense>
        </section>
      ))}
    </div>
  );
}

function useHistory(vmId: string, range: ChosenRange): { history: MetricHistory | undefined; error: Error | null } {
  const { data, error } = useQuery(MetricService.method.getVMMetricHistory, { vmId, ...between(range) }, { staleTime: Infinity });
  return { history: data, error };
}

function Live({ vm, range }: { vm: VirtualMachine; range: ChosenRange }): ReactElement {
  const points = useVmMetrics(vm.id);
  const { history } = useHistory(vm.id, range);
  const past = useMemo(() => (history === undefined ? columnsOfPoints([]) : columnsOfHistory(history)), [history]);
  const columns = useMemo(() => joined(past, columnsOfPoints(points)), [past, points]);
  return (
    <>
      {runs(vm) ? null : <p className="q-dim">It is off: nothing is measured. What it did lately is drawn, and longer ranges hold more.</p>}
      {runs(vm) && isEmpty(columns) ? <p className="q-dim">Nothing was measured yet.</p> : null}
      <Charts vm={vm} columns={columns} span={range.seconds} />
    </>
  );
}

function Past({ vm, range }: { vm: VirtualMachine; range: ChosenRange }): ReactElement | null {
  const { history, error } = useHistory(vm.id, range);
  const columns = useMemo(() => (history === undefined ? null : columnsOfHistory(history)), [history]);
  if (error !== null) {
    const problem = toProblem(error);
    return <ProblemNote message={problem.message} requestId={problem.requestId}><button type="button" className="q-link" onClick={range.again}>Ask again</button></ProblemNote>;
  }
  if (history === undefined || columns === null) return null;
  return (
    <>
      <AsOf stepSec={history.stepSec} range={range} />
      {isEmpty(columns) ? <p className="q-dim">Nothing was measured in this time: it was off, or this server was.</p> : <Charts vm={vm} columns={columns} span={range.seconds} />}
    </>
  );
}

export default function MetricsTab(): ReactElement | null {
  const { id = '' } = useParams();
  const vm = useVm(id);
  const range = useRange();
  if (vm === undefined) return null;
  return (
    <section aria-label="Metrics">
      <RangeChoice range={range} />
      {range.id === 'live' ? <Live key={vm.id} vm={vm} range={range} /> : <Past key={range.id} vm={vm} range={range} />}
    </section>
  );
}
