// Phases of a node in words and tones.

import { NodeCondition_Status, NodeStatus_Phase as Phase, type Node, type NodeCondition } from '@/gen/Quantixkvm/compute/v1/node_pb';
import type { Tone } from '@/ui/StateBadge';

const WORDS: Record<Phase, readonly [Tone, string]> = {
  [Phase.UNKNOWN]: ['wrong', 'unknown'],
  [Phase.PENDING]: ['moving', 'pending'],
  [Phase.READY]: ['running', 'healthy'],
  [Phase.NOT_READY]: ['wrong', 'not ready'],
  [Phase.MAINTENANCE]: ['paused', 'maintenance'],
  [Phase.DRAINING]: ['moving', 'draining'],
  [Phase.OFFLINE]: ['wrong', 'offline'],
};

/** Conditions that are good when they hold; of the others it is good that they do not. */
const GOOD = /(Ready|Available)$/;

/** Whether a condition asks for someone. */
export function isTrouble(condition: NodeCondition): boolean {
  const bad = GOOD.test(condition.type) ? NodeCondition_Status.FALSE : NodeCondition_Status.TRUE;
  return condition.status === bad;
}

export interface NodeHealth {
  readonly tone: Tone;
  readonly word: string;
  readonly why: string;
}

/** How a node is: its phase, and a condition that asks for someone although it takes VMs. */
export function nodeHealth(node: Node): NodeHealth {
  const { status } = node;
  const [tone, word] = WORDS[status?.phase ?? Phase.UNKNOWN] ?? ['wrong', 'unknown'];
  const troubles = (status?.conditions ?? []).filter(isTrouble);
  if (tone === 'running' && troubles.length > 0) {
    return { tone: 'paused', word: 'needs attention', why: troubles.map((one) => one.message).join(' ') };
  }
  return { tone, word, why: status?.errorMessage ?? '' };
}
