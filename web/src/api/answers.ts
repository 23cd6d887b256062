// What came of asking for many things, by their ids: however many answers come in a frame, whoever
// shows them draws once.

import { Signal, type Schedule } from './signal';

export class Answers<T> {
  private readonly all = new Map<string, T>();
  private count = 0;
  private readonly signal: Signal;

  constructor(schedule?: Schedule) {
    this.signal = new Signal(schedule);
    this.subscribe = this.signal.subscribe;
  }

  readonly subscribe: Signal['subscribe'];

  /** Another number after each answer. */
  readonly version = (): number => this.count;

  set(id: string, answer: T): void {
    this.all.set(id, answer);
    this.count += 1;
    this.signal.emit();
  }

  get(id: string): T | undefined {
    return this.all.get(id);
  }

  get size(): number {
    return this.all.size;
  }

  values(): T[] {
    return [...this.all.values()];
  }
}
