// Which verb is offered first: of those that the server allows, the one most likely wanted; where it
// allows none, the one that would be, with its reason.

import { allowance, verbOf, type Verb } from '@/api/verbs';
import { VmStatus_PowerState as Power, type VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';

const WANTED: readonly string[] = ['resume', 'start', 'redefine', 'stop', 'force_stop'];

export function primaryVerb(vm: VirtualMachine): Verb | undefined {
  const verbs = WANTED.map(verbOf).filter((verb): verb is Verb => verb !== undefined);
  const usual = vm.status?.state === Power.RUNNING ? 'stop' : vm.status?.state === Power.PAUSED ? 'resume' : vm.status?.state === Power.LOST ? 'redefine' : 'start';
  // Meanwhile, what one can do stands beside what is being done.
  if (vm.status?.operation !== undefined) return verbOf(usual);
  const may = (verb: Verb): boolean => allowance(vm, verb.verb).allowed;
  return verbs.find((verb) => verb.verb === usual && may(verb)) ?? verbs.find(may) ?? verbOf(usual);
}
