import type { ReactElement } from 'react';
import { NavLink } from 'react-router';
import { useNodes, useVms } from '@/api/hooks';
import { paths } from './paths';

export function SideNav(): ReactElement {
  const vms = useVms().length;
  const nodes = useNodes().length;
  const items = [
    { to: paths.overview(), word: 'Overview' },
    { to: paths.vms(), word: 'VMs', count: vms },
    { to: paths.nodes(), word: 'Nodes', count: nodes },
    { to: paths.events(), word: 'Events' },
    { to: paths.operations(), word: 'Operations' },
  ];
  return (
    <nav className="q-nav" aria-label="Pages">
      {items.map(({ to, word, count }) => (
        <NavLink key={to} to={to} end={to === '/'}>
          <span>{word}</span>
          {count === undefined ? null : <span className="q-num q-dim">{count}</span>}
        </NavLink>
      ))}
    </nav>
  );
}
