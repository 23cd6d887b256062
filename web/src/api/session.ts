// The session of this page: who is signed in, what that is told to, and what begins and ends it.

import { useSyncExternalStore } from 'react';
import { AuthService, WhoAmIResponse_Kind as Kind, type WhoAmIResponse } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { access } from './access';
import { call, run } from './call';
import { curlNeedsToken } from './curl';
import { toProblem } from './errors';
import { IdentityKeeper, type Identity } from './identity';
import { onUnauthenticated } from './transport';

const { method } = AuthService;

export const identity = new IdentityKeeper({
  whoAmI: async () => {
    const who = await run(call(method.whoAmI, {}));
    access.learn(who);
    curlNeedsToken(who.kind !== Kind.DEMO);
    return who;
  },
  getSignIn: () => run(call(method.getSignIn, {})),
  startOver: () => location.reload(),
});

export const doubt = identity.doubt;

/** The other pages of this browser, which have the same session: one that signs in lets them in, too. */
let others: BroadcastChannel | null = null;

/** Asks who is signed in, and again whenever that may have changed. */
export function beginSession(): void {
  onUnauthenticated(doubt);
  others = new BroadcastChannel('quantixkvm.session');
  others.addEventListener('message', () => {
    if (identity.state().kind === 'out') void identity.learn();
    else doubt();
  });
  void identity.learn();
}

export function useIdentity(): Identity {
  return useSyncExternalStore(identity.subscribe, identity.state);
}

/** Who is signed in. Undefined: nobody, and what asks is not shown. */
export function useWho(): WhoAmIResponse | undefined {
  const state = useIdentity();
  return state.kind === 'in' ? state.who : undefined;
}

/** Signs in; throws what `toProblem` reads. The answer's secrets are for callers without a browser. */
export async function signIn(name: string, password: string): Promise<void> {
  await run(call(method.login, { name, password }));
  await identity.learn();
  others?.postMessage(null);
}

/** Makes the first administrator and signs in. */
export async function setUp(code: string, name: string, password: string): Promise<void> {
  await run(call(method.setUp, { code, name, password }));
  await identity.learn();
  others?.postMessage(null);
}

/** Ends the session. The page is loaded anew, so that nothing of what it knew stays. */
export async function signOut(): Promise<void> {
  identity.leave(true);
  try {
    await run(call(method.logout, {}));
  } catch (thrown) {
    // It is over already: what was wished for.
    if (toProblem(thrown).code !== 'unauthenticated') {
      identity.leave(false);
      throw thrown;
    }
  }
  others?.postMessage(null);
  location.replace('/');
}
