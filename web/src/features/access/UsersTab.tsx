// The users: who may sign in, as what, and what of it they used.

import { useState, type ReactElement } from 'react';
import { roleWord, whyNot } from '@/api/access';
import { AuthService, type User } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { EmptyState } from '@/ui/EmptyState';
import { PlainButton } from '@/ui/PlainButton';
import { ProblemNote } from '@/ui/ProblemNote';
import { StateBadge } from '@/ui/StateBadge';
import type { Column } from '@/ui/DataTable';
import { RelativeTime } from '@/ui/time';
import { Listing } from './Listing';
import { quotaWords } from './quota';
import { RowMenu } from './RowMenu';
import { useList } from './useList';
import { CreateUserDialog, DeleteUserDialog, EditUserDialog, SetPasswordDialog } from './UserDialogs';

type Asking = { readonly what: 'create' } | { readonly what: 'edit' | 'password' | 'delete'; readonly user: User };

const { method } = AuthService;

function columns(ask: (asking: Asking) => void): Column<User>[] {
  const update = whyNot(method.updateUser);
  return [
    { id: 'name', title: 'Name', width: 'minmax(8rem, 1.2fr)', cell: (user) => <span className="q-name">{user.name}</span> },
    { id: 'role', title: 'Role', width: '7rem', cell: (user) => roleWord(user.role) },
    { id: 'state', title: 'State', width: '8rem', cell: (user) => (user.enabled ? <StateBadge tone="running" word="Enabled" /> : <StateBadge tone="stopped" word="Disabled" />) },
    { id: 'quota', title: 'Quota', width: 'minmax(8rem, 1.4fr)', cell: (user) => <span className="q-cut" title={quotaWords(user.quota)}>{quotaWords(user.quota) || <span className="q-dim">no bound</span>}</span> },
    { id: 'login', title: 'Last sign-in', width: '8rem', align: 'right', cell: (user) => <RelativeTime at={user.lastLoginAt} never="never" /> },
    { id: 'password', title: 'Password set', width: '8rem', align: 'right', cell: (user) => <RelativeTime at={user.passwordChangedAt} /> },
    {
      id: 'actions',
      title: '',
      width: '3.5rem',
      align: 'right',
      cell: (user) => (
        <RowMenu
          of={user.name}
          actions={[
            { word: 'Edit…', reason: update, onClick: () => ask({ what: 'edit', user }) },
            { word: 'Set password…', reason: update, onClick: () => ask({ what: 'password', user }) },
            { word: 'Delete…', danger: true, reason: whyNot(method.deleteUser), onClick: () => ask({ what: 'delete', user }) },
          ]}
        />
      ),
    },
  ];
}

export default function UsersTab(): ReactElement {
  const { answer, problem } = useList(method.listUsers);
  const [asking, setAsking] = useState<Asking | null>(null);
  const close = (): void => setAsking(null);
  const users = answer?.users;
  return (
    <>
      <div className="q-access-bar">
        <span className="q-dim q-num" role="status">{users === undefined ? '' : users.length === 1 ? '1 user' : `${users.length} users`}</span>
        <span className="q-grow" />
        <PlainButton className="q-button q-primary" reason={whyNot(method.createUser)} onClick={() => setAsking({ what: 'create' })}>New user</PlainButton>
      </div>
      {problem === null ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
      {users === undefined ? null : users.length === 0 ? (
        <EmptyState title="No users yet"><p>Whoever signs in to this host is made here.</p></EmptyState>
      ) : (
        <Listing label="Users" columns={columns(setAsking)} rows={users} keyOf={(user) => user.id} nameOf={(user) => user.name} />
      )}
      {asking?.what === 'create' ? <CreateUserDialog onClose={close} /> : null}
      {asking?.what === 'edit' ? <EditUserDialog user={asking.user} onClose={close} /> : null}
      {asking?.what === 'password' ? <SetPasswordDialog user={asking.user} onClose={close} /> : null}
      {asking?.what === 'delete' ? <DeleteUserDialog user={asking.user} onClose={close} /> : null}
    </>
  );
}
