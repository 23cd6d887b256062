// What one thing does, measured by measured, while something on the page shows it: of a VM and of a
// node alike.

import { Signal, type Schedule, type Unsubscribe } from './signal';

/** One moment. Null: not measured, as while a VM is off. */
export interface Point {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly cpu: number | null;
  readonly memory: number | null;
  readonly diskRead: number | null;
  readonly diskWrite: number | null;
  readonly rx: number | null;
  readonly tx: number | null;
}

export type Measure = Exclude<keyof Point, 'at'>;
export const NOTHING: Readonly<Record<Measure, null>> = { cpu: null, memory: null, diskRead: null, diskWrite: null, rx: null, tx: null };

/** What a counter grew by a second. Null: nothing to compare with, or it began anew. */
export function perSecond(now: bigint, before: bigint | undefined, millis: number): number | null {
  if (before === undefined || now < before || millis <= 0) return null;
  return (Number(now - before) * 1000) / millis;
}

/** Watches one thing, and gives each measurement to `take`. */
export type Feed<P> = (id: string, take: (point: P) => void) => Unsubscribe;

/** Ten minutes of one every two seconds. */
const KEPT = 300;
const LINGER_MS = 1000;

interface Watched<P> {
  points: readonly P[];
  watchers: number;
  readonly end: Unsubscribe;
  readonly signal: Signal;
}

export class PointStore<P extends Point = Point> {
  private readonly watched = new Map<string, Watched<P>>();
  private readonly none: readonly P[] = [];

  constructor(
    private readonly feed: Feed<P>,
    private readonly schedule?: Schedule,
  ) {}

  readonly points = (id: string): readonly P[] => this.watched.get(id)?.points ?? this.none;

  /** Watches while anyone listens. */
  subscribe(id: string, listener: () => void): Unsubscribe {
    const it = this.watched.get(id) ?? this.begin(id);
    const silent = it.signal.subscribe(listener);
    it.watchers += 1;
    return () => {
      silent();
      it.watchers -= 1;
      // Another part of the page may ask in the same breath.
      setTimeout(() => {
        if (it.watchers > 0 || this.watched.get(id) !== it) return;
        it.end();
        this.watched.delete(id);
      }, LINGER_MS);
    };
  }

  private begin(id: string): Watched<P> {
    const signal = new Signal(this.schedule);
    const end = this.feed(id, (point) => {
      const it = this.watched.get(id);
      // Begun anew, a watch first says what was measured last: that is known.
      if (it === undefined || point.at <= (it.points.at(-1)?.at ?? 0)) return;
      it.points = [...it.points.slice(1 - KEPT), point];
      signal.emit();
    });
    const it: Watched<P> = { points: this.none, watchers: 0, end, signal };
    this.watched.set(id, it);
    return it;
  }
}
