// What one VM does: counters become rates here, by the server's own clock.

import type { ResourceUsage } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import type { Live } from './live';
import { NOTHING, perSecond, type Feed, type Point } from './points';

interface Measured {
  readonly at: number;
  readonly usage: ResourceUsage;
}

export function pointOf(at: number, usage: ResourceUsage | undefined, before: Measured | null): Point {
  if (usage === undefined) return { at, ...NOTHING };
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

export function feedOfVms(live: Live, now: () => number = Date.now): Feed<Point> {
  return (vmId, take) => {
    let before: Measured | null = null;
    return live.watch({
      ask: () => ({ case: 'vmUsage', value: { vmIds: [vmId] } }),
      onBegin: () => {
        before = null;
      },
      onMessage: (message) => {
        if (message.case !== 'vmUsage') return;
        const { measuredAt, vms } = message.value;
        const at = measuredAt === undefined ? now() : Number(measuredAt.seconds) * 1000 + Math.floor(measuredAt.nanos / 1e6);
        if (before !== null && at <= before.at) return;
        const usage = vms.find((one) => one.vmId === vmId)?.usage;
        take(pointOf(at, usage, before));
        before = usage === undefined ? null : { at, usage };
      },
    });
  };
}
