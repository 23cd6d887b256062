// The one way to the server: Connect over this page's own origin, as JSON, so that what the
// browser's tools show is what curl would send. Who asks is in the session's cookie, which the
// browser sends along to this origin alone and lets no script read; the page keeps no token.

import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-web';

const listeners = new Set<() => void>();

/** Tells of each answer that says that nobody is signed in. */
export function onUnauthenticated(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

function heard(thrown: unknown): void {
  if (ConnectError.from(thrown).code === Code.Unauthenticated) for (const tell of listeners) tell();
}

const watched: Interceptor = (next) => async (request) => {
  try {
    return await next(request);
  } catch (thrown) {
    heard(thrown);
    throw thrown;
  }
};

export const transport = createConnectTransport({
  baseUrl: globalThis.location?.origin ?? 'http://localhost',
  interceptors: [watched],
});
