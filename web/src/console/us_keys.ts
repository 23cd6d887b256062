// Which keys of a US keyboard make a text. A guest sees keys, not letters: what needs Shift is typed
// with Shift held.

export interface Key {
  /** As in `KeyboardEvent.code`. Null: no key of a US keyboard makes it, so only its symbol is sent. */
  readonly code: string | null;
  /** X11's number of the symbol. */
  readonly keysym: number;
  readonly shift: boolean;
}

const RETURN = 0xff0d;
const TAB = 0xff09;
/** Code, character alone, character with Shift. */
const ROWS: readonly (readonly [string, string, string])[] = [
  ['Backquote', '`', '~'],
  ['Digit1', '1', '!'],
  ['Digit2', '2', '@'],
  ['Digit3', '3', '#'],
  ['Digit4', '4', '$'],
  ['Digit5', '5', '%'],
  ['Digit6', '6', '^'],
  ['Digit7', '7', '&'],
  ['Digit8', '8', '*'],
  ['Digit9', '9', '('],
  ['Digit0', '0', ')'],
  ['Minus', '-', '_'],
  ['Equal', '=', '+'],
  ['BracketLeft', '[', '{'],
  ['BracketRight', ']', '}'],
  ['Backslash', '\\', '|'],
  ['Semicolon', ';', ':'],
  ['Quote', "'", '"'],
  ['Comma', ',', '<'],
  ['Period', '.', '>'],
  ['Slash', '/', '?'],
  ['Space', ' ', ' '],
];

const KEYS: ReadonlyMap<string, Key> = new Map(
  [
    ...ROWS,
    ...Array.from('abcdefghijklmnopqrstuvwxyz', (letter) => [`Key${letter.toUpperCase()}`, letter, letter.toUpperCase()] as const),
  ].flatMap(([code, plain, shifted]): [string, Key][] => [
    [shifted, { code, keysym: shifted.charCodeAt(0), shift: true }],
    [plain, { code, keysym: plain.charCodeAt(0), shift: false }],
  ]),
);

/** X11's number of a character: Latin-1 as it is, the rest by its Unicode number. */
function keysymOf(point: number): number {
  return (point >= 0x20 && point <= 0x7e) || (point >= 0xa0 && point <= 0xff) ? point : 0x0100_0000 | point;
}

/** The keys of a text, in order. Control characters other than tab and newline have none. */
export function keysOf(text: string): Key[] {
  const keys: Key[] = [];
  for (const character of text.replaceAll('\r\n', '\n')) {
    const point = character.codePointAt(0) ?? 0;
    const known = KEYS.get(character);
    if (known !== undefined) keys.push(known);
    else if (character === '\n' || character === '\r') keys.push({ code: 'Enter', keysym: RETURN, shift: false });
    else if (character === '\t') keys.push({ code: 'Tab', keysym: TAB, shift: false });
    else if (point >= 0xa0) keys.push({ code: null, keysym: keysymOf(point), shift: false });
  }
  return keys;
}
