// The pages; on a telephone, along the bottom.

import type { ReactElement } from 'react';
import { NavLink } from 'react-router';
import { useNodes, useNodesKnown, useVms, useVmsKnown } from '@/api/hooks';
import { count as figure } from '@/ui/format';
import { Icon, type IconName } from '@/ui/icons';
import { paths } from './paths';

interface Item {
  readonly to: string;
  readonly word: string;
  readonly icon: IconName;
  readonly count?: number | undefined;
}

export function SideNav(): ReactElement {
  const vms = useVms().length;
  const vmsKnown = useVmsKnown();
  const nodes = useNodes().length;
  const nodesKnown = useNodesKnown();
  const items: readonly Item[] = [
    { to: paths.overview(), word: 'Overview', icon: 'overview' },
    { to: paths.vms(), word: 'VMs', icon: 'vm', count: vmsKnown ? vms : undefined },
    { to: paths.nodes(), word: 'Nodes', icon: 'node', count: nodesKnown ? nodes : undefined },
    { to: paths.events(), word: 'Events', icon: 'events' },
    { to: paths.operations(), word: 'Operations', icon: 'operations' },
  ];
  return (
    <nav className="q-nav" aria-label="Pages">
      {items.map(({ to, word, icon, count }) => (
        <NavLink key={to} to={to} end={to === '/'}>
          <Icon name={icon} />
          <span>{word}</span>
          {count === undefined ? null : <span className="q-num q-count">{figure(count)}</span>}
        </NavLink>
      ))}
    </nav>
  );
}
