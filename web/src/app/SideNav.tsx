// The pages; on a telephone, along the bottom.

import type { ReactElement } from 'react';
import { NavLink, useLocation } from 'react-router';
import { may } from '@/api/access';
import { useNodes, useNodesKnown, useVms, useVmsKnown } from '@/api/hooks';
import { AuthService } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { count as figure } from '@/ui/format';
import { Icon, type IconName } from '@/ui/icons';
import { paths, type AccessTab } from './paths';

interface Item {
  readonly to: string;
  readonly word: string;
  readonly icon: IconName;
  /** Its other pages, where they have it in common. */
  readonly under?: string;
  readonly count?: number | undefined;
}

/** Users, for whom they are there; else one's own sessions. */
function accessHome(): AccessTab {
  return may(AuthService.method.listUsers).allowed ? 'users' : 'sessions';
}

export function SideNav(): ReactElement {
  const { pathname } = useLocation();
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
    { to: paths.access(accessHome()), under: '/access', word: 'Access', icon: 'access' },
  ];
  return (
    <nav className="q-nav" aria-label="Pages">
      {items.map(({ to, under, word, icon, count }) => (
        <NavLink key={to} to={to} end={to === '/'} className={({ isActive }) => (isActive || (under !== undefined && pathname.startsWith(`${under}/`)) ? 'active' : '')}>
          <Icon name={icon} />
          <span>{word}</span>
          {count === undefined ? null : <span className="q-num q-count">{figure(count)}</span>}
        </NavLink>
      ))}
    </nav>
  );
}
