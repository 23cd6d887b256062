// API tokens: for what, whose, what each may, until when. The secret is not here.

import { useState, type ReactElement } from 'react';
import { roleWord, whyNot } from '@/api/access';
import { useAsk } from '@/api/ask_once';
import { call } from '@/api/call';
import { AuthService, type Token } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import type { Column } from '@/ui/DataTable';
import { EmptyState } from '@/ui/EmptyState';
import { toMillis } from '@/ui/format';
import { useNow } from '@/ui/clock';
import { PlainButton } from '@/ui/PlainButton';
import { ProblemNote } from '@/ui/ProblemNote';
import { StateBadge } from '@/ui/StateBadge';
import { RelativeTime } from '@/ui/time';
import { CreateTokenDialog } from './CreateTokenDialog';
import { FormDialog } from './FormDialog';
import { Listing } from './Listing';
import { changed, useList } from './useList';
import { useWhose } from './useWhose';

const { method } = AuthService;

function Ends({ token }: { token: Token }): ReactElement {
  const over = (toMillis(token.expiresAt) ?? 0) <= useNow();
  return over ? <StateBadge tone="stopped" word="Expired" /> : <RelativeTime at={token.expiresAt} />;
}

function columns(onRevoke: (token: Token) => void): Column<Token>[] {
  return [
    { id: 'name', title: 'For', width: 'minmax(8rem, 1.3fr)', cell: (one) => <span className="q-name" title={one.name}>{one.name}</span> },
    { id: 'owner', title: 'Owner', width: 'minmax(6rem, 1fr)', cell: (one) => <span className="q-cut">{one.userName}</span> },
    { id: 'role', title: 'At most', width: '7rem', cell: (one) => roleWord(one.role) },
    { id: 'id', title: 'Begins with', width: 'minmax(8rem, 1fr)', cell: (one) => <span className="q-mono q-cut" title={`qkvm_${one.id}_`}>{`qkvm_${one.id}_`}</span> },
    { id: 'made', title: 'Made', width: '7.5rem', align: 'right', cell: (one) => <RelativeTime at={one.createdAt} /> },
    { id: 'used', title: 'Last used', width: '7.5rem', align: 'right', cell: (one) => <RelativeTime at={one.lastUsedAt} never="never" /> },
    { id: 'ends', title: 'Ends', width: '7.5rem', align: 'right', cell: (one) => <Ends token={one} /> },
    {
      id: 'actions',
      title: '',
      width: '6.5rem',
      align: 'right',
      cell: (one) => <PlainButton tabIndex={-1} aria-label={`Revoke ${one.name}`} onClick={() => onRevoke(one)}>Revoke</PlainButton>,
    },
  ];
}

function RevokeDialog({ token, onClose }: { token: Token; onClose: () => void }): ReactElement {
  const { asked, problem, ask } = useAsk();
  const submit = (): void =>
    ask(call(method.revokeToken, { id: token.id }), () => {
      changed();
      onClose();
    });
  return (
    <FormDialog title={`Revoke ${token.name}`} word="Revoke" danger asked={asked} problem={problem} onSubmit={submit} onClose={onClose}>
      <p>Whatever uses this token of {token.userName} is refused from now on, and its streams end. It was last used <RelativeTime at={token.lastUsedAt} never="never" />.</p>
    </FormDialog>
  );
}

export default function TokensTab(): ReactElement {
  const { answer, problem } = useList(method.listTokens);
  const { user, chip } = useWhose();
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Token | null>(null);
  const tokens = answer?.tokens.filter((one) => user === '' || one.userName === user);
  return (
    <>
      <div className="q-access-bar">
        <span className="q-dim q-num" role="status">{tokens === undefined ? '' : tokens.length === 1 ? '1 token' : `${tokens.length} tokens`}</span>
        {chip}
        <span className="q-grow" />
        <PlainButton className="q-button q-primary" reason={whyNot(method.createToken)} onClick={() => setMaking(true)}>New token</PlainButton>
      </div>
      {problem === null ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
      {tokens === undefined ? null : tokens.length === 0 ? (
        <EmptyState title="No API tokens"><p>A program calls this host with a token of its own, which does no more than its owner may and can be revoked at any time.</p></EmptyState>
      ) : (
        <Listing label="API tokens" columns={columns(setRevoking)} rows={tokens} keyOf={(one) => one.id} nameOf={(one) => one.name} />
      )}
      {making ? <CreateTokenDialog onClose={() => setMaking(false)} /> : null}
      {revoking === null ? null : <RevokeDialog token={revoking} onClose={() => setRevoking(null)} />}
    </>
  );
}
