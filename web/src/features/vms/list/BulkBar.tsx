// Verbs for the rows that are selected: how many of them may, and what it costs where it does.

import { useMemo, type ReactElement } from 'react';
import { allowance, roleAllows, VERBS, type Verb } from '@/api/verbs';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { askDelete, mayDelete } from '../actions/ask';

interface Props {
  readonly selected: readonly VirtualMachine[];
  readonly onRun: (verb: Verb, vms: readonly VirtualMachine[]) => void;
  readonly onClear: () => void;
}

const counted = (count: number): string => (count === 1 ? '1 VM' : `${count} VMs`);

/** How many of them allow each verb, in one pass: thousands may be selected. */
function allowedCounts(vms: readonly VirtualMachine[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const vm of vms) {
    for (const { verb, allowed } of vm.allowedActions) if (allowed && roleAllows(verb).allowed) counts.set(verb, (counts.get(verb) ?? 0) + 1);
  }
  return counts;
}

export function BulkBar({ selected, onRun, onClear }: Props): ReactElement {
  const counts = useMemo(() => allowedCounts(selected), [selected]);
  const may = (verb: Verb): number => counts.get(verb.verb) ?? 0;
  const deletable = useMemo(() => selected.filter((vm) => mayDelete(vm).allowed).length, [selected]);
  return (
    <div className="q-bulk" role="group" aria-label="Verbs for what is selected">
      <strong className="q-num">{counted(selected.length)}</strong>
      {VERBS.map((verb) => {
        const count = may(verb);
        const reason = count > 0 ? undefined : (selected[0] === undefined ? '' : allowance(selected[0], verb.verb).reason);
        // What none of them could be asked for is rare and only takes room.
        if (count === 0 && (verb.verb === 'adopt' || verb.verb === 'redefine')) return null;
        return (
          <button
            key={verb.verb}
            type="button"
            className="q-button"
            aria-disabled={count === 0}
            title={reason}
            aria-label={`${verb.word}: ${count} of ${counted(selected.length)} may`}
            onClick={() => {
              if (count > 0) onRun(verb, selected);
            }}
          >
            {verb.word}
            {count === selected.length || count === 0 ? null : <span className="q-num q-dim">{count}</span>}
          </button>
        );
      })}
      <button
        type="button"
        className="q-button"
        aria-disabled={deletable === 0}
        title={deletable > 0 || selected[0] === undefined ? undefined : mayDelete(selected[0]).reason}
        aria-label={`Delete: ${deletable} of ${counted(selected.length)} may`}
        onClick={() => { if (deletable > 0) askDelete(selected, onClear); }}
      >
        Delete…
        {deletable === selected.length || deletable === 0 ? null : <span className="q-num q-dim">{deletable}</span>}
      </button>
      <span className="q-grow" />
      <button type="button" className="q-link" onClick={onClear}>Clear selection</button>
    </div>
  );
}
