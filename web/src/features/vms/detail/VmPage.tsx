// One VM: its head and its tabs.

import './detail.css';
import { useEffect, type ReactElement } from 'react';
import { Link, NavLink, Outlet, useLocation, useParams } from 'react-router';
import { useVm, useVmsKnown } from '@/api/hooks';
import { paths, VM_TABS } from '@/app/paths';
import { EmptyState } from '@/ui/EmptyState';
import { VmHead } from './VmHead';

export default function VmPage(): ReactElement | null {
  const { id = '' } = useParams();
  const vm = useVm(id);
  const known = useVmsKnown();
  const title = vm?.name;
  useEffect(() => {
    if (title !== undefined) document.title = `${title} · Quantix-KVM`;
  }, [title]);
  const { pathname } = useLocation();
  // On a telephone the tabs are wider than the window.
  useEffect(() => {
    document.querySelector('.q-tabs .active')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [pathname, title]);
  if (vm === undefined) {
    if (!known) return null;
    return (
      <EmptyState title="There is no VM with this id">
        <p>It may have been deleted; its <Link to={paths.events(`?resource=${id}`)}>events</Link> are kept. <Link to={paths.vms()}>All VMs</Link></p>
      </EmptyState>
    );
  }
  return (
    <div className="q-page q-vm">
      <VmHead vm={vm} />
      <nav className="q-tabs" aria-label={`Parts of ${vm.name}`}>
        {VM_TABS.map((tab) => (
          <NavLink key={tab} to={paths.vm(id, tab)} end={tab === 'overview'}>
            {tab[0]?.toUpperCase() + tab.slice(1)}
          </NavLink>
        ))}
      </nav>
      <Outlet />
    </div>
  );
}
