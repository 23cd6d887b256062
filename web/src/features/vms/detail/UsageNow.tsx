// What a VM uses now, with its last minutes.

import type { ReactElement, ReactNode } from 'react';
import { useVmMetrics } from '@/api/hooks';
import type { Point } from '@/api/points';
import { runs } from '@/console/runs';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { bytes, mib, percent, rate } from '@/ui/format';
import { Sparkline } from '@/ui/Sparkline';

interface RowProps {
  readonly name: string;
  readonly value: ReactNode;
  readonly values: readonly number[];
  readonly max: number;
}

function Row({ name, value, values, max }: RowProps): ReactElement {
  return (
    <div className="q-use">
      <dt>{name}</dt>
      <dd className="q-use-spark"><Sparkline values={values} max={max} label={`${name}, the last minutes`} /></dd>
      <dd className="q-num q-use-value">{value}</dd>
    </div>
  );
}

const sum = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a + b);
const measured = (points: readonly Point[], pick: (point: Point) => number | null): number[] =>
  points.map(pick).filter((value) => value !== null);
const highest = (values: readonly number[], least: number): number => values.reduce((most, value) => Math.max(most, value), least);

export function UsageNow({ vm }: { vm: VirtualMachine }): ReactElement {
  const points = useVmMetrics(vm.id).slice(-60);
  const on = runs(vm);
  const now = on ? points.at(-1) : undefined;
  const given = Number(vm.status?.resourceUsage?.memoryAllocatedBytes ?? 0n) || Number(vm.spec?.memory?.sizeMib ?? 0n) * 1024 ** 2;
  const disk = measured(points, (point) => sum(point.diskRead, point.diskWrite));
  const net = measured(points, (point) => sum(point.rx, point.tx));
  const two = (a: number | null | undefined, b: number | null | undefined, first: string, second: string): ReactNode =>
    a === null || b === null || a === undefined || b === undefined ? '—' : <><span title={first}>{rate(a)}</span> <span className="q-dim">/</span> <span title={second}>{rate(b)}</span></>;
  return (
    <section className="q-card" aria-label={`Use of ${vm.name} now`}>
      <dl className="q-uses">
        <Row name="CPU" values={measured(points, (point) => point.cpu)} max={100} value={now?.cpu === null || now === undefined ? '—' : percent(now.cpu)} />
        <Row
          name="Memory"
          values={measured(points, (point) => point.memory)}
          max={given}
          value={now?.memory === null || now === undefined ? <span className="q-dim">{mib(vm.spec?.memory?.sizeMib ?? 0n)}</span> : <>{bytes(now.memory)} <span className="q-dim">of {bytes(given)}</span></>}
        />
        <Row name="Disk r/w" values={disk} max={highest(disk, 64 * 1024)} value={two(now?.diskRead, now?.diskWrite, 'read', 'written')} />
        <Row name="Net in/out" values={net} max={highest(net, 8 * 1024)} value={two(now?.rx, now?.tx, 'towards the guest', 'from the guest')} />
      </dl>
      {on ? null : <p className="q-small">Measured while it runs.</p>}
    </section>
  );
}
