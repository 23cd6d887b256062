// Who is signed in: asked before anything else is, and again whenever something says that it may be
// over. An answer of `unauthenticated` or a live connection that closes is only a reason to ask: a
// wrong old password says the same, and so does a server that is being restarted.

import { Code, ConnectError } from '@connectrpc/connect';
import type { GetSignInResponse, WhoAmIResponse } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { toProblem, type Problem } from './errors';
import { Signal, type Schedule, type Unsubscribe } from './signal';

export type Identity =
  | { readonly kind: 'asking' }
  /** The server does not answer; it is asked again. */
  | { readonly kind: 'unreached'; readonly problem: Problem }
  /** `ended`: there was a session, and it is over. */
  | { readonly kind: 'out'; readonly setUpNeeded: boolean; readonly ended: boolean }
  | { readonly kind: 'in'; readonly who: WhoAmIResponse };

export interface IdentityOptions {
  readonly whoAmI: () => Promise<WhoAmIResponse>;
  readonly getSignIn: () => Promise<GetSignInResponse>;
  /** Somebody else than before, or with another role: nothing of what is known may stay. */
  readonly startOver: () => void;
  readonly schedule?: Schedule;
  readonly setTimer?: (run: () => void, ms: number) => unknown;
}

const AGAIN_MS = 2000;

const isUnauthenticated = (thrown: unknown): boolean => ConnectError.from(thrown).code === Code.Unauthenticated;

/** What the page was drawn for. */
const nameOf = ({ kind, userId, name, role }: WhoAmIResponse): string => JSON.stringify([kind, userId, name, role]);

export class IdentityKeeper {
  private current: Identity = { kind: 'asking' };
  private asking: Promise<void> | null = null;
  private drawnFor: string | null = null;
  private leaving = false;
  private readonly signal: Signal;
  private readonly setTimer: (run: () => void, ms: number) => unknown;

  constructor(private readonly options: IdentityOptions) {
    // What depends on who one is must not be drawn a frame too long.
    this.signal = new Signal(options.schedule ?? ((tell) => tell()));
    this.setTimer = options.setTimer ?? ((run, ms) => setTimeout(run, ms));
  }

  readonly subscribe = (listener: () => void): Unsubscribe => this.signal.subscribe(listener);
  readonly state = (): Identity => this.current;

  /** Asks the server; questions that come meanwhile are answered by this one. */
  readonly learn = (): Promise<void> => {
    this.asking ??= this.ask().finally(() => {
      this.asking = null;
    });
    return this.asking;
  };

  /** Something says that the session is over. */
  readonly doubt = (): void => {
    if (this.current.kind === 'in' && !this.leaving) void this.learn();
  };

  /** One signs out oneself: the page is about to be left. */
  leave(leaving: boolean): void {
    this.leaving = leaving;
  }

  private async ask(): Promise<void> {
    try {
      const who = await this.options.whoAmI();
      this.enter(who);
    } catch (thrown) {
      if (!isUnauthenticated(thrown)) return this.unreached(thrown);
      try {
        const { setUpNeeded } = await this.options.getSignIn();
        this.become({ kind: 'out', setUpNeeded, ended: this.drawnFor !== null });
      } catch (again) {
        this.unreached(again);
      }
    }
  }

  private enter(who: WhoAmIResponse): void {
    const name = nameOf(who);
    if (this.drawnFor !== null && this.drawnFor !== name) return this.options.startOver();
    this.drawnFor = name;
    this.become({ kind: 'in', who });
  }

  private unreached(thrown: unknown): void {
    // Who was signed in still is, as far as one knows: the banner tells of the lost connection.
    if (this.current.kind === 'in') return;
    this.become({ kind: 'unreached', problem: toProblem(thrown) });
    this.setTimer(() => void this.learn(), AGAIN_MS);
  }

  private become(state: Identity): void {
    this.current = state;
    this.signal.emit();
  }
}
