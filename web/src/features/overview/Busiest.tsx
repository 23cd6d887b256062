// The VMs that use most of the CPU now.

import type { ReactElement } from 'react';
import { Link } from 'react-router';
import { useBusiest, useVm } from '@/api/hooks';
import { paths } from '@/app/paths';
import { CpuCell, MemoryCell } from '@/features/vms/list/cells';

const SHOWN = 5;

function Row({ id }: { id: string }): ReactElement | null {
  const vm = useVm(id);
  if (vm === undefined) return null;
  return (
    <li className="q-line">
      <Link to={paths.vm(id)} className="q-name">{vm.name}</Link>
      <span className="q-grow" />
      <CpuCell id={id} />
      <span className="q-busy-memory"><MemoryCell id={id} sizeMib={vm.spec?.memory?.sizeMib ?? 0n} /></span>
    </li>
  );
}

export function Busiest(): ReactElement {
  const ids = useBusiest(SHOWN);
  return (
    <section className="q-panel" aria-label="Busiest VMs">
      <header className="q-panel-head">
        <h2>Busiest VMs</h2>
        <Link to={paths.vms('?sort=-cpu')}>All by CPU</Link>
      </header>
      {ids.length === 0 ? <p className="q-dim">No VM is being measured.</p> : <ul className="q-lines">{ids.map((id) => <Row key={id} id={id} />)}</ul>}
    </section>
  );
}
