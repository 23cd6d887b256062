// Search and filters of the list.

import type { ReactElement, RefObject } from 'react';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { CheckMenu } from '@/ui/CheckMenu';
import { KeyHint } from '@/ui/KeyHint';
import { StateBadge } from '@/ui/StateBadge';
import { labelCounts, projectCounts, toneCounts } from './arrange';
import { COLUMN_WORDS } from './columns';
import { COLUMN_IDS, DEFAULT_STATE, isFiltered, STATE_FILTERS, toggled, type ListState, type StateFilter } from './url_state';

const STATE_WORDS: Record<StateFilter, string> = {
  running: 'Running',
  stopped: 'Stopped',
  paused: 'Paused or suspended',
  moving: 'In transition',
  wrong: 'Needs attention',
};

/** The project that everything is in unless told otherwise. */
const DEFAULT_PROJECT = '00000000-0000-0000-0000-000000000001';

interface Props {
  readonly state: ListState;
  readonly change: (part: Partial<ListState>) => void;
  readonly vms: readonly VirtualMachine[];
  readonly narrow: boolean;
  readonly search: RefObject<HTMLInputElement | null>;
}

function toFirstRow(): void {
  const row = document.querySelector<HTMLElement>('.q-row[data-index="0"]') ?? document.querySelector<HTMLElement>('.q-row[tabindex="0"]');
  row?.focus();
}

export function Toolbar({ state, change, vms, narrow, search }: Props): ReactElement {
  const labelled = vms.some((vm) => Object.keys(vm.labels).length > 0);
  const projects = vms.some((vm) => vm.projectId !== vms[0]?.projectId);
  return (
    <div className="q-toolbar">
      <span className="q-search">
        <input
          ref={search}
          className="q-input"
          type="search"
          placeholder="Name, address, label"
          aria-label="Search VMs"
          defaultValue={state.query}
          spellCheck={false}
          onChange={(event) => change({ query: event.target.value })}
          onKeyDown={(event) => {
            // The browser clears what is typed at the first Escape.
            if (event.key === 'Escape' && event.currentTarget.value === '') event.currentTarget.blur();
            else if (event.key === 'Enter' || event.key === 'ArrowDown') {
              event.preventDefault();
              toFirstRow();
            }
          }}
        />
        {state.query === '' && !narrow ? <KeyHint keys="/" /> : null}
      </span>
      <CheckMenu
        word="State"
        chosen={state.states.length}
        options={() => {
          const counts = toneCounts(vms);
          return STATE_FILTERS.map((id) => ({
            id,
            text: STATE_WORDS[id],
            word: <StateBadge tone={id} word={STATE_WORDS[id]} />,
            count: counts.get(id) ?? 0,
            on: state.states.includes(id),
          }));
        }}
        onToggle={(id) => change({ states: toggled(state.states, id as StateFilter) })}
      />
      {!labelled && state.labels.length === 0 ? null : (
        <CheckMenu
          word="Label"
          chosen={state.labels.length}
          options={() => labelCounts(vms).map(([id, count]) => ({ id, text: id, word: <span className="q-mono">{id}</span>, count, on: state.labels.includes(id) }))}
          onToggle={(id) => change({ labels: toggled(state.labels, id) })}
        />
      )}
      {!projects && state.project === '' ? null : (
        <CheckMenu
          word="Project"
          chosen={state.project === '' ? 0 : 1}
          options={() => projectCounts(vms).map(([id, count]) => ({ id, text: id, word: <span className="q-mono">{id === DEFAULT_PROJECT ? 'default' : id}</span>, count, on: state.project === id }))}
          onToggle={(id) => change({ project: state.project === id ? '' : id })}
        />
      )}
      {isFiltered(state) ? (
        <button type="button" className="q-link" onClick={() => change({ query: '', states: [], labels: [], project: '' })}>
          Clear
        </button>
      ) : null}
      <span className="q-grow" />
      {narrow ? null : (
        <CheckMenu
          word="Columns"
          icon="columns"
          align="end"
          options={() => COLUMN_IDS.map((id) => ({ id, text: COLUMN_WORDS[id], word: COLUMN_WORDS[id], on: state.columns.includes(id), fixed: id === 'name' }))}
          onToggle={(id) => change({ columns: COLUMN_IDS.filter((one) => toggled(state.columns, id as (typeof COLUMN_IDS)[number]).includes(one)) })}
        />
      )}
      {narrow ? (
        <select className="q-button" aria-label="Sort by" value={`${state.descending ? '-' : ''}${state.sort}`} onChange={(event) => change({ sort: event.target.value.replace('-', '') as ListState['sort'], descending: event.target.value.startsWith('-') })}>
          <option value={DEFAULT_STATE.sort}>By name</option>
          <option value="state">By state</option>
          <option value="-cpu">Busiest first</option>
          <option value="-memory">Most memory first</option>
          <option value="-since">Changed last first</option>
        </select>
      ) : null}
    </div>
  );
}
