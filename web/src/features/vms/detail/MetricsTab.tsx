// What a VM does now and did: one cursor over all charts, gaps where nothing was measured.

import { useQuery } from '@connectrpc/connect-query';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { lazy, Suspense, useMemo, useState, type ReactElement } from 'react';
import { useParams, useSearchParams } from 'react-router';
import { toProblem } from '@/api/errors';
import { useVm, useVmMetrics } from '@/api/hooks';
import { useIsDark } from '@/app/theme';
import { runs } from '@/console/runs';
import type { MetricHistory } from '@/gen/Quantixkvm/compute/v1/metric_service_pb';
import { MetricService } from '@/gen/Quantixkvm/compute/v1/metric_service_pb';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import type { Series } from '@/ui/Chart';
import { bytes, duration, exact, mib, percent, rate } from '@/ui/format';
import { ProblemNote } from '@/ui/ProblemNote';
import { RelativeTime } from '@/ui/time';
import { columnsOfHistory, columnsOfPoints, isEmpty, joined, type Columns, type Measure } from './metric_columns';

const Chart = lazy(() => import('@/ui/Chart'));

const RANGES = [
  ['live', 'Live', 600],
  ['1h', '1 h', 3600],
  ['6h', '6 h', 21_600],
  ['24h', '24 h', 86_400],
  ['7d', '7 d', 604_800],
] as const;
type RangeId = (typeof RANGES)[number][0];
const HEIGHT = 168;
const moment = (): number => Date.now();

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
              max={panel.title === 'CPU' ? 100 : panel.title === 'Memory' && given > 0 ? given : undefined}
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

function useHistory(vmId: string, seconds: number, asked: number): { history: MetricHistory | undefined; error: Error | null } {
  const { data, error } = useQuery(
    MetricService.method.getVMMetricHistory,
    { vmId, start: timestampFromMs(asked - seconds * 1000), end: timestampFromMs(asked) },
    { staleTime: Infinity },
  );
  return { history: data, error };
}

function Live({ vm, asked }: { vm: VirtualMachine; asked: number }): ReactElement {
  const points = useVmMetrics(vm.id);
  const { history } = useHistory(vm.id, 600, asked);
  const past = useMemo(() => (history === undefined ? columnsOfPoints([]) : columnsOfHistory(history)), [history]);
  const columns = useMemo(() => joined(past, columnsOfPoints(points)), [past, points]);
  return (
    <>
      {runs(vm) ? null : <p className="q-dim">It is off: nothing is measured. What it did lately is drawn, and longer ranges hold more.</p>}
      <Charts vm={vm} columns={columns} span={600} />
    </>
  );
}

function Past({ vm, seconds, asked, onAgain }: { vm: VirtualMachine; seconds: number; asked: number; onAgain: () => void }): ReactElement | null {
  const { history, error } = useHistory(vm.id, seconds, asked);
  const columns = useMemo(() => (history === undefined ? null : columnsOfHistory(history)), [history]);
  if (error !== null) {
    const problem = toProblem(error);
    return <ProblemNote message={problem.message} requestId={problem.requestId}><button type="button" className="q-link" onClick={onAgain}>Ask again</button></ProblemNote>;
  }
  if (history === undefined || columns === null) return null;
  return (
    <>
      <p className="q-small q-vm-asof">
        Averages of {duration(history.stepSec * 1000)}, as of <RelativeTime at={asked} />. <button type="button" className="q-link" onClick={onAgain}>Look again</button>
      </p>
      {isEmpty(columns) ? <p className="q-dim">Nothing was measured in this time: it was off, or this server was.</p> : <Charts vm={vm} columns={columns} span={seconds} />}
    </>
  );
}

export default function MetricsTab(): ReactElement | null {
  const { id = '' } = useParams();
  const vm = useVm(id);
  const [search, setSearch] = useSearchParams();
  const [asked, setAsked] = useState(moment);
  if (vm === undefined) return null;
  const [range, , seconds] = RANGES.find(([one]) => one === search.get('range')) ?? RANGES[0];
  const choose = (next: RangeId): void => {
    setAsked(moment());
    setSearch(next === 'live' ? {} : { range: next }, { replace: true });
  };
  return (
    <section aria-label="Metrics">
      <div className="q-choice" role="group" aria-label="Range">
        {RANGES.map(([one, word]) => (
          <button key={one} type="button" aria-pressed={one === range} onClick={() => choose(one)}>{word}</button>
        ))}
      </div>
      {range === 'live' ? <Live key={vm.id} vm={vm} asked={asked} /> : <Past key={range} vm={vm} seconds={seconds} asked={asked} onAgain={() => setAsked(moment())} />}
    </section>
  );
}
