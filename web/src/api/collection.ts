// The things of one watched kind, as last heard. While a watch begins anew what was known stays;
// what was not said again is dropped once all has been said.

import { Signal, type Schedule, type Unsubscribe } from './signal';

export class Collection<T> {
  private readonly items = new Map<string, T>();
  /** What the watch that is beginning has said so far. Null: it has said all. */
  private said: Set<string> | null = new Set();
  private known = false;
  private list: readonly T[] | null = null;
  private readonly signal: Signal;

  constructor(schedule?: Schedule) {
    this.signal = new Signal(schedule);
  }

  readonly subscribe = (listener: () => void): Unsubscribe => this.signal.subscribe(listener);
  /** The same array until something changes. */
  readonly all = (): readonly T[] => (this.list ??= [...this.items.values()]);
  readonly get = (id: string): T | undefined => this.items.get(id);
  /** Whether all there is has been heard at least once. */
  readonly isKnown = (): boolean => this.known;

  /** A watch begins: what follows is all that there is, up to `synced`. */
  begin(): void {
    this.said = new Set();
  }

  synced(): void {
    const { said } = this;
    this.said = null;
    this.known = true;
    if (said !== null) {
      for (const id of [...this.items.keys()]) if (!said.has(id)) this.items.delete(id);
    }
    this.changed();
  }

  put(id: string, item: T): void {
    this.said?.add(id);
    this.items.set(id, item);
    this.changed();
  }

  remove(id: string): void {
    this.said?.delete(id);
    if (this.items.delete(id)) this.changed();
  }

  private changed(): void {
    this.list = null;
    // Before all has been said there is nothing to show: a part would be taken for the whole.
    if (this.known) this.signal.emit();
  }
}
