// The verbs of a VM as calls and in words. Whether one is allowed is never decided here: the VM's
// `allowed_actions` say whether it may be done now, `WhoAmI` whether the caller may do it at all.

import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { VirtualMachineSchema } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { VMService } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import type { DescMessage, DescMethod } from '@bufbuild/protobuf';
import { ALLOWED, may, type Allowance } from './access';
import { call, newKey, run, type Call } from './call';
import { putVm } from './stores';

export type VmCall = Call<DescMessage, typeof VirtualMachineSchema>;

export interface Verb {
  /** As in `allowed_actions`. */
  readonly verb: string;
  /** On a button. */
  readonly word: string;
  /** Takes away what the guest has not written. */
  readonly harsh: boolean;
  readonly call: (id: string) => VmCall;
}

const method = VMService.method;
const verb = (name: string, word: string, harsh: boolean, make: (id: string) => unknown): Verb => ({
  verb: name,
  word,
  harsh,
  call: make as (id: string) => VmCall,
});

/** Those that need nothing but a VM. Deleting has a dialog of its own. */
export const VERBS: readonly Verb[] = [
  verb('start', 'Start', false, (id) => call(method.startVM, { id })),
  verb('stop', 'Stop', false, (id) => call(method.stopVM, { id })),
  verb('force_stop', 'Power off now', true, (id) => call(method.stopVM, { id, force: true })),
  verb('reboot', 'Reboot', false, (id) => call(method.rebootVM, { id })),
  verb('reset', 'Reset', true, (id) => call(method.rebootVM, { id, force: true })),
  verb('pause', 'Pause', false, (id) => call(method.pauseVM, { id })),
  verb('resume', 'Resume', false, (id) => call(method.resumeVM, { id })),
  verb('suspend', 'Suspend', false, (id) => call(method.suspendVM, { id })),
  verb('adopt', 'Adopt', false, (id) => call(method.adoptVM, { id })),
  verb('redefine', 'Redefine', false, (id) => call(method.redefineVM, { id })),
];

export function verbOf(name: string): Verb | undefined {
  return VERBS.find((one) => one.verb === name);
}

const NOT_OFFERED = 'This server does not offer it.';

/** The calls behind the verbs that `allowed_actions` names. */
const METHODS: ReadonlyMap<string, DescMethod> = new Map<string, DescMethod>([
  ...VERBS.map((one): [string, DescMethod] => [one.verb, one.call('').method]),
  ['update', method.updateVM],
  ['delete', method.deleteVM],
  ['force_delete', method.deleteVM],
  ['mount_iso', method.mountISO],
  ['eject_iso', method.ejectISO],
  ['console', method.getConsole],
]);

/** Whether the caller may do it to any VM. */
export function roleAllows(name: string): Allowance {
  const behind = METHODS.get(name);
  return behind === undefined ? ALLOWED : may(behind);
}

/** What the server says of a verb: of the caller first, then of the VM as it is. */
export function allowance(vm: VirtualMachine, name: string): Allowance {
  const byRole = roleAllows(name);
  if (!byRole.allowed) return byRole;
  const action = vm.allowedActions.find((one) => one.verb === name);
  return { allowed: action?.allowed ?? false, reason: action === undefined ? NOT_OFFERED : action.reason };
}

/** Runs a call that answers a VM and keeps the answer. Throws what `toProblem` reads. */
export async function runVm(what: VmCall): Promise<VirtualMachine> {
  const vm = await run(what, { idempotencyKey: newKey() });
  putVm(vm);
  return vm;
}
