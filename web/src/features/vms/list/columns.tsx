// The columns of the list.

import type { Verb } from '@/api/verbs';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import type { Column } from '@/ui/DataTable';
import { Since } from '@/ui/time';
import { diskGib, factsOf } from './arrange';
import { AddressCell, CpuCell, LabelsCell, MemoryCell, NameCell, ResultCell, StateCell } from './cells';
import { RowActions } from './RowActions';
import type { ColumnId } from './url_state';
import type { Results } from './useResults';

export const COLUMN_WORDS: Record<ColumnId, string> = {
  state: 'State',
  name: 'Name',
  addresses: 'Addresses',
  cpu: 'CPU',
  memory: 'Memory',
  labels: 'Labels',
  since: 'Since',
  vcpus: 'vCPUs',
  disk: 'Disk, GiB',
  project: 'Project',
};

interface Context {
  readonly results: Results;
  readonly onRun: (verb: Verb, vm: VirtualMachine) => void;
  readonly onLabel: (label: string) => void;
}

type Vm = Column<VirtualMachine>;

function columnOf(id: ColumnId, context: Context): Omit<Vm, 'id' | 'title' | 'sortable'> {
  switch (id) {
    case 'state':
      return { width: 'minmax(8.5rem, 0.9fr)', cell: (vm) => <StateCell vm={vm} /> };
    case 'name':
      return { width: 'minmax(7.5rem, 1.4fr)', cell: (vm) => <NameCell vm={vm} /> };
    case 'addresses':
      return { width: 'minmax(8rem, 1fr)', cell: (vm) => <AddressCell vm={vm} /> };
    case 'cpu':
      return { width: '8.25rem', align: 'right', cell: (vm) => <CpuCell id={vm.id} /> };
    case 'memory':
      return {
        width: '12.5rem',
        align: 'right',
        cell: (vm) => <MemoryCell id={vm.id} sizeMib={vm.spec?.memory?.sizeMib ?? 0n} />,
      };
    case 'labels':
      return {
        width: 'minmax(5rem, 1.2fr)',
        cell: (vm) => <LabelsCell labels={factsOf(vm).labels} onLabel={context.onLabel} />,
      };
    case 'since':
      return { width: '5rem', align: 'right', cell: (vm) => <Since at={vm.status?.stateChangedAt} /> };
    case 'vcpus':
      return { width: '4.5rem', align: 'right', cell: (vm) => vm.spec?.cpu?.cores ?? 0 };
    case 'disk':
      return { width: '5.5rem', align: 'right', cell: (vm) => diskGib(vm) };
    case 'project':
      return { width: 'minmax(8rem, 1fr)', cell: (vm) => <span className="q-mono q-cut" title={vm.projectId}>{vm.projectId}</span> };
  }
}

export function columnsOf(ids: readonly ColumnId[], context: Context): readonly Vm[] {
  const columns = ids.map((id): Vm => ({ id, title: COLUMN_WORDS[id], sortable: true, ...columnOf(id, context) }));
  const result: Vm = {
    id: 'result',
    title: 'Result',
    width: 'minmax(7.5rem, 1.4fr)',
    cell: (vm) => <ResultCell result={context.results.get(vm.id)} />,
  };
  const actions: Vm = {
    id: 'actions',
    title: '',
    width: '8.5rem',
    align: 'right',
    cell: (vm) => <RowActions vm={vm} onRun={context.onRun} />,
  };
  return [...columns, ...(context.results.size > 0 ? [result] : []), actions];
}
