// What one VM does, measured by measured, while something on the page shows it. Counters become
// rates here, by the server's own clock.

import type { VMUsageUpdate } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import type { ResourceUsage } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import type { Live } from './live';
import { Signal, type Schedule, type Unsubscribe } from './signal';

/** One moment. Null: not measured, as while the VM is off. */
export interface VmPoint {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly cpu: number | null;
  readonly memory: number | null;
  readonly diskRead: number | null;
  readonly diskWrite: number | null;
  readonly rx: number | null;
  readonly tx: number | null;
}

/** Ten minutes of one every two seconds. */
const KEPT = 300;
const NONE: readonly VmPoint[] = [];

interface Watched {
  points: readonly VmPoint[];
  before: { at: number; usage: ResourceUsage } | null;
  watchers: number;
  end: Unsubscribe | null;
  readonly signal: Signal;
}

/** What a counter grew by a second. Null: nothing to compare with, or it began anew. */
function perSecond(now: bigint, before: bigint | undefined, millis: number): number | null {
  if (before === undefined || now < before || millis <= 0) return null;
  return (Number(now - before) * 1000) / millis;
}

export function pointOf(at: number, usage: ResourceUsage | undefined, before: { at: number; usage: ResourceUsage } | null): VmPoint {
  if (usage === undefined) return { at, cpu: null, memory: null, diskRead: null, diskWrite: null, rx: null, tx: null };
  const past = before?.usage;
  const millis = before === null ? 0 : at - before.at;
  return {
    at,
    cpu: usage.cpuUsagePercent,
    memory: Number(usage.memoryUsedBytes),
    diskRead: perSecond(usage.diskReadBytes, past?.diskReadBytes, millis),
    diskWrite: perSecond(usage.diskWriteBytes, past?.diskWriteBytes, millis),
    rx: perSecond(usage.networkRxBytes, past?.networkRxBytes, millis),
    tx: perSecond(usage.networkTxBytes, past?.networkTxBytes, millis),
  };
}

export class VmMetricsStore {
  private readonly watched = new Map<string, Watched>();

  constructor(
    private readonly live: Live,
    private readonly schedule?: Schedule,
    private readonly now: () => number = Date.now,
  ) {}

  readonly points = (vmId: string): readonly VmPoint[] => this.watched.get(vmId)?.points ?? NONE;

  /** Watches one VM while anyone listens. */
  subscribe(vmId: string, listener: () => void): Unsubscribe {
    let watched = this.watched.get(vmId);
    if (watched === undefined) {
      watched = { points: NONE, before: null, watchers: 0, end: null, signal: new Signal(this.schedule) };
      this.watched.set(vmId, watched);
    }
    const it = watched;
    const silent = it.signal.subscribe(listener);
    it.watchers += 1;
    it.end ??= this.live.watch({
      ask: () => ({ case: 'vmUsage', value: { vmIds: [vmId] } }),
      onBegin: () => {
        it.before = null;
      },
      onMessage: (message) => {
        if (message.case === 'vmUsage') this.apply(vmId, it, message.value);
      },
    });
    return () => {
      silent();
      it.watchers -= 1;
      // Another tab of the same VM may ask in the same breath.
      setTimeout(() => {
        if (it.watchers > 0) return;
        it.end?.();
        it.end = null;
        this.watched.delete(vmId);
      }, 1000);
    };
  }

  private apply(vmId: string, it: Watched, update: VMUsageUpdate): void {
    const { measuredAt } = update;
    const at = measuredAt === undefined ? this.now() : Number(measuredAt.seconds) * 1000 + Math.floor(measuredAt.nanos / 1e6);
    // Begun anew, a watch first says what was measured last: that is known.
    if (at <= (it.points.at(-1)?.at ?? 0)) return;
    const usage = update.vms.find((one) => one.vmId === vmId)?.usage;
    it.points = [...it.points.slice(1 - KEPT), pointOf(at, usage, it.before)];
    it.before = usage === undefined ? null : { at, usage };
    it.signal.emit();
  }
}
