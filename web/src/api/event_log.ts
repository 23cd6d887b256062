// The newest events, newest first, each once.

import type { Event as HostEvent } from '@/gen/Quantixkvm/compute/v1/event_service_pb';
import { Signal, type Schedule, type Unsubscribe } from './signal';

const KEPT = 500;

/** Ids sort by number and may outgrow what a number holds. */
export function byNewest(a: { id: string }, b: { id: string }): number {
  if (a.id.length !== b.id.length) return b.id.length - a.id.length;
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0;
}

export class EventLog {
  private events: readonly HostEvent[] = [];
  private readonly signal: Signal;

  constructor(schedule?: Schedule) {
    this.signal = new Signal(schedule);
  }

  readonly subscribe = (listener: () => void): Unsubscribe => this.signal.subscribe(listener);
  readonly all = (): readonly HostEvent[] => this.events;
  readonly merge = (more: readonly HostEvent[]): void => {
    const known = new Map(this.events.map((event) => [event.id, event]));
    for (const event of more) known.set(event.id, event);
    this.events = [...known.values()].sort(byNewest).slice(0, KEPT);
    this.signal.emit();
  };
}
