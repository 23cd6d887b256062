// What is asked before a VM loses something: one place, drawn once by the frame of the page, so that
// every button, menu and key asks the same.

import { allowance, type Verb } from '@/api/verbs';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';

export type Asking =
  | { readonly kind: 'verb'; readonly verb: Verb; readonly vms: readonly VirtualMachine[]; readonly answer: (yes: boolean) => void }
  | { readonly kind: 'delete'; readonly vms: readonly VirtualMachine[]; readonly onDeleted: (() => void) | undefined };

let asking: Asking | null = null;
const listeners = new Set<() => void>();

function set(next: Asking | null): void {
  // Whoever waits for an answer to another question gets none.
  if (asking?.kind === 'verb') asking.answer(false);
  asking = next;
  for (const tell of listeners) tell();
}

export function subscribeAsking(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

export const nowAsking = (): Asking | null => asking;
export const putAway = (): void => set(null);

/** Whether a verb may go on: at once where nothing is lost by it, else when its name was typed. */
export function confirmed(verb: Verb, vms: readonly VirtualMachine[]): Promise<boolean> {
  const allowed = vms.filter((vm) => allowance(vm, verb.verb).allowed);
  if (!verb.harsh || allowed.length === 0) return Promise.resolve(true);
  return new Promise((answer) => set({ kind: 'verb', verb, vms: allowed, answer }));
}

/** Shows what would go with these VMs, and deletes them when that is confirmed. */
export function askDelete(vms: readonly VirtualMachine[], onDeleted?: () => void): void {
  set({ kind: 'delete', vms, onDeleted });
}

export interface MayDelete {
  readonly allowed: boolean;
  readonly reason: string;
  /** It runs: its power is cut first. */
  readonly force: boolean;
}

/** What the server says of deleting, with force where only that is allowed. */
export function mayDelete(vm: VirtualMachine): MayDelete {
  const plain = allowance(vm, 'delete');
  const force = !plain.allowed && allowance(vm, 'force_delete').allowed;
  return { allowed: plain.allowed || force, reason: plain.allowed || force ? '' : plain.reason, force };
}

/** What is typed to confirm: the name of the one, the number of several. */
export function toType(vms: readonly VirtualMachine[]): string {
  return vms.length === 1 ? (vms[0]?.name ?? '') : `${vms.length} VMs`;
}
