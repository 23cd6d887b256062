// Verbs in flight: what, of which VM, how far, until when.

import type { ReactElement } from 'react';
import { Link } from 'react-router';
import { useNode, useOperations, useVm } from '@/api/hooks';
import { paths } from '@/app/paths';
import { doing } from '@/features/vms/vm_state';
import { Operation_State, type Operation } from '@/gen/Quantixkvm/operation/v1/operation_pb';
import { StateShape } from '@/ui/StateBadge';
import { RelativeTime, Since } from '@/ui/time';

function Row({ operation }: { operation: Operation }): ReactElement {
  const vm = useVm(operation.resourceId);
  const node = useNode(operation.resourceId);
  return (
    <li className="q-line">
      <StateShape tone="moving" />
      <span>
        {doing(operation.verb)}{' '}
        {vm !== undefined ? <Link to={paths.vm(vm.id)} className="q-name">{vm.name}</Link> : node === undefined ? <span className="q-mono">{operation.resourceId}</span> : <Link to={paths.node(node.id)} className="q-name">{node.hostname}</Link>}
      </span>
      <span className="q-dim q-cut">{operation.step}</span>
      <span className="q-grow" />
      {operation.progressPercent > 0 ? <span className="q-num">{operation.progressPercent} %</span> : null}
      <span className="q-dim">for <Since at={operation.createdAt} />{operation.deadline === undefined ? null : <>, ends <RelativeTime at={operation.deadline} /></>}</span>
    </li>
  );
}

export function Running(): ReactElement {
  const running = useOperations().filter((one) => one.state === Operation_State.RUNNING);
  return (
    <section className="q-panel" aria-label="Running operations">
      <header className="q-panel-head">
        <h2>Running operations</h2>
        <Link to={paths.operations()}>All</Link>
      </header>
      {running.length === 0 ? <p className="q-dim">Nothing is under way.</p> : <ul className="q-lines">{running.map((one) => <Row key={one.id} operation={one} />)}</ul>}
    </section>
  );
}
