import { gzipSync } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test, vi } from 'vitest';
import { LiveBatchSchema, LiveRequestSchema, type LiveFrame, type LiveRequest } from '@/gen/Quantixkvm/live/v1/live_pb';
import { VMUpdate_UpdateType as Type } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { Live, type Message, type Socket, type Topic } from './live';

class FakeSocket implements Socket {
  binaryType: BinaryType = 'arraybuffer';
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  readonly sent: LiveRequest[] = [];
  closed = false;

  send(data: Uint8Array<ArrayBuffer>): void {
    this.sent.push(fromBinary(LiveRequestSchema, data));
  }

  close(): void {
    this.closed = true;
  }

  opens(): void {
    this.onopen?.({} as Event);
  }

  breaks(): void {
    this.onclose?.({} as CloseEvent);
  }

  says(frames: { topic: number; message: Message }[], packing: 0 | 1 = 0): void {
    const bytes = toBinary(LiveBatchSchema, create(LiveBatchSchema, { frames: frames as LiveFrame[] }));
    const rest = packing === 1 ? gzipSync(bytes) : bytes;
    const data = new Uint8Array(rest.length + 1);
    data[0] = packing;
    data.set(rest, 1);
    this.onmessage?.({ data: data.buffer } as MessageEvent);
  }
}

interface World {
  readonly live: Live;
  readonly sockets: FakeSocket[];
  readonly last: () => FakeSocket;
  /** Runs what waits, the timers that watch for silence left out. */
  readonly fire: () => void;
}

function world(onDoubt?: () => void): World {
  const sockets: FakeSocket[] = [];
  const timers = new Map<number, { run: () => void; ms: number }>();
  let next = 1;
  const live = new Live({
    open: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    ...(onDoubt === undefined ? {} : { onDoubt }),
    schedule: (tell) => tell(),
    now: () => 1000,
    setTimer: (run, ms) => {
      timers.set(next, { run, ms });
      return next++;
    },
    clearTimer: (timer: number) => void timers.delete(timer),
  });
  return {
    live,
    sockets,
    last: () => sockets[sockets.length - 1] ?? expect.unreachable('no socket was opened'),
    fire: () => {
      for (const [id, timer] of [...timers]) {
        if (timer.ms > 20_000) continue;
        timers.delete(id);
        timer.run();
      }
    },
  };
}

function watcher(): Topic & { names: string[]; begun: () => number; failed: string[] } {
  const names: string[] = [];
  const failed: string[] = [];
  let begun = 0;
  return {
    names,
    failed,
    begun: () => begun,
    ask: () => ({ case: 'vms', value: {} }),
    onBegin: () => (begun += 1),
    onMessage: (message) => {
      if (message.case === 'vms') names.push(message.value.vm?.name ?? `type ${message.value.type}`);
    },
    onFailed: (code) => void failed.push(code),
  };
}

function vmFrame(topic: number, name: string): { topic: number; message: Message } {
  return { topic, message: { case: 'vms', value: { type: Type.MODIFIED, vm: { name } } } as unknown as Message };
}

const resync = (topic: number): { topic: number; message: Message } => ({
  topic,
  message: { case: 'vms', value: { type: Type.RESYNC } } as unknown as Message,
});
const end = (topic: number, code: string): { topic: number; message: Message } => ({
  topic,
  message: { case: 'end', value: { code, message: '' } } as unknown as Message,
});

