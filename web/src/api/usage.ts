// Measured use of the VMs that run, with the last points of each for its small charts. Watched
// while something on the page shows it.

import type { ResourceUsage } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import type { VMUsageUpdate } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import type { Live } from './live';
import { Ring } from './rings';
import { toMillis } from './moment';
import { Signal, type Schedule, type Unsubscribe } from './signal';

export interface VmUsage {
  readonly now: ResourceUsage;
  /** Percent of its vCPUs, oldest first. */
  readonly cpu: readonly number[];
  /** Percent of its memory, oldest first. */
  readonly memory: readonly number[];
}

interface Rings {
  readonly cpu: Ring;
  readonly memory: Ring;
  now: ResourceUsage;
  view: VmUsage | null;
}

/** What all VMs read from and wrote to their disks, a second. */
export interface DiskTotals {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly read: number | null;
  readonly written: number | null;
}

const TOTALS_KEPT = 300;

export function memoryPercent(usage: ResourceUsage): number {
  if (usage.memoryAllocatedBytes === 0n) return 0;
  return (Number(usage.memoryUsedBytes) / Number(usage.memoryAllocatedBytes)) * 100;
}

export class UsageStore {
  private readonly rings = new Map<string, Rings>();
  private readonly signal: Signal;
  private watchers = 0;
  private measurements = 0;
  private totals: readonly DiskTotals[] = [];
  private end: Unsubscribe | null = null;

  constructor(
    private readonly live: Live,
    schedule?: Schedule,
  ) {
    this.signal = new Signal(schedule);
  }

  /** Watches while anyone listens. */
  readonly subscribe = (listener: () => void): Unsubscribe => {
    const silent = this.signal.subscribe(listener);
    this.watchers += 1;
    this.end ??= this.live.watch({
      ask: () => ({ case: 'vmUsage', value: {} }),
      onMessage: (message) => {
        if (message.case === 'vmUsage') this.apply(message.value);
      },
    });
    return () => {
      silent();
      this.watchers -= 1;
      // The next row of a list may ask in the same breath.
      setTimeout(() => this.endIfIdle(), 1000);
    };
  };

  private endIfIdle(): void {
    if (this.watchers > 0) return;
    this.end?.();
    this.end = null;
  }

  readonly get = (id: string): VmUsage | undefined => {
    const rings = this.rings.get(id);
    if (rings === undefined) return undefined;
    rings.view ??= { now: rings.now, cpu: rings.cpu.toArray(), memory: rings.memory.toArray() };
    return rings.view;
  };

  /** Another number after each measurement. */
  readonly version = (): number => this.measurements;

  readonly diskTotals = (): readonly DiskTotals[] => this.totals;

  /** Ids of those that use most CPU, busiest first. */
  readonly busiest = (count: number): string[] =>
    [...this.rings]
      .sort(([, a], [, b]) => b.now.cpuUsagePercent - a.now.cpuUsagePercent)
      .slice(0, count)
      .map(([id]) => id);

  apply(update: VMUsageUpdate): void {
    const running = new Set<string>();
    const at = toMillis(update.measuredAt) ?? Date.now();
    const seconds = (at - (this.totals[this.totals.length - 1]?.at ?? at)) / 1000;
    let read = 0;
    let written = 0;
    for (const { vmId, usage } of update.vms) {
      if (usage === undefined) continue;
      running.add(vmId);
      let rings = this.rings.get(vmId);
      if (rings === undefined) {
        rings = { cpu: new Ring(), memory: new Ring(), now: usage, view: null };
        this.rings.set(vmId, rings);
      }
      // A counter that began anew says nothing of the time between.
      read += Math.max(0, Number(usage.diskReadBytes - rings.now.diskReadBytes));
      written += Math.max(0, Number(usage.diskWriteBytes - rings.now.diskWriteBytes));
      rings.now = usage;
      rings.cpu.push(usage.cpuUsagePercent);
      rings.memory.push(memoryPercent(usage));
      rings.view = null;
    }
    for (const id of [...this.rings.keys()]) if (!running.has(id)) this.rings.delete(id);
    const rate = (bytes: number): number | null => (seconds > 0 ? bytes / seconds : null);
    this.totals = [...this.totals.slice(1 - TOTALS_KEPT), { at, read: rate(read), written: rate(written) }];
    this.measurements += 1;
    this.signal.emit();
  }
}
