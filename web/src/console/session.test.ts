import { Code, ConnectError } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { ConsoleSession, type ConsoleSocket, type ConsoleState, type Ticket } from './session';

class FakeSocket implements ConsoleSocket {
  closed = false;
  private onOpen: () => void = () => undefined;
  private onClose: (event: { code: number; reason: string }) => void = () => undefined;
  addEventListener(type: 'open' | 'close', listener: never): void {
    if (type === 'open') this.onOpen = listener;
    else this.onClose = listener;
  }
  close(): void {
    this.closed = true;
  }
  opens(): void {
    this.onOpen();
  }
  closes(code: number, reason = ''): void {
    this.onClose({ code, reason });
  }
}

function stage(grants: (takeOver: boolean) => Promise<Ticket> = () => Promise.resolve({ path: '/p', ticket: 't' })) {
  const sockets: FakeSocket[] = [];
  const asked: boolean[] = [];
  const timers: { run: () => void; ms: number }[] = [];
  let now = 0;
  const session = new ConsoleSession<FakeSocket>({
    grant: (takeOver) => {
      asked.push(takeOver);
      return grants(takeOver);
    },
    open: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    attach: () => undefined,
    now: () => now,
    setTimer: (run, ms) => timers.push({ run, ms }),
    clearTimer: () => void timers.pop(),
  });
  return { session, sockets, asked, timers, passes: (ms: number) => void (now += ms) };
}

const settled = (): Promise<void> => new Promise((done) => setTimeout(done));
const kind = (session: { state: () => ConsoleState }): string => session.state().kind;

test('a VM that runs is opened, one that stops is off, and one that runs again is opened again', async () => {
  const { session, sockets } = stage();
  expect(kind(session)).toBe('off');
  session.setRuns(true);
  expect(kind(session)).toBe('connecting');
  await settled();
  sockets[0]?.opens();
  expect(kind(session)).toBe('open');
  session.setRuns(false);
  expect(kind(session)).toBe('off');
  expect(sockets[0]?.closed).toBe(true);
  session.setRuns(true);
  await settled();
  sockets[1]?.opens();
  expect(kind(session)).toBe('open');
});

test('a server that stops is tried again, later each time, and at once when told to', async () => {
  const { session, sockets, timers, passes } = stage();
  session.setRuns(true);
  await settled();
  sockets[0]?.opens();
  passes(60_000);
  sockets[0]?.closes(4003, 'the server stops');
  expect(session.state()).toEqual({ kind: 'waiting', why: 'the server stops', retryAt: 60_500 });
  timers.pop()?.run();
  await settled();
  sockets[1]?.closes(1006);
  expect(timers.at(-1)?.ms).toBe(1000);
  session.tryNow();
  await settled();
  sockets[2]?.opens();
  expect(kind(session)).toBe('open');
});

test('a port in use is refused with its reason, and had by taking it over', async () => {
  const inUse = (takeOver: boolean): Promise<Ticket> =>
    takeOver ? Promise.resolve({ path: '/p', ticket: 't' }) : Promise.reject(new ConnectError('in use', Code.FailedPrecondition));
  const { session, sockets, asked, timers } = stage(inUse);
  session.setRuns(true);
  await settled();
  expect(kind(session)).toBe('refused');
  expect(timers).toHaveLength(0);
  session.takeOver();
  await settled();
  sockets[0]?.opens();
  expect(kind(session)).toBe('open');
  expect(asked).toEqual([false, true]);
});

test('a port that another program took is not fought for', async () => {
  const { session, sockets, timers } = stage();
  session.setRuns(true);
  await settled();
  sockets[0]?.opens();
  sockets[0]?.closes(4002, 'taken');
  expect(session.state()).toEqual({ kind: 'taken', why: 'taken' });
  expect(timers).toHaveLength(0);
});

test('what an ended session hears later changes nothing', async () => {
  const { session, sockets, timers } = stage();
  session.setRuns(true);
  await settled();
  session.end();
  sockets[0]?.closes(1006);
  expect(kind(session)).toBe('off');
  expect(timers).toHaveLength(0);
});
