// Before the page: who is signed in. Where the session ends while the page is looked at, the view to
// sign in takes its place; the address stays, and so does what was typed, for the same user alone.

import { Activity, lazy, Suspense, useEffect, useState, type ReactElement, type ReactNode } from 'react';
import type { Identity } from '@/api/identity';
import { queryClient } from '@/api/query';
import { useIdentity } from '@/api/session';
import { live, watchAlways } from '@/api/stores';
import { DelayedNote } from '@/ui/DelayedNote';
import { ProblemNote } from '@/ui/ProblemNote';

const SignInPage = lazy(() => import('@/features/sign_in/SignInPage'));

let watching = false;
let out = false;

/** The live connection is there while somebody is signed in. */
function follow({ kind }: Identity): void {
  if (kind === 'out') {
    out = true;
    live.rest();
    // One that is on top of all would keep the keyboard from the view to sign in.
    for (const dialog of document.querySelectorAll<HTMLDialogElement>('dialog[open]')) dialog.close();
  } else if (kind === 'in') {
    if (!watching) watchAlways();
    watching = true;
    live.wake();
    if (out) void queryClient.invalidateQueries();
    out = false;
  }
}

export function Door({ children }: { children: ReactNode }): ReactElement {
  const identity = useIdentity();
  const { kind } = identity;
  const [entered, setEntered] = useState(false);
  if (kind === 'in' && !entered) setEntered(true);
  useEffect(() => follow(identity), [identity]);
  return (
    <>
      {entered ? <Activity mode={kind === 'in' ? 'visible' : 'hidden'}>{children}</Activity> : null}
      {kind === 'asking' ? <DelayedNote>Asking this host who you are.</DelayedNote> : null}
      {kind === 'unreached' ? (
        <main className="q-page">
          <ProblemNote message={`${identity.problem.message} It is tried again by itself.`} requestId={identity.problem.requestId} />
        </main>
      ) : null}
      {kind === 'out' ? (
        <Suspense>
          <SignInPage setUpNeeded={identity.setUpNeeded} ended={identity.ended} />
        </Suspense>
      ) : null}
    </>
  );
}
