// Whether a VM has a QEMU that a console could be on: a fact of its state, not a rule.

import { VmStatus_PowerState as Power, type VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { DisplayConfig_DisplayType as Display } from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';
import type { ConsoleKind } from './open';

const ON = new Set([Power.RUNNING, Power.PAUSED, Power.MIGRATING]);

export function runs(vm: VirtualMachine): boolean {
  return vm.status !== undefined && ON.has(vm.status.state);
}

/** What one wants to see first. */
export function firstKind(vm: VirtualMachine): ConsoleKind {
  return vm.spec?.display?.type === Display.NONE ? 'serial' : 'vnc';
}
