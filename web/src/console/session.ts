// One console as it comes and goes: a ticket, a WebSocket, and what to do when it is over. It knows
// neither screen nor terminal: whoever shows the console is handed each socket.

import { toProblem, type Problem } from '@/api/errors';
import { Signal, type Schedule, type Unsubscribe } from '@/api/signal';

export type ConsoleState =
  /** The VM does not run: nothing to open. */
  | { readonly kind: 'off' }
  | { readonly kind: 'connecting' }
  | { readonly kind: 'open' }
  /** It ended or could not be had, and is tried again. */
  | { readonly kind: 'waiting'; readonly why: string; readonly retryAt: number }
  /** The server will not open it as things are. */
  | { readonly kind: 'refused'; readonly problem: Problem }
  /** Another program took it. */
  | { readonly kind: 'taken'; readonly why: string };

export interface Ticket {
  readonly path: string;
  readonly ticket: string;
}

/** What of a WebSocket is used here; a test brings its own. */
export interface ConsoleSocket {
  addEventListener(type: 'open', listener: () => void): void;
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void;
  close(): void;
}

export interface SessionOptions<S extends ConsoleSocket> {
  readonly grant: (takeOver: boolean, signal: AbortSignal) => Promise<Ticket>;
  readonly open: (ticket: Ticket) => S;
  /** A new socket, before it is open: from now on its bytes are the caller's. */
  readonly attach: (socket: S) => void;
  readonly schedule?: Schedule;
  readonly now?: () => number;
  readonly setTimer?: (run: () => void, ms: number) => unknown;
  readonly clearTimer?: (timer: never) => void;
}

const STOPPED = 4001;
const TAKEN = 4002;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;
/** Open for so long, a console is well and the next failure is a new one. */
const WELL_AFTER_MS = 5000;
const WORTH_ANOTHER_TRY = new Set(['unavailable', 'deadline_exceeded', 'aborted', 'unknown', 'internal']);

export class ConsoleSession<S extends ConsoleSocket> {
  private current: ConsoleState = { kind: 'off' };
  private runs = false;
  private attempts = 0;
  private socket: S | null = null;
  private asking: AbortController | null = null;
  private retry: unknown = null;
  private openedAt = 0;
  private readonly signal: Signal;
  private readonly now: () => number;
  private readonly setTimer: (run: () => void, ms: number) => unknown;
  private readonly clearTimer: (timer: never) => void;

  constructor(private readonly options: SessionOptions<S>) {
    this.signal = new Signal(options.schedule ?? ((tell) => tell()));
    this.now = options.now ?? Date.now;
    this.setTimer = options.setTimer ?? ((run, ms) => setTimeout(run, ms));
    this.clearTimer = options.clearTimer ?? ((timer) => clearTimeout(timer));
  }

  readonly subscribe = (listener: () => void): Unsubscribe => this.signal.subscribe(listener);
  readonly state = (): ConsoleState => this.current;

  /** Follows the VM: opened when it comes to run, over when it stops. */
  setRuns(runs: boolean): void {
    if (runs === this.runs) return;
    this.runs = runs;
    this.attempts = 0;
    if (runs) this.connect(false);
    else {
      this.drop();
      this.become({ kind: 'off' });
    }
  }

  /** Asks at once, as when the administrator says so. */
  readonly tryNow = (): void => this.again(false);
  readonly takeOver = (): void => this.again(true);

  private again(takeOver: boolean): void {
    if (!this.runs) return;
    this.attempts = 0;
    this.connect(takeOver);
  }

  /** No more of it. */
  end(): void {
    this.runs = false;
    this.drop();
    this.current = { kind: 'off' };
  }

  private drop(): void {
    if (this.retry !== null) this.clearTimer(this.retry as never);
    this.retry = null;
    this.asking?.abort();
    this.asking = null;
    const { socket } = this;
    this.socket = null;
    socket?.close();
  }

  private become(state: ConsoleState): void {
    this.current = state;
    this.signal.emit();
  }

  private connect(takeOver: boolean): void {
    this.drop();
    const asking = new AbortController();
    this.asking = asking;
    this.become({ kind: 'connecting' });
    this.options.grant(takeOver, asking.signal).then(
      (ticket) => {
        if (this.asking === asking) this.enter(ticket);
      },
      (thrown: unknown) => {
        if (this.asking === asking) this.failed(toProblem(thrown));
      },
    );
  }

  private failed(problem: Problem): void {
    this.asking = null;
    if (WORTH_ANOTHER_TRY.has(problem.code)) this.wait(problem.message);
    else this.become({ kind: 'refused', problem });
  }

  private enter(ticket: Ticket): void {
    this.asking = null;
    const socket = this.options.open(ticket);
    this.socket = socket;
    socket.addEventListener('open', () => {
      if (this.socket !== socket) return;
      this.openedAt = this.now();
      this.become({ kind: 'open' });
    });
    socket.addEventListener('close', ({ code, reason }) => {
      if (this.socket === socket) this.closed(code, reason);
    });
    this.options.attach(socket);
  }

  private closed(code: number, reason: string): void {
    this.socket = null;
    if (this.current.kind === 'open' && this.now() - this.openedAt >= WELL_AFTER_MS) this.attempts = 0;
    if (code === TAKEN) {
      this.become({ kind: 'taken', why: reason });
    } else if (code === STOPPED) {
      // The VM's own news is on its way; one that was restarted meanwhile is opened again.
      this.wait(reason || 'The VM has stopped.');
    } else {
      this.wait(reason || 'The connection to the console ended.');
    }
  }

  private wait(why: string): void {
    const pause = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.attempts);
    this.attempts += 1;
    this.become({ kind: 'waiting', why, retryAt: this.now() + pause });
    this.retry = this.setTimer(() => this.connect(false), pause);
  }
}
