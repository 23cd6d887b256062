import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';

export interface PendingOf {
  readonly path: string;
  /** What of the device, in words. Empty: the whole of it. */
  readonly field: string;
  readonly current: string;
  readonly pending: string;
}

/** What waits for the next start of what these paths name. */
export function pendingUnder(vm: VirtualMachine, paths: readonly string[]): PendingOf[] {
  return (vm.status?.pendingChanges ?? []).flatMap(({ path, current, pending }) => {
    const over = paths.find((one) => path === one || path.startsWith(`${one}.`) || path.startsWith(`${one}[`));
    return over === undefined ? [] : [{ path, field: path.slice(over.length + 1).replaceAll('_', ' '), current, pending }];
  });
}
