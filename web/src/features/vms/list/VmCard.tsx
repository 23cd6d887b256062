// A VM on a telephone: what it is, whether it is well, where it is, what it costs, what next.

import type { ReactElement } from 'react';
import type { Verb } from '@/api/verbs';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { Since } from '@/ui/time';
import { factsOf } from './arrange';
import { AddressCell, CpuCell, LabelsCell, MemoryCell, NameCell, ResultCell, StateCell } from './cells';
import { RowActions } from './RowActions';
import type { Result } from './useResults';

interface Props {
  readonly vm: VirtualMachine;
  readonly result: Result | undefined;
  readonly onRun: (verb: Verb, vm: VirtualMachine) => void;
  readonly onLabel: (label: string) => void;
}

export function VmCard({ vm, result, onRun, onLabel }: Props): ReactElement {
  return (
    <article className="q-card" aria-label={vm.name}>
      <div className="q-card-line">
        <span className="q-card-name"><NameCell vm={vm} /></span>
        <RowActions vm={vm} onRun={onRun} />
      </div>
      <div className="q-card-line">
        <StateCell vm={vm} />
        <span className="q-dim">for <Since at={vm.status?.stateChangedAt} /></span>
        <span className="q-grow" />
        <AddressCell vm={vm} />
      </div>
      <div className="q-card-line">
        <CpuCell id={vm.id} />
        <span className="q-grow" />
        <MemoryCell id={vm.id} sizeMib={vm.spec?.memory?.sizeMib ?? 0n} />
      </div>
      {factsOf(vm).labels.length === 0 ? null : (
        <div className="q-card-line q-card-labels"><LabelsCell labels={factsOf(vm).labels} onLabel={onLabel} /></div>
      )}
      {result === undefined ? null : <ResultCell result={result} />}
    </article>
  );
}
