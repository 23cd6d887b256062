// How well what was typed fits a thing: every word must be found; at the beginning of a word counts
// more than inside one, a whole name more than a part.

/** Higher fits better. Null: it does not fit. */
export function fit(query: string, text: string): number | null {
  const words = query.toLowerCase().split(/\s+/).filter((word) => word !== '');
  const target = text.toLowerCase();
  let score = 0;
  for (const word of words) {
    const at = target.indexOf(word);
    if (at < 0) return null;
    const begins = at === 0 || /[^a-z0-9]/.test(target[at - 1] ?? '');
    const whole = target.length === word.length;
    score += word.length + (at === 0 ? 6 : begins ? 4 : 0) + (whole ? 8 : 0);
  }
  // Of two that fit alike the shorter is meant.
  return score - target.length / 100;
}

/** The best `limit` that fit, best first; in their own order where nothing was typed. */
export function best<T>(query: string, things: readonly T[], textOf: (thing: T) => string, limit: number): T[] {
  if (query.trim() === '') return things.slice(0, limit);
  const found: { thing: T; score: number }[] = [];
  for (const thing of things) {
    const score = fit(query, textOf(thing));
    if (score !== null) found.push({ thing, score });
  }
  return found.sort((a, b) => b.score - a.score).slice(0, limit).map((one) => one.thing);
}
