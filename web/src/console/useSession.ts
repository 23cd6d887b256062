// A console's session over the life of the component that shows it.

import { useEffect, useState, useSyncExternalStore } from 'react';
import { grant, openSocket, type ConsoleKind } from './open';
import { ConsoleSession, type ConsoleState } from './session';

export interface Attached {
  /** Where to go on; undefined: from as far back as there is. */
  readonly from?: () => number | undefined;
  readonly attach: (socket: WebSocket) => void;
}

export interface Session {
  readonly state: ConsoleState;
  readonly tryNow: () => void;
  readonly takeOver: () => void;
}

const NOT_YET: ConsoleState = { kind: 'connecting' };
const silent = (): (() => void) => () => undefined;

/** `viewer` is null until there is something to show the console on. */
export function useSession(vmId: string, kind: ConsoleKind, runs: boolean, viewer: Attached | null): Session {
  const [session, setSession] = useState<ConsoleSession<WebSocket> | null>(null);
  useEffect(() => {
    if (viewer === null) return undefined;
    const made = new ConsoleSession<WebSocket>({
      grant: (takeOver, signal) => grant(vmId, kind, takeOver, signal),
      open: (ticket) => openSocket(ticket, viewer.from?.()),
      attach: viewer.attach,
    });
    // eslint-disable-next-line react-hooks/set-state-in-effect -- it lives as long as what shows it
    setSession(made);
    return () => {
      setSession(null);
      made.end();
    };
  }, [vmId, kind, viewer]);
  useEffect(() => session?.setRuns(runs), [session, runs]);
  const state = useSyncExternalStore(session?.subscribe ?? silent, session?.state ?? (() => (runs ? NOT_YET : OFF)));
  return { state, tryNow: session?.tryNow ?? nothing, takeOver: session?.takeOver ?? nothing };
}

const OFF: ConsoleState = { kind: 'off' };
const nothing = (): void => undefined;
