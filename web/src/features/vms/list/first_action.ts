// The one action that is most likely wanted of a VM as it is: the first of a fixed order that the
// server allows now.

import { allowance, verbOf, type Verb } from '@/api/verbs';
import { DisplayConfig_DisplayType } from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';

export type FirstAction =
  | { readonly kind: 'verb'; readonly verb: Verb }
  | { readonly kind: 'console'; readonly console: 'vnc' | 'serial' };

/** Back to life first. */
const WANTED = ['redefine', 'resume', 'start'] as const;

export function firstAction(vm: VirtualMachine): FirstAction | null {
  for (const name of WANTED) {
    const verb = verbOf(name);
    if (verb !== undefined && allowance(vm, name).allowed) return { kind: 'verb', verb };
  }
  const inFlight = vm.status?.operation?.verb;
  const powerOff = verbOf('force_stop');
  // A stop that waits for its guest may be waiting in vain.
  if (inFlight === 'stop' && powerOff !== undefined && allowance(vm, 'force_stop').allowed) {
    return { kind: 'verb', verb: powerOff };
  }
  // Usage is measured of what runs, and only what runs has a screen.
  if (vm.status?.resourceUsage === undefined) return null;
  const screen = vm.spec?.display?.type !== DisplayConfig_DisplayType.NONE;
  return { kind: 'console', console: screen ? 'vnc' : 'serial' };
}
