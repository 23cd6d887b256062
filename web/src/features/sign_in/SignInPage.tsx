// What is seen before anybody is signed in: the way in, or, on a new host, its first administrator.
// It stands at the address that was asked for and leads nowhere else: there is no target to forge.

import { useEffect, type ReactElement } from 'react';
import { SetUpForm } from './SetUpForm';
import { SignInForm } from './SignInForm';
import './sign_in.css';

interface Props {
  readonly setUpNeeded: boolean;
  /** There was a session, and it is over. */
  readonly ended: boolean;
}

export default function SignInPage({ setUpNeeded, ended }: Props): ReactElement {
  const title = setUpNeeded ? 'Set up this host' : 'Sign in';
  useEffect(() => {
    document.title = `${title} · Quantix-KVM`;
  }, [title]);
  return (
    <main className="q-door">
      <div className="q-door-card">
        <header className="q-door-head">
          <img src="/favicon.svg" alt="" width="28" height="28" />
          <div>
            <h1>{title}</h1>
            <p className="q-dim">Quantix-KVM on <span className="q-mono">{location.host}</span></p>
          </div>
        </header>
        {ended && !setUpNeeded ? <p className="q-door-why" role="status">Your session has ended. Sign in to go on where you were.</p> : null}
        {setUpNeeded ? <SetUpForm /> : <SignInForm />}
      </div>
    </main>
  );
}
