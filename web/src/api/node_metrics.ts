// What one node does: counters become rates here. Its disks are not among what is heard live.

import type { NodeMetrics } from '@/gen/Quantixkvm/compute/v1/node_service_pb';
import type { Live } from './live';
import { NOTHING, perSecond, type Feed, type Point } from './points';

export interface NodePoint extends Point {
  readonly memoryTotal: number;
}

interface Measured {
  readonly at: number;
  readonly metrics: NodeMetrics;
}

const EVERY_SEC = 2;

export function pointOfNode(at: number, metrics: NodeMetrics, before: Measured | null): NodePoint {
  const past = before?.metrics;
  const millis = before === null ? 0 : at - before.at;
  return {
    ...NOTHING,
    at,
    cpu: metrics.cpuUsagePercent,
    memory: Number(metrics.memoryUsedBytes),
    rx: perSecond(metrics.networkRxBytes, past?.networkRxBytes, millis),
    tx: perSecond(metrics.networkTxBytes, past?.networkTxBytes, millis),
    memoryTotal: Number(metrics.memoryTotalBytes),
  };
}

/** By this browser's clock: the message has none. */
export function feedOfNodes(live: Live, now: () => number = Date.now): Feed<NodePoint> {
  return (nodeId, take) => {
    let before: Measured | null = null;
    return live.watch({
      ask: () => ({ case: 'nodeMetrics', value: { nodeId, intervalSec: EVERY_SEC } }),
      onBegin: () => {
        before = null;
      },
      onMessage: (message) => {
        if (message.case !== 'nodeMetrics') return;
        const at = now();
        take(pointOfNode(at, message.value, before));
        before = { at, metrics: message.value };
      },
    });
  };
}
