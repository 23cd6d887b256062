// A ticket for a console, and the WebSocket that takes it.

import { call, run } from '@/api/call';
import { GetConsoleRequest_Kind as Kind, VMService } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import type { Ticket } from './session';

export type ConsoleKind = 'vnc' | 'serial';

export const getConsole = (vmId: string, kind: ConsoleKind, takeOver = false) =>
  call(VMService.method.getConsole, { vmId, kind: kind === 'vnc' ? Kind.VNC : Kind.SERIAL, takeOver });

export async function grant(vmId: string, kind: ConsoleKind, takeOver: boolean, signal: AbortSignal): Promise<Ticket> {
  const { websocketUrl, ticket } = await run(getConsole(vmId, kind, takeOver), { signal });
  return { path: websocketUrl, ticket };
}

/** `from`: the position at which a serial console goes on. */
export function openSocket({ path, ticket }: Ticket, from?: number): WebSocket {
  const { protocol, host } = globalThis.location;
  const query = from === undefined ? '' : `?from=${from}`;
  const url = `${protocol === 'https:' ? 'wss' : 'ws'}://${host}${path}${query}`;
  const socket = new WebSocket(url, ['binary', `qkvm.ticket.${ticket}`]);
  socket.binaryType = 'arraybuffer';
  return socket;
}
