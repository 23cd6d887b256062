// What a client called itself, in two words: the whole is on hover.

const CLIENTS: readonly (readonly [RegExp, string])[] = [
  [/^curl\//, 'curl'],
  [/^quantixkvm/i, 'quantixkvm'],
  [/Firefox\//, 'Firefox'],
  [/Edg\//, 'Edge'],
  [/Chrome\//, 'Chrome'],
  [/Safari\//, 'Safari'],
];
const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Windows/, 'Windows'],
  [/Mac OS X|Macintosh/, 'macOS'],
  [/Linux|X11/, 'Linux'],
];
const SHOWN = 40;

export function clientWords(agent: string): string {
  const of = (list: typeof CLIENTS): string | undefined => list.find(([pattern]) => pattern.test(agent))?.[1];
  const client = of(CLIENTS);
  if (client === undefined) return agent === '' ? 'unknown client' : agent.slice(0, SHOWN);
  const system = of(SYSTEMS);
  return system === undefined ? client : `${client} on ${system}`;
}
