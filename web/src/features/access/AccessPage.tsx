// Who may in, by what, who is in, and what was done. Each part is shown to whom it is for.

import type { DescMethod } from '@bufbuild/protobuf';
import type { ReactElement } from 'react';
import { NavLink, Outlet, useLocation } from 'react-router';
import { may } from '@/api/access';
import { Page } from '@/app/Page';
import { paths, type AccessTab } from '@/app/paths';
import { AuthService } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { EmptyState } from '@/ui/EmptyState';
import './access.css';

const { method } = AuthService;

const TABS: readonly (readonly [AccessTab, string, DescMethod])[] = [
  ['users', 'Users', method.listUsers],
  ['tokens', 'API tokens', method.listTokens],
  ['sessions', 'Sessions', method.listSessions],
  ['audit', 'Audit log', method.listAuditEntries],
];

export default function AccessPage(): ReactElement {
  const { pathname } = useLocation();
  const here = TABS.find(([tab]) => pathname === paths.access(tab));
  const why = here === undefined ? '' : may(here[2]).reason;
  return (
    <Page title={here?.[1] ?? 'Access'} fills>
      <nav className="q-tabs" aria-label="Access">
        {TABS.filter(([, , needed]) => may(needed).allowed).map(([tab, word]) => <NavLink key={tab} to={paths.access(tab)}>{word}</NavLink>)}
      </nav>
      {why === '' ? <Outlet /> : <EmptyState title="This is not for you"><p>{why}</p></EmptyState>}
    </Page>
  );
}
