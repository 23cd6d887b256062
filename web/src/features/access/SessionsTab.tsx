// Who is signed in, from where, and the way to end it.

import { useState, type ReactElement } from 'react';
import { useAsk } from '@/api/ask_once';
import { call } from '@/api/call';
import { signOut } from '@/api/session';
import { AuthService, type Session } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { EmptyState } from '@/ui/EmptyState';
import { PlainButton } from '@/ui/PlainButton';
import { ProblemNote } from '@/ui/ProblemNote';
import type { Column } from '@/ui/DataTable';
import { RelativeTime } from '@/ui/time';
import { clientWords } from './client_words';
import { FormDialog } from './FormDialog';
import { Listing } from './Listing';
import { changed, useList } from './useList';
import { useWhose } from './useWhose';

const { method } = AuthService;

function columns(onEnd: (session: Session) => void): Column<Session>[] {
  return [
    { id: 'user', title: 'User', width: 'minmax(8rem, 1fr)', cell: (one) => <><span className="q-name">{one.userName}</span>{one.current ? <span className="q-tag">this one</span> : null}</> },
    { id: 'client', title: 'Client', width: 'minmax(9rem, 1.2fr)', cell: (one) => <span className="q-cut" title={one.userAgent}>{clientWords(one.userAgent)}</span> },
    { id: 'address', title: 'Address', width: 'minmax(8rem, 1fr)', cell: (one) => <span className="q-mono q-cut" title={one.address}>{one.address}</span> },
    { id: 'began', title: 'Began', width: '8rem', align: 'right', cell: (one) => <RelativeTime at={one.createdAt} /> },
    { id: 'used', title: 'Last used', width: '8rem', align: 'right', cell: (one) => <RelativeTime at={one.lastUsedAt} /> },
    { id: 'ends', title: 'Ends', width: '8rem', align: 'right', cell: (one) => <RelativeTime at={one.expiresAt} /> },
    {
      id: 'actions',
      title: '',
      width: '5.5rem',
      align: 'right',
      cell: (one) => <PlainButton tabIndex={-1} aria-label={`End the session of ${one.userName} from ${one.address}`} onClick={() => onEnd(one)}>End</PlainButton>,
    },
  ];
}

function EndDialog({ session, onClose }: { session: Session; onClose: () => void }): ReactElement {
  const { asked, problem, ask } = useAsk();
  const submit = (): void => {
    if (session.current) return void signOut().catch(onClose);
    ask(call(method.revokeSession, { id: session.id }), () => {
      changed();
      onClose();
    });
  };
  return (
    <FormDialog title={`End the session of ${session.userName}`} word={session.current ? 'Sign out' : 'End it'} danger asked={asked} problem={problem} onSubmit={submit} onClose={onClose}>
      <p>{clientWords(session.userAgent)} at <span className="q-mono">{session.address}</span>: its streams and consoles end within a second.{session.current ? ' It is this very session: you are signed out.' : ''}</p>
    </FormDialog>
  );
}

export default function SessionsTab(): ReactElement {
  const { answer, problem } = useList(method.listSessions);
  const { user, chip } = useWhose();
  const [ending, setEnding] = useState<Session | null>(null);
  const sessions = answer?.sessions.filter((one) => user === '' || one.userName === user);
  return (
    <>
      <div className="q-access-bar">
        <span className="q-dim q-num" role="status">{sessions === undefined ? '' : sessions.length === 1 ? '1 session' : `${sessions.length} sessions`}</span>
        {chip}
      </div>
      {problem === null ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
      {sessions === undefined ? null : sessions.length === 0 ? (
        <EmptyState title="No sessions"><p>Who signs in is listed here until the session ends.</p></EmptyState>
      ) : (
        <Listing label="Sessions" columns={columns(setEnding)} rows={sessions} keyOf={(one) => one.id} nameOf={(one) => `${one.userName} from ${one.address}`} />
      )}
      {ending === null ? null : <EndDialog session={ending} onClose={() => setEnding(null)} />}
    </>
  );
}
