// What components read. Each hook draws its component again only when what it gave changed.

import { useCallback, useMemo, useSyncExternalStore } from 'react';
import type { Event as HostEvent } from '@/gen/Quantixkvm/compute/v1/event_service_pb';
import type { Node } from '@/gen/Quantixkvm/compute/v1/node_pb';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import type { Operation } from '@/gen/Quantixkvm/operation/v1/operation_pb';
import type { ConnectionState } from './live';
import type { NodePoint } from './node_metrics';
import type { Point } from './points';
import { events, live, nodeMetrics, nodes, operations, usage, vmMetrics, vms } from './stores';
import type { DiskTotals, VmUsage } from './usage';

export function useConnection(): ConnectionState {
  return useSyncExternalStore(live.subscribe, live.state);
}

/** Every VM, in no order. The same array until one changes. */
export function useVms(): readonly VirtualMachine[] {
  return useSyncExternalStore(vms.subscribe, vms.all);
}

/** Whether all VMs have been heard of: before that, an empty list says nothing. */
export function useVmsKnown(): boolean {
  return useSyncExternalStore(vms.subscribe, vms.isKnown);
}

export function useVm(id: string): VirtualMachine | undefined {
  return useSyncExternalStore(vms.subscribe, useCallback(() => vms.get(id), [id]));
}

export function useNodes(): readonly Node[] {
  return useSyncExternalStore(nodes.subscribe, nodes.all);
}

export function useNodesKnown(): boolean {
  return useSyncExternalStore(nodes.subscribe, nodes.isKnown);
}

export function useNode(id: string): Node | undefined {
  return useSyncExternalStore(nodes.subscribe, useCallback(() => nodes.get(id), [id]));
}

/** The machine that this page comes from. */
export function useThisNode(): Node | undefined {
  return useNodes().find((node) => node.spec?.role?.controlPlane === true);
}

/** Operations in flight and those that ended lately, in no order. */
export function useOperations(): readonly Operation[] {
  return useSyncExternalStore(operations.subscribe, operations.all);
}

/** The newest events, newest first. */
export function useEvents(): readonly HostEvent[] {
  return useSyncExternalStore(events.subscribe, events.all);
}

/** What a VM uses now and used lately. Undefined: it is off, or not measured yet. */
export function useVmUsage(id: string): VmUsage | undefined {
  return useSyncExternalStore(usage.subscribe, useCallback(() => usage.get(id), [id]));
}

/** The ids of the VMs that use most CPU, busiest first. */
export function useBusiest(count: number): readonly string[] {
  const version = useSyncExternalStore(usage.subscribe, usage.version);
  // eslint-disable-next-line react-hooks/exhaustive-deps -- `version` stands for what the store holds
  return useMemo(() => usage.busiest(count), [version, count]);
}

/** What the disks of all VMs did, oldest first. */
export function useDiskTotals(): readonly DiskTotals[] {
  return useSyncExternalStore(usage.subscribe, usage.diskTotals);
}

/** What a node did in the last minutes, oldest first. */
export function useNodeMetrics(nodeId: string): readonly NodePoint[] {
  return useSyncExternalStore(
    useCallback((listener: () => void) => nodeMetrics.subscribe(nodeId, listener), [nodeId]),
    useCallback(() => nodeMetrics.points(nodeId), [nodeId]),
  );
}

/** What a VM did in the last minutes, oldest first. */
export function useVmMetrics(vmId: string): readonly Point[] {
  return useSyncExternalStore(
    useCallback((listener: () => void) => vmMetrics.subscribe(vmId, listener), [vmId]),
    useCallback(() => vmMetrics.points(vmId), [vmId]),
  );
}
