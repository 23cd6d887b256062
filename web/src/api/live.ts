// The one WebSocket of the page, `/live`: asks for topics, hands each its frames in order, and
// repairs itself. What the page knows is as old as this connection says.

import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { framesOf } from './live_batch';
import { LiveRequestSchema, type LiveFrame } from '@/gen/Quantixkvm/live/v1/live_pb';
import { Signal, type Schedule, type Unsubscribe } from './signal';

export type Ask = Exclude<NonNullable<MessageInitShape<typeof LiveRequestSchema>['ask']>, { case: undefined | 'stop' }>;
export type Message = LiveFrame['message'];

export interface Topic {
  readonly ask: () => Ask;
  /** The topic begins, for the first time or anew. */
  readonly onBegin?: () => void;
  readonly onMessage: (message: Message) => void;
  /** It ended with an error that asking again does not cure. */
  readonly onFailed?: (code: string, message: string) => void;
}

export type ConnectionState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'open'; readonly since: number }
  | { readonly kind: 'lost'; readonly since: number; readonly retryAt: number };

/** What of a WebSocket is used; a test brings its own. */
export interface Socket {
  binaryType: BinaryType;
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(): void;
}

export interface LiveOptions {
  readonly open: () => Socket;
  /** It was closed, could not be opened, or a topic says that nobody is signed in. A browser does not
   * tell which: whether the session is over must be asked. */
  readonly onDoubt?: () => void;
  readonly schedule?: Schedule;
  readonly now?: () => number;
  readonly setTimer?: (run: () => void, ms: number) => unknown;
  readonly clearTimer?: (timer: never) => void;
}

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;
/** Topics say a sign of life every 15 s. */
const SILENCE_MS = 40_000;
const HOPELESS = new Set(['invalid_argument', 'not_found', 'unimplemented', 'permission_denied', 'unauthenticated']);

export class Live {
  private socket: Socket | null = null;
  private readonly topics = new Set<Topic>();
  private readonly numbers = new Map<number, Topic>();
  private nextNumber = 1;
  private attempts = 0;
  private resting = false;
  private retry: unknown = null;
  private silence: unknown = null;
  private queue: Promise<void> = Promise.resolve();
  private current: ConnectionState = { kind: 'connecting' };
  private readonly signal: Signal;
  private readonly now: () => number;
  private readonly setTimer: (run: () => void, ms: number) => unknown;
  private readonly clearTimer: (timer: never) => void;

  constructor(private readonly options: LiveOptions) {
    this.signal = new Signal(options.schedule);
    this.now = options.now ?? Date.now;
    this.setTimer = options.setTimer ?? ((run, ms) => setTimeout(run, ms));
    this.clearTimer = options.clearTimer ?? ((timer) => clearTimeout(timer));
  }

  readonly subscribe = (listener: () => void): Unsubscribe => this.signal.subscribe(listener);
  readonly state = (): ConnectionState => this.current;

  /** Watches until the answer is called. */
  watch(topic: Topic): Unsubscribe {
    this.topics.add(topic);
    if (this.current.kind === 'open') this.ask(topic);
    else if (!this.resting && this.socket === null && this.retry === null) this.connect();
    return () => {
      this.topics.delete(topic);
      for (const [number, other] of this.numbers) {
        if (other !== topic) continue;
        this.numbers.delete(number);
        this.say(number, { case: 'stop', value: {} });
      }
    };
  }

  /** Tries at once, as when the administrator asks or the network is back. */
  readonly retryNow = (): void => {
    if (this.socket !== null || this.resting) return;
    this.attempts = 0;
    this.connect();
  };

  /** Nobody is signed in: the connection is closed, and none is tried until `wake`. */
  rest(): void {
    if (this.resting) return;
    this.resting = true;
    const { socket } = this;
    this.socket = null;
    socket?.close();
    this.cancel(this.silence);
    this.cancel(this.retry);
    this.retry = null;
    this.numbers.clear();
    this.become({ kind: 'connecting' });
  }

  wake(): void {
    if (!this.resting) return;
    this.resting = false;
    this.attempts = 0;
    if (this.topics.size > 0) this.connect();
  }

  private connect(): void {
    this.cancel(this.retry);
    this.retry = null;
    const socket = this.options.open();
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.listen();
    socket.onopen = () => {
      if (this.socket !== socket) return;
      this.attempts = 0;
      this.become({ kind: 'open', since: this.now() });
      this.listen();
      for (const topic of this.topics) this.ask(topic);
    };
    socket.onmessage = (event) => {
      if (this.socket !== socket) return;
      this.listen();
      this.take(event.data as ArrayBuffer, socket);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.lost();
    };
  }

  private lost(): void {
    this.socket = null;
    this.cancel(this.silence);
    this.numbers.clear();
    const since = this.current.kind === 'lost' ? this.current.since : this.now();
    const wait = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.attempts) * (0.75 + Math.random() / 2);
    this.attempts += 1;
    this.become({ kind: 'lost', since, retryAt: this.now() + wait });
    this.retry = this.setTimer(() => this.connect(), wait);
    this.options.onDoubt?.();
  }

  private listen(): void {
    this.cancel(this.silence);
    const { socket } = this;
    this.silence = this.setTimer(() => {
      if (this.socket !== socket) return;
      socket?.close();
      this.lost();
    }, SILENCE_MS);
  }

  private cancel(timer: unknown): void {
    if (timer !== null) this.clearTimer(timer as never);
  }

  private become(state: ConnectionState): void {
    this.current = state;
    this.signal.emit();
  }

  private ask(topic: Topic): void {
    const number = this.nextNumber++;
    this.numbers.set(number, topic);
    topic.onBegin?.();
    this.say(number, topic.ask());
  }

  private say(topic: number, ask: MessageInitShape<typeof LiveRequestSchema>['ask']): void {
    if (this.current.kind !== 'open') return;
    this.socket?.send(toBinary(LiveRequestSchema, create(LiveRequestSchema, { topic, ask })));
  }

  /** Unpacking takes a moment and must not let a later message pass. */
  private take(packed: ArrayBuffer, socket: Socket): void {
    this.queue = this.queue
      .then(async () => {
        for await (const frame of framesOf(packed)) {
          if (this.socket !== socket) return;
          this.hear(frame);
        }
      })
      .catch((error: unknown) => {
        // What can't be read can't be skipped either: begin anew.
        console.error('live', error);
        if (this.socket !== socket) return;
        socket.close();
        this.lost();
      });
  }

  private hear(frame: LiveFrame): void {
    const topic = this.numbers.get(frame.topic);
    if (topic === undefined) return;
    const { message } = frame;
    if (message.case === 'end') {
      this.numbers.delete(frame.topic);
      const { code, message: why } = message.value;
      if (code === 'unauthenticated') this.options.onDoubt?.();
      if (HOPELESS.has(code)) topic.onFailed?.(code, why);
      else this.askLater(topic);
    } else if (message.case !== undefined && 'type' in message.value && message.value.type === RESYNC) {
      this.numbers.delete(frame.topic);
      this.ask(topic);
    } else {
      topic.onMessage(message);
    }
  }

  private askLater(topic: Topic): void {
    this.setTimer(() => {
      const asked = [...this.numbers.values()].includes(topic);
      if (this.topics.has(topic) && this.current.kind === 'open' && !asked) this.ask(topic);
    }, FIRST_RETRY_MS * 2);
  }
}

/** The same number in the update types of every watch. */
const RESYNC = 101;
