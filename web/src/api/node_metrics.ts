// What a node does, measured by measured, while something on the page shows it.

import type { NodeMetrics } from '@/gen/Quantixkvm/compute/v1/node_service_pb';
import type { Live } from './live';
import { Signal, type Schedule, type Unsubscribe } from './signal';

export interface NodePoint {
  /** Milliseconds since 1970, by this browser's clock. */
  readonly at: number;
  readonly metrics: NodeMetrics;
}

/** Ten minutes of one every two seconds. */
const KEPT = 300;
const EVERY_SEC = 2;

interface Watched {
  points: readonly NodePoint[];
  watchers: number;
  end: Unsubscribe | null;
  readonly signal: Signal;
}

const NONE: readonly NodePoint[] = [];

export class NodeMetricsStore {
  private readonly watched = new Map<string, Watched>();

  constructor(
    private readonly live: Live,
    private readonly schedule?: Schedule,
    private readonly now: () => number = Date.now,
  ) {}

  readonly points = (nodeId: string): readonly NodePoint[] => this.watched.get(nodeId)?.points ?? NONE;

  /** Watches one node while anyone listens. */
  subscribe(nodeId: string, listener: () => void): Unsubscribe {
    let watched = this.watched.get(nodeId);
    if (watched === undefined) {
      watched = { points: NONE, watchers: 0, end: null, signal: new Signal(this.schedule) };
      this.watched.set(nodeId, watched);
    }
    const { signal } = watched;
    const it = watched;
    const silent = signal.subscribe(listener);
    it.watchers += 1;
    it.end ??= this.live.watch({
      ask: () => ({ case: 'nodeMetrics', value: { nodeId, intervalSec: EVERY_SEC } }),
      onMessage: (message) => {
        if (message.case !== 'nodeMetrics') return;
        it.points = [...it.points.slice(1 - KEPT), { at: this.now(), metrics: message.value }];
        signal.emit();
      },
    });
    return () => {
      silent();
      it.watchers -= 1;
      setTimeout(() => {
        if (it.watchers > 0) return;
        it.end?.();
        it.end = null;
      }, 1000);
    };
  }
}
