// The list of VMs.

import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore, type ReactElement } from 'react';
import { Link, useNavigate } from 'react-router';
import { whyNot } from '@/api/access';
import { useVms, useVmsKnown } from '@/api/hooks';
import { usage } from '@/api/stores';
import type { Verb } from '@/api/verbs';
import { Page } from '@/app/Page';
import { paths } from '@/app/paths';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { VMService } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { DataTable } from '@/ui/DataTable';
import { EmptyState } from '@/ui/EmptyState';
import { count as figure } from '@/ui/format';
import { useKeys } from '@/ui/keys';
import { PlainButton } from '@/ui/PlainButton';
import { useNarrow } from '@/ui/time';
import { VirtualList } from '@/ui/VirtualList';
import { Arranger, sortsByUsage } from './arrange';
import { BulkBar } from './BulkBar';
import { columnsOf } from './columns';
import './list.css';
import { NoVms } from './NoVms';
import { Toolbar } from './Toolbar';
import { toggled, type ColumnId } from './url_state';
import { useListState } from './useListState';
import { useResults } from './useResults';
import { VmCard } from './VmCard';

const still = (): (() => void) => () => undefined;

export default function VmsPage(): ReactElement | null {
  const vms = useVms();
  const known = useVmsKnown();
  const navigate = useNavigate();
  const narrow = useNarrow();
  const search = useRef<HTMLInputElement>(null);
  const { state, change } = useListState();
  const { results, run, clear } = useResults();
  const [selectedIds, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [arranger] = useState(() => new Arranger());
  // The order follows what is measured only while it is ordered by it.
  const measured = useSyncExternalStore(sortsByUsage(state) ? usage.subscribe : still, usage.version);

  // eslint-disable-next-line react-hooks/exhaustive-deps -- `measured` stands for what `usage.get` reads
  const rows = useMemo(() => arranger.arrange(vms, state, usage.get), [arranger, vms, state, measured]);
  const selected = useMemo(() => (selectedIds.size === 0 ? [] : vms.filter((vm) => selectedIds.has(vm.id))), [vms, selectedIds]);

  const onRun = useCallback((verb: Verb, vm: VirtualMachine) => run(verb, [vm]), [run]);
  const { labels } = state;
  const onLabel = useCallback((label: string) => change({ labels: toggled(labels, label) }), [change, labels]);
  const columns = useMemo(() => columnsOf(state.columns, { results, onRun, onLabel }), [state.columns, results, onRun, onLabel]);

  useKeys({
    '/': (event) => { event.preventDefault(); search.current?.focus(); },
    n: () => void navigate(paths.newVm()),
    j: () => document.querySelector<HTMLElement>('.q-row[tabindex="0"]')?.focus(),
    Escape: () => setSelected(new Set()),
  });

  // The address follows what is typed a moment later: the box is the browser's own, so that fast
  // typing loses no letter, and takes what the address says only when nobody types in it.
  useEffect(() => {
    const box = search.current;
    if (box !== null && box !== document.activeElement) box.value = state.query;
  }, [state.query]);

  if (!known && vms.length === 0) return null;
  const mayNot = whyNot(VMService.method.createVM);
  const newVm = mayNot === undefined ? <Link to={paths.newVm()} className="q-button q-primary">New VM</Link> : <PlainButton className="q-button" reason={mayNot}>New VM</PlainButton>;
  if (vms.length === 0) return <Page title="VMs" actions={newVm}><NoVms /></Page>;
  const count = rows.length === vms.length ? figure(vms.length) : `${figure(rows.length)} of ${figure(vms.length)}`;
  return (
    <Page title="VMs" aside={<span className="q-num q-dim" role="status">{count}</span>} actions={newVm} fills>
      {selected.length > 0 ? (
        <BulkBar selected={selected} onRun={run} onClear={() => setSelected(new Set())} />
      ) : (
        <Toolbar state={state} change={change} vms={vms} narrow={narrow} search={search} />
      )}
      {results.size > 0 ? (
        <p className="q-results-head">
          <span className="q-dim">{summary([...results.values()].map((one) => one.kind))}</span>
          <button type="button" className="q-link" onClick={clear}>Put results away</button>
        </p>
      ) : null}
      {rows.length === 0 ? (
        <EmptyState title="No VM fits">
          <p>
            {figure(vms.length)} are here. <button type="button" className="q-link" onClick={() => change({ query: '', states: [], labels: [], project: '' })}>Show all</button>
          </p>
        </EmptyState>
      ) : narrow ? (
        <VirtualList
          label="VMs"
          items={rows}
          keyOf={(vm) => vm.id}
          height={132}
          draw={(vm) => <VmCard vm={vm} result={results.get(vm.id)} onRun={onRun} onLabel={onLabel} />}
        />
      ) : (
        <DataTable
          label="VMs"
          columns={columns}
          rows={rows}
          keyOf={(vm) => vm.id}
          nameOf={(vm) => vm.name}
          rowHeight={38}
          sort={{ column: state.sort, descending: state.descending }}
          onSort={(column) => change({ sort: column as ColumnId, descending: state.sort === column && !state.descending })}
          onOpen={(vm) => void navigate(paths.vm(vm.id))}
          selection={{
            keys: selectedIds,
            onSelect: (id, on) => setSelected((now) => { const next = new Set(now); if (on) next.add(id); else next.delete(id); return next; }),
            onAll: (on) => setSelected(new Set(on ? rows.map((vm) => vm.id) : [])),
          }}
        />
      )}
    </Page>
  );
}

function summary(kinds: readonly string[]): string {
  const of = (kind: string, word: string): string[] => {
    const count = kinds.filter((one) => one === kind).length;
    return count === 0 ? [] : [`${count} ${word}`];
  };
  return [...of('waiting', 'asked'), ...of('done', 'done'), ...of('failed', 'failed'), ...of('denied', 'not asked')].join(', ');
}
