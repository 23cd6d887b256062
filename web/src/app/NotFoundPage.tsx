import type { ReactElement } from 'react';
import { Link, useLocation } from 'react-router';
import { EmptyState } from '@/ui/EmptyState';
import { paths } from './paths';

export default function NotFoundPage(): ReactElement {
  const { pathname } = useLocation();
  return (
    <EmptyState title="There is no such page">
      <p>
        <span className="q-mono">{pathname}</span> leads nowhere. Go to <Link to={paths.overview()}>the overview</Link> or{' '}
        <Link to={paths.vms()}>the VMs</Link>.
      </p>
    </EmptyState>
  );
}
