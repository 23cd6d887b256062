// A change of one VM, held against what was seen when it was begun. Where something else of the VM
// changed meanwhile, the change is asked again; where the very thing did, who asked decides.

import type { MessageInitShape } from '@bufbuild/protobuf';
import { call, newKey, run } from '@/api/call';
import { toProblem } from '@/api/errors';
import { putVm } from '@/api/stores';
import { VMService, type UpdateVMRequestSchema } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';

export type Changes = Omit<MessageInitShape<typeof UpdateVMRequestSchema>, 'id' | 'updateMask' | 'resourceVersion' | '$typeName'>;

export interface Change {
  readonly changes: Changes;
  /** What of the request is set. */
  readonly paths: readonly string[];
}

/** What is there now instead of what was seen. */
export class ChangedMeanwhile extends Error {
  constructor(readonly vm: VirtualMachine) {
    super('changed meanwhile');
  }
}

interface Api {
  readonly update: (vm: VirtualMachine, change: Change) => Promise<VirtualMachine>;
  readonly get: (id: string) => Promise<VirtualMachine>;
}

const server: Api = {
  update: (vm, { changes, paths }) =>
    run(
      call(VMService.method.updateVM, { ...changes, id: vm.id, updateMask: { paths: [...paths] }, resourceVersion: vm.resourceVersion }),
      { idempotencyKey: newKey() },
    ),
  get: (id) => run(call(VMService.method.getVM, { id })),
};

const TRIES = 3;

/**
 * `seen` is the VM as it was when the change was begun, `same` whether what the change is about is
 * alike in two sayings of it.
 */
export async function updateVm(
  seen: VirtualMachine,
  change: Change,
  same: (a: VirtualMachine, b: VirtualMachine) => boolean,
  api: Api = server,
): Promise<VirtualMachine> {
  let base = seen;
  for (let tried = 1; ; tried += 1) {
    try {
      const vm = await api.update(base, change);
      putVm(vm);
      return vm;
    } catch (thrown) {
      if (toProblem(thrown).reason !== 'STALE_RESOURCE_VERSION' || tried === TRIES) throw thrown;
      const now = await api.get(seen.id);
      putVm(now);
      if (!same(seen, now)) throw new ChangedMeanwhile(now);
      base = now;
    }
  }
}
