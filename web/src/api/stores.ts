// What the page knows, one store a topic, all from the one live connection. Hooks over them are in
// `hooks.ts`; a page never asks the server for what is here.

import type { Event as HostEvent } from '@/gen/Quantixkvm/compute/v1/event_service_pb';
import { EventService, EventUpdate_UpdateType } from '@/gen/Quantixkvm/compute/v1/event_service_pb';
import { NodeUpdate_UpdateType } from '@/gen/Quantixkvm/compute/v1/node_service_pb';
import type { Node } from '@/gen/Quantixkvm/compute/v1/node_pb';
import { VMUpdate_UpdateType } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { Operation_State, type Operation } from '@/gen/Quantixkvm/operation/v1/operation_pb';
import { OperationUpdate_UpdateType } from '@/gen/Quantixkvm/operation/v1/operation_service_pb';
import { call, run } from './call';
import { doubt } from './session';
import { Collection } from './collection';
import { Live } from './live';
import { EventLog } from './event_log';
import { feedOfNodes } from './node_metrics';
import { PointStore } from './points';
import type { Unsubscribe } from './signal';
import { UsageStore } from './usage';
import { feedOfVms } from './vm_metrics';
import { isOlder } from './vm_order';

function openSocket(): WebSocket {
  const { protocol, host } = globalThis.location;
  return new WebSocket(`${protocol === 'https:' ? 'wss' : 'ws'}://${host}/live`);
}

export const live = new Live({ open: openSocket, onDoubt: () => doubt() });
export const vms = new Collection<VirtualMachine>();
export const nodes = new Collection<Node>();
export const operations = new Collection<Operation>();
export const usage = new UsageStore(live);
export const nodeMetrics = new PointStore(feedOfNodes(live));
export const vmMetrics = new PointStore(feedOfVms(live));
export const events = new EventLog();

/** Ended operations that are kept, newest; the page of operations asks the server for more. */
const ENDED_KEPT = 50;

/** What a mutation answered, unless the watch has said something newer since. */
export function putVm(vm: VirtualMachine): void {
  const known = vms.get(vm.id);
  if (known === undefined || !isOlder(vm, known)) vms.put(vm.id, vm);
}

function putOperation(operation: Operation): void {
  operations.put(operation.id, operation);
  const ended = operations.all().filter((one) => one.state !== Operation_State.RUNNING);
  if (ended.length <= ENDED_KEPT) return;
  const oldest = ended.reduce((least, one) => (one.id < least.id ? one : least));
  operations.remove(oldest.id);
}

async function listNewestEvents(): Promise<HostEvent[]> {
  const answer = await run(call(EventService.method.listEvents, { pageSize: 100 }));
  return answer.events;
}

/** Begins what every page needs; the answer ends it. */
export function watchAlways(): Unsubscribe {
  const ends = [
    live.watch({
      ask: () => ({ case: 'vms', value: {} }),
      onBegin: () => vms.begin(),
      onMessage: (message) => {
        if (message.case !== 'vms') return;
        const { type, vm } = message.value;
        if (type === VMUpdate_UpdateType.SYNCED) vms.synced();
        else if (vm === undefined) return;
        else if (type === VMUpdate_UpdateType.DELETED) vms.remove(vm.id);
        else vms.put(vm.id, vm);
      },
    }),
    live.watch({
      ask: () => ({ case: 'nodes', value: {} }),
      onBegin: () => nodes.begin(),
      onMessage: (message) => {
        if (message.case !== 'nodes') return;
        const { type, node } = message.value;
        if (type === NodeUpdate_UpdateType.SYNCED) nodes.synced();
        else if (node === undefined) return;
        else if (type === NodeUpdate_UpdateType.DELETED) nodes.remove(node.id);
        else nodes.put(node.id, node);
      },
    }),
    live.watch({
      ask: () => ({ case: 'operations', value: {} }),
      onBegin: () => operations.begin(),
      onMessage: (message) => {
        if (message.case !== 'operations') return;
        const { type, operation } = message.value;
        if (type === OperationUpdate_UpdateType.SYNCED) operations.synced();
        else if (operation === undefined) return;
        else if (type === OperationUpdate_UpdateType.DELETED) operations.remove(operation.id);
        else putOperation(operation);
      },
    }),
    live.watch({
      ask: () => ({ case: 'events', value: {} }),
      onMessage: (message) => {
        if (message.case !== 'events') return;
        const { type, event } = message.value;
        // What happened while nothing was heard is listed, then merged by id.
        if (type === EventUpdate_UpdateType.SYNCED) void listNewestEvents().then(events.merge, () => undefined);
        else if (event !== undefined) events.merge([event]);
      },
    }),
  ];
  return () => ends.forEach((end) => end());
}
