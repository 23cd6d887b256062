// Which lines of two texts differ, with a few around them.

import type { Line } from './CodeView';

const AROUND = 2;

/** Lengths of the longest common runs of lines; definitions are some hundred lines. */
function table(a: readonly string[], b: readonly string[]): Uint16Array[] {
  const rows = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const row = rows[i];
      const below = rows[i + 1];
      if (row === undefined || below === undefined) continue;
      row[j] = a[i] === b[j] ? (below[j + 1] ?? 0) + 1 : Math.max(below[j] ?? 0, row[j + 1] ?? 0);
    }
  }
  return rows;
}

/** Every line of both, those of one alone marked. */
export function allLines(before: string, after: string): Line[] {
  const a = before.trimEnd().split('\n');
  const b = after.trimEnd().split('\n');
  const rows = table(a, b);
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const left = a[i];
    const right = b[j];
    if (left !== undefined && left === right) {
      lines.push({ text: left });
      i += 1;
      j += 1;
    } else if (left !== undefined && (right === undefined || (rows[i + 1]?.[j] ?? 0) >= (rows[i]?.[j + 1] ?? 0))) {
      lines.push({ text: left, mark: '-' });
      i += 1;
    } else if (right !== undefined) {
      lines.push({ text: right, mark: '+' });
      j += 1;
    }
  }
  return lines;
}

/** The lines that differ, each with its neighbours; what is left out is one `…`. */
export function compare(before: string, after: string): Line[] {
  const lines = allLines(before, after);
  const near = lines.map((_line, index) => lines.slice(Math.max(0, index - AROUND), index + AROUND + 1).some((line) => line.mark !== undefined));
  const shown: Line[] = [];
  for (const [index, line] of lines.entries()) {
    if (near[index] === true) shown.push(line);
    else if (shown.at(-1)?.text !== '…') shown.push({ text: '…' });
  }
  return shown;
}