describe('the live connection', () => {
  test('asks for its topics when it opens, and hands on what they say in order', async () => {
    const { live, last } = world();
    const topic = watcher();
    live.watch(topic);
    expect(live.state().kind).toBe('connecting');
    last().opens();
    expect(last().sent.map((one) => one.ask.case)).toEqual(['vms']);
    // The packed one takes longer to unpack, and still comes first.
    last().says([vmFrame(1, 'a'), vmFrame(1, 'b')], 1);
    last().says([vmFrame(1, 'c')], 0);
    await vi.waitFor(() => expect(topic.names).toEqual(['a', 'b', 'c']));
  });

  test('after a break it tries again, asks anew, and says since when it was gone', async () => {
    const { live, sockets, last, fire } = world();
    const topic = watcher();
    live.watch(topic);
    last().opens();
    last().breaks();
    expect(live.state()).toMatchObject({ kind: 'lost', since: 1000 });
    fire();
    expect(sockets).toHaveLength(2);
    // Failing to open keeps the moment at which it was lost.
    last().breaks();
    expect(live.state()).toMatchObject({ kind: 'lost', since: 1000 });
    fire();
    last().opens();
    expect(live.state().kind).toBe('open');
    expect(topic.begun()).toBe(2);
    expect(last().sent).toHaveLength(1);
  });

  test('what an old socket still says is not heard', async () => {
    const { live, sockets, last, fire } = world();
    const topic = watcher();
    live.watch(topic);
    last().opens();
    last().breaks();
    fire();
    last().opens();
    sockets[0]?.says([vmFrame(1, 'old')]);
    last().says([vmFrame(2, 'new')]);
    await vi.waitFor(() => expect(topic.names).toEqual(['new']));
  });

  test('RESYNC begins the topic anew under another number; the end of the old one is not mistaken', async () => {
    const { live, last } = world();
    const topic = watcher();
    live.watch(topic);
    last().opens();
    last().says([resync(1), end(1, '')]);
    await vi.waitFor(() => expect(last().sent.map((one) => one.topic)).toEqual([1, 2]));
    expect(topic.begun()).toBe(2);
    last().says([vmFrame(1, 'late'), vmFrame(2, 'fresh')]);
    await vi.waitFor(() => expect(topic.names).toEqual(['fresh']));
  });

  test('a topic that ends for a while is asked for again, one that is refused is not', async () => {
    const { live, last, fire } = world();
    const passing = watcher();
    const refused = watcher();
    live.watch(passing);
    live.watch(refused);
    last().opens();
    last().says([end(1, 'unavailable'), end(2, 'not_found')]);
    await vi.waitFor(() => expect(refused.failed).toEqual(['not_found']));
    fire();
    expect(last().sent.map((one) => one.topic)).toEqual([1, 2, 3]);
    expect(passing.begun()).toBe(2);
    expect(refused.begun()).toBe(1);
  });

  test('a topic that nobody watches is stopped and not asked for again', () => {
    const { live, last, fire } = world();
    const stop = live.watch(watcher());
    last().opens();
    stop();
    expect(last().sent.map((one) => one.ask.case)).toEqual(['vms', 'stop']);
    last().breaks();
    fire();
    last().opens();
    expect(last().sent).toHaveLength(0);
  });

  test('what can not be read ends the connection, and it is made anew', async () => {
    const { live, sockets, last, fire } = world();
    const silent = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    live.watch(watcher());
    last().opens();
    last().onmessage?.({ data: new Uint8Array([7, 1, 2]).buffer } as MessageEvent);
    await vi.waitFor(() => expect(live.state().kind).toBe('lost'));
    expect(sockets[0]?.closed).toBe(true);
    fire();
    expect(sockets).toHaveLength(2);
    silent.mockRestore();
  });

  test('each loss is a reason to ask whether one is still signed in', () => {
    let doubts = 0;
    const { live, last, fire } = world(() => (doubts += 1));
    live.watch(watcher());
    last().opens();
    expect(doubts).toBe(0);
    last().breaks();
    expect(doubts).toBe(1);
    fire();
    last().breaks();
    expect(doubts).toBe(2);
  });

  test('a topic that says so is one, too', async () => {
    let doubts = 0;
    const { live, last } = world(() => (doubts += 1));
    live.watch(watcher());
    last().opens();
    last().says([end(1, 'unauthenticated')]);
    await vi.waitFor(() => expect(doubts).toBe(1));
  });

  test('while nobody is signed in nothing is tried, and afterwards all is asked for anew', () => {
    const { live, sockets, last, fire } = world();
    const topic = watcher();
    live.watch(topic);
    last().opens();
    last().breaks();
    live.rest();
    fire();
    live.retryNow();
    live.watch(watcher());
    expect(sockets).toHaveLength(1);
    expect(live.state().kind).toBe('connecting');
    live.wake();
    expect(sockets).toHaveLength(2);
    last().opens();
    expect(last().sent.map((one) => one.ask.case)).toEqual(['vms', 'vms']);
    expect(topic.begun()).toBe(2);
    live.rest();
    expect(last().closed).toBe(true);
    // The close of a connection that was let go is no loss.
    last().breaks();
    fire();
    expect(sockets).toHaveLength(2);
  });
});
