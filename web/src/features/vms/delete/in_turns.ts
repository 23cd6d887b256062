// Work on many things, a few at a time, in their order.

export async function inTurns<T>(
  things: readonly T[],
  atOnce: number,
  signal: AbortSignal | undefined,
  work: (thing: T) => Promise<void>,
): Promise<void> {
  const queue = [...things];
  const worker = async (): Promise<void> => {
    for (let thing = queue.shift(); thing !== undefined && signal?.aborted !== true; thing = queue.shift()) await work(thing);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, things.length) }, worker));
}
