// One VM: its head and its tabs.

import type { ReactElement } from 'react';
import { NavLink, Outlet, useParams } from 'react-router';
import { useVm, useVmsKnown } from '@/api/hooks';
import { Page } from '@/app/Page';
import { paths, VM_TABS } from '@/app/paths';
import { EmptyState } from '@/ui/EmptyState';
import { StateBadge } from '@/ui/StateBadge';
import { vmState } from '../vm_state';

export default function VmPage(): ReactElement | null {
  const { id = '' } = useParams();
  const vm = useVm(id);
  const known = useVmsKnown();
  if (vm === undefined) return known ? <EmptyState title="There is no VM with this id" /> : null;
  const { tone, word, why } = vmState(vm);
  return (
    <Page title={vm.name} aside={<StateBadge tone={tone} word={word} title={why} />}>
      <nav className="q-tabs" aria-label={`Parts of ${vm.name}`}>
        {VM_TABS.map((tab) => (
          <NavLink key={tab} to={paths.vm(id, tab)} end={tab === 'overview'}>
            {tab[0]?.toUpperCase() + tab.slice(1)}
          </NavLink>
        ))}
      </nav>
      <Outlet />
    </Page>
  );
}
