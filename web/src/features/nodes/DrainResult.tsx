// What became of the VMs of a node that was drained: told truthfully, VM by VM.

import type { ReactElement } from 'react';
import { ResourceLink } from '@/features/operations/OperationLine';
import type { DrainNodeResponse } from '@/gen/Quantixkvm/compute/v1/node_service_pb';
import { StateBadge, StateShape, type Tone } from '@/ui/StateBadge';

function List({ tone, word, ids }: { tone: Tone; word: string; ids: readonly string[] }): ReactElement | null {
  if (ids.length === 0) return null;
  return (
    <>
      {ids.map((id) => (
        <li key={id} className="q-line"><StateShape tone={tone} /><ResourceLink id={id} /><span className="q-dim">{word}</span></li>
      ))}
    </>
  );
}

export function DrainResult({ result, onClose }: { result: DrainNodeResponse; onClose: () => void }): ReactElement {
  const { migratedVmIds, stoppedVmIds, failures } = result;
  const whole = failures.length === 0;
  const none = whole && migratedVmIds.length + stoppedVmIds.length === 0;
  return (
    <section className="q-node-ask" aria-label="Result of the drain" role="status">
      <h2>
        <StateBadge tone={whole ? 'running' : 'wrong'} word={none ? 'Drained: no VM ran here' : whole ? 'Drained' : `${failures.length} did not stop and run on`} />
      </h2>
      <ul className="q-lines">
        {failures.map(({ vmId, error }) => (
          <li key={vmId} className="q-line"><StateShape tone="wrong" /><ResourceLink id={vmId} /><span className="q-tone-wrong q-cut" title={error}>{error}</span></li>
        ))}
        <List tone="running" word="moved" ids={migratedVmIds} />
        <List tone="stopped" word="stopped" ids={stoppedVmIds} />
      </ul>
      <div><button type="button" className="q-button" onClick={onClose}>Put away</button></div>
    </section>
  );
}
