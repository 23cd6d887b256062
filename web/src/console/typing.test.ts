import { expect, test } from 'vitest';
import { CTRL_ALT_DEL, press, typeText } from './typing';
import { keysOf } from './us_keys';

function keyboard(): { sent: string[]; sendKey: (keysym: number, code: string | null, down: boolean) => void } {
  const sent: string[] = [];
  return { sent, sendKey: (keysym, code, down) => void sent.push(`${down ? '+' : '-'}${code ?? keysym.toString(16)}`) };
}
const at_once = (): Promise<void> => Promise.resolve();
const typing = { signal: new AbortController().signal, onProgress: () => undefined, wait: at_once };

test('what needs Shift is typed with Shift held, and only that', async () => {
  const keys = keyboard();
  await typeText(keys, 'a$B', typing);
  expect(keys.sent).toEqual([
    '+KeyA', '-KeyA',
    '+ShiftLeft', '+Digit4', '-Digit4', '-ShiftLeft',
    '+ShiftLeft', '+KeyB', '-KeyB', '-ShiftLeft',
  ]);
});

test('every printable character of ASCII is a key', () => {
  const printable = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
  const keys = keysOf(printable);
  expect(keys).toHaveLength(95);
  expect(keys.every((key, index) => key.code !== null && key.keysym === 32 + index)).toBe(true);
});

test('a line of any system ends with one Enter; letters of other keyboards go by their symbol', () => {
  expect(keysOf('a\r\nb\n').map((key) => key.code)).toEqual(['KeyA', 'Enter', 'KeyB', 'Enter']);
  expect(keysOf('é€\u0007')).toEqual([
    { code: null, keysym: 0xe9, shift: false },
    { code: null, keysym: 0x0100_20ac, shift: false },
  ]);
});

test('typing ends where it is told to, with no key held', async () => {
  const keys = keyboard();
  const stop = new AbortController();
  await typeText(keys, 'AAAA', { ...typing, signal: stop.signal, onProgress: (typed) => typed === 2 && stop.abort() });
  expect(keys.sent).toHaveLength(8);
  expect(keys.sent.at(-1)).toBe('-ShiftLeft');
});

test('a combination goes down in order and up in reverse', () => {
  const keys = keyboard();
  press(keys, CTRL_ALT_DEL);
  expect(keys.sent).toEqual(['+ControlLeft', '+AltLeft', '+Delete', '-Delete', '-AltLeft', '-ControlLeft']);
});
