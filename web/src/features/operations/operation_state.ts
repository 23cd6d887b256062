// How an operation stands, in a word and a tone; and which of two accounts of it is the later one.

import { doing } from '@/features/vms/vm_state';
import { Operation_State, type Operation } from '@/gen/Quantixkvm/operation/v1/operation_pb';
import type { Tone } from '@/ui/StateBadge';

const WORDS: Record<Operation_State, readonly [Tone, string]> = {
  [Operation_State.UNSPECIFIED]: ['wrong', 'Unknown'],
  [Operation_State.RUNNING]: ['moving', 'Running'],
  [Operation_State.SUCCEEDED]: ['running', 'Done'],
  [Operation_State.FAILED]: ['wrong', 'Failed'],
  [Operation_State.CANCELLED]: ['stopped', 'Cancelled'],
};

export function operationState(operation: Operation): { tone: Tone; word: string } {
  const [tone, word] = WORDS[operation.state] ?? WORDS[Operation_State.UNSPECIFIED];
  return { tone, word };
}

const VERBS: Record<string, string> = {
  force_stop: 'Power off',
  force_delete: 'Delete by force',
};

/** `Power off`, for a verb that has ended; `Powering off`, for one in flight. */
export function verbWord(operation: Operation): string {
  if (operation.state === Operation_State.RUNNING) return doing(operation.verb);
  const plain = VERBS[operation.verb] ?? operation.verb.replaceAll('_', ' ');
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

export function isRunning(operation: Operation): boolean {
  return operation.state === Operation_State.RUNNING;
}

/** Each once, newest first. Where both tell of one, that which has ended knows more. */
export function mergeOperations(listed: readonly Operation[], live: readonly Operation[]): Operation[] {
  const all = new Map(listed.map((one) => [one.id, one]));
  for (const one of live) {
    const known = all.get(one.id);
    if (known === undefined || isRunning(known)) all.set(one.id, one);
  }
  return [...all.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
}
