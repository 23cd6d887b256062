// Keys pressed for the administrator: combinations that the browser would keep for itself, and a
// text typed key by key.

import { keysOf } from './us_keys';

/** What presses a key of the guest's keyboard. */
export interface Keyboard {
  sendKey(keysym: number, code: string | null, down: boolean): void;
}

type KeyCode = readonly [keysym: number, code: string];

const CONTROL: KeyCode = [0xffe3, 'ControlLeft'];
const ALT: KeyCode = [0xffe9, 'AltLeft'];
const SHIFT: KeyCode = [0xffe1, 'ShiftLeft'];
const META: KeyCode = [0xffeb, 'MetaLeft'];
const functionKey = (number: number): KeyCode => [0xffbd + number, `F${number}`];

export interface Combination {
  readonly word: string;
  readonly keys: readonly KeyCode[];
}

export const CTRL_ALT_DEL: Combination = { word: 'Ctrl-Alt-Del', keys: [CONTROL, ALT, [0xffff, 'Delete']] };

/** The rest of the menu. */
export const COMBINATIONS: readonly Combination[] = [
  { word: 'Ctrl-Alt-Backspace', keys: [CONTROL, ALT, [0xff08, 'Backspace']] },
  ...[1, 2, 3, 4, 5, 6, 7].map((number) => ({ word: `Ctrl-Alt-F${number}`, keys: [CONTROL, ALT, functionKey(number)] })),
  { word: 'Ctrl-Shift-Esc', keys: [CONTROL, SHIFT, [0xff1b, 'Escape']] },
  { word: 'Ctrl-W', keys: [CONTROL, [0x77, 'KeyW']] },
  { word: 'Alt-Tab', keys: [ALT, [0xff09, 'Tab']] },
  { word: 'Alt-F4', keys: [ALT, functionKey(4)] },
  { word: 'Super', keys: [META] },
  { word: 'Super-L', keys: [META, [0x6c, 'KeyL']] },
  { word: 'Alt-SysRq', keys: [ALT, [0xff61, 'PrintScreen']] },
  { word: 'F11', keys: [functionKey(11)] },
  { word: 'F12', keys: [functionKey(12)] },
];

/** Down in order, up in reverse. */
export function press(keyboard: Keyboard, { keys }: Combination): void {
  for (const [keysym, code] of keys) keyboard.sendKey(keysym, code, true);
  for (const [keysym, code] of [...keys].reverse()) keyboard.sendKey(keysym, code, false);
}

/** An emulated keyboard holds 16 events: faster than a guest reads, letters are lost. */
const KEY_EVERY_MS = 12;

export interface Typing {
  readonly signal: AbortSignal;
  readonly onProgress: (typed: number, all: number) => void;
  readonly wait?: (ms: number) => Promise<void>;
}

/** Types a text; ends early, with no key held, when it is told to. */
export async function typeText(keyboard: Keyboard, text: string, typing: Typing): Promise<void> {
  const wait = typing.wait ?? ((ms) => new Promise<void>((done) => setTimeout(done, ms)));
  const keys = keysOf(text);
  for (const [index, key] of keys.entries()) {
    if (typing.signal.aborted) return;
    if (key.shift) keyboard.sendKey(...SHIFT, true);
    keyboard.sendKey(key.keysym, key.code, true);
    keyboard.sendKey(key.keysym, key.code, false);
    if (key.shift) keyboard.sendKey(...SHIFT, false);
    typing.onProgress(index + 1, keys.length);
    await wait(KEY_EVERY_MS);
  }
}
