// Keys of a table, where they lead; and the width that its columns need.

/** The row that a key leads to. Null: none. */
export function moveTo(key: string, index: number, count: number, page: number): number | null {
  const step = Math.max(1, page);
  const moves: Record<string, number> = {
    j: index + 1,
    ArrowDown: index + 1,
    k: index - 1,
    ArrowUp: index - 1,
    PageDown: index + step,
    PageUp: index - step,
    Home: 0,
    End: count - 1,
  };
  const to = moves[key];
  return to === undefined ? null : Math.max(0, Math.min(count - 1, to));
}

/** Tab within a row: to its next part, or back; false at its ends, where Tab goes on by itself. */
export function stepInside(row: HTMLElement, from: HTMLElement, back: boolean): boolean {
  const parts = [...row.querySelectorAll<HTMLElement>('a, button, input')];
  const at = parts.indexOf(from);
  if (back && from === row) return false;
  const to = back ? (at === 0 ? row : parts[at - 1]) : parts[at + 1];
  to?.focus();
  return to !== undefined;
}

/** The least width of all tracks: below it the table scrolls sideways, as one. */
export function leastWidth(widths: readonly string[]): string {
  return `calc(${widths.map((width) => /[\d.]+(rem|px|ch)/.exec(width)?.[0] ?? '0px').join(' + ')})`;
}
