import type { ReactElement } from 'react';
import { Link, useNavigate } from 'react-router';
import { useVms } from '@/api/hooks';
import { Page } from '@/app/Page';
import { paths } from '@/app/paths';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { DataTable, type Column } from '@/ui/DataTable';
import { StateBadge } from '@/ui/StateBadge';
import { vmState } from '../vm_state';

const COLUMNS: readonly Column<VirtualMachine>[] = [
  {
    id: 'state',
    title: 'State',
    width: '10rem',
    cell: (vm) => {
      const { tone, word, why } = vmState(vm);
      return <StateBadge tone={tone} word={word} title={why} />;
    },
  },
  { id: 'name', title: 'Name', width: 'minmax(12rem, 1fr)', cell: (vm) => <Link to={paths.vm(vm.id)}>{vm.name}</Link> },
];

export default function VmsPage(): ReactElement {
  const vms = useVms();
  const navigate = useNavigate();
  return (
    <Page title="VMs" fills>
      <DataTable
        label="VMs"
        columns={COLUMNS}
        rows={vms}
        keyOf={(vm) => vm.id}
        nameOf={(vm) => vm.name}
        onOpen={(vm) => void navigate(paths.vm(vm.id))}
      />
    </Page>
  );
}
