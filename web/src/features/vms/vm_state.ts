// States of a VM and of an operation in words and tones. Facts only: what may be done in a state is
// the server's to say.

import { PausedReason, VmStatus_PowerState as Power, type VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import type { Tone } from '@/ui/StateBadge';

export interface Shown {
  readonly tone: Tone;
  readonly word: string;
  /** The reason, a sentence or part of one. Empty: nothing to add. */
  readonly why: string;
}

const WORDS: Record<Power, readonly [Tone, string]> = {
  [Power.UNKNOWN]: ['wrong', 'Unknown'],
  [Power.RUNNING]: ['running', 'Running'],
  [Power.STOPPED]: ['stopped', 'Stopped'],
  [Power.PAUSED]: ['paused', 'Paused'],
  [Power.SUSPENDED]: ['paused', 'Suspended'],
  [Power.CRASHED]: ['wrong', 'Crashed'],
  [Power.MIGRATING]: ['moving', 'Migrating'],
  [Power.PROVISIONING]: ['moving', 'Creating'],
  [Power.LOST]: ['wrong', 'Lost'],
};

const PAUSED_WHY: Record<PausedReason, string> = {
  [PausedReason.UNSPECIFIED]: '',
  [PausedReason.USER]: '',
  [PausedReason.IO_ERROR]: 'a disk gave an I/O error',
  [PausedReason.NO_SPACE]: 'a disk ran out of room on the host',
  [PausedReason.WATCHDOG]: 'the watchdog fired',
  [PausedReason.CRASHED]: 'the guest crashed',
  [PausedReason.MIGRATION]: 'it is being moved, saved or restored',
  [PausedReason.GUEST]: 'the guest put itself to sleep',
  [PausedReason.OTHER]: '',
};
const PAUSED_WRONG = new Set([PausedReason.IO_ERROR, PausedReason.NO_SPACE, PausedReason.WATCHDOG, PausedReason.CRASHED]);

const DOING: Record<string, string> = {
  create: 'Creating',
  update: 'Changing',
  delete: 'Deleting',
  force_delete: 'Deleting',
  start: 'Starting',
  stop: 'Stopping',
  force_stop: 'Powering off',
  reboot: 'Rebooting',
  reset: 'Resetting',
  pause: 'Pausing',
  resume: 'Resuming',
  suspend: 'Suspending',
  adopt: 'Adopting',
  redefine: 'Redefining',
  drain: 'Draining',
};

/** `Stopping`, for a verb in flight. */
export function doing(verb: string): string {
  return DOING[verb] ?? verb.replaceAll('_', ' ');
}

/** The settled state, whatever is in flight. */
export function powerState(state: Power): Shown {
  const [tone, word] = WORDS[state] ?? ['wrong', 'Unknown'];
  return { tone, word, why: '' };
}

/** What a VM is doing now: the verb in flight before the settled state. */
export function vmState(vm: VirtualMachine): Shown {
  const { status } = vm;
  if (status === undefined) return { tone: 'wrong', word: 'Unknown', why: '' };
  if (status.operation !== undefined) {
    return { tone: 'moving', word: doing(status.operation.verb), why: status.operation.step };
  }
  const settled = powerState(status.state);
  if (status.unresponsiveSince !== undefined) return { tone: 'wrong', word: 'Not answering', why: status.errorMessage };
  if (status.state === Power.PAUSED) {
    const tone = PAUSED_WRONG.has(status.pausedReason) ? 'wrong' : settled.tone;
    return { tone, word: settled.word, why: PAUSED_WHY[status.pausedReason] || status.errorMessage };
  }
  return { ...settled, why: status.state === Power.LOST ? status.lostReason : status.errorMessage };
}
