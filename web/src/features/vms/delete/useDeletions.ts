// Many deletions: a plan for each, then a result for each.

import { useCallback, useEffect, useState } from 'react';
import { newKey, run } from '@/api/call';
import { toProblem, type Problem } from '@/api/errors';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import type { DeleteVMResponse } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { mayDelete } from '../actions/ask';
import { inTurns } from './in_turns';
import { deleteCall, planOf } from './plan';

export type Planned = { readonly plan: DeleteVMResponse } | { readonly problem: Problem };
export type Outcome = { readonly kind: 'deleting' } | { readonly kind: 'deleted' } | { readonly kind: 'failed'; readonly problem: Problem };

const AT_ONCE = 4;

export interface Deletions {
  /** Of the question as it is now; one that is not there is still being asked. */
  readonly plans: ReadonlyMap<string, Planned>;
  readonly outcomes: ReadonlyMap<string, Outcome>;
  readonly begin: () => void;
}

/** `vms` are those that were chosen, and stay the same while the dialog is open. */
export function useDeletions(vms: readonly VirtualMachine[], deleteVolumes: boolean): Deletions {
  const [planned, setPlanned] = useState<{ deleteVolumes: boolean; plans: ReadonlyMap<string, Planned> }>({ deleteVolumes, plans: new Map() });
  const [outcomes, setOutcomes] = useState<ReadonlyMap<string, Outcome>>(new Map());
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    void inTurns(vms, AT_ONCE, signal, async (vm) => {
      const told = await run(planOf(vm.id, { force: mayDelete(vm).force, deleteVolumes }), { signal }).then(
        (plan): Planned => ({ plan }),
        (thrown: unknown): Planned => ({ problem: toProblem(thrown) }),
      );
      if (signal.aborted) return;
      setPlanned((now) => ({ deleteVolumes, plans: new Map(now.deleteVolumes === deleteVolumes ? now.plans : []).set(vm.id, told) }));
    });
    return () => controller.abort();
  }, [vms, deleteVolumes]);
  const plans = planned.deleteVolumes === deleteVolumes ? planned.plans : new Map<string, Planned>();
  const begin = useCallback(() => {
    const tell = (id: string, outcome: Outcome): void => setOutcomes((now) => new Map(now).set(id, outcome));
    // Closing the dialog stops none that was begun.
    void inTurns(vms.filter((vm) => mayDelete(vm).allowed), AT_ONCE, undefined, async (vm) => {
      tell(vm.id, { kind: 'deleting' });
      await run(deleteCall(vm.id, { force: mayDelete(vm).force, deleteVolumes }), { idempotencyKey: newKey() }).then(
        () => tell(vm.id, { kind: 'deleted' }),
        (thrown: unknown) => tell(vm.id, { kind: 'failed', problem: toProblem(thrown) }),
      );
    });
  }, [vms, deleteVolumes]);
  return { plans, outcomes, begin };
}
