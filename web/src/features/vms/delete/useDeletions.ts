// Many deletions: a plan for each, then a result for each.

import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { Answers } from '@/api/answers';
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
  readonly plans: Pick<Answers<Planned>, 'get' | 'size' | 'values'>;
  readonly outcomes: Pick<Answers<Outcome>, 'get' | 'size' | 'values'>;
  readonly begin: () => void;
}

/** `vms` are those that were chosen, and stay the same while the dialog is open. */
export function useDeletions(vms: readonly VirtualMachine[], deleteVolumes: boolean): Deletions {
  // Another question has other answers.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const plans = useMemo(() => new Answers<Planned>(), [vms, deleteVolumes]);
  const [outcomes] = useState(() => new Answers<Outcome>());
  useSyncExternalStore(plans.subscribe, plans.version);
  useSyncExternalStore(outcomes.subscribe, outcomes.version);
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    void inTurns(vms, AT_ONCE, signal, async (vm) => {
      const told = await run(planOf(vm.id, { force: mayDelete(vm).force, deleteVolumes }), { signal }).then(
        (plan): Planned => ({ plan }),
        (thrown: unknown): Planned => ({ problem: toProblem(thrown) }),
      );
      if (!signal.aborted) plans.set(vm.id, told);
    });
    return () => controller.abort();
  }, [plans, vms, deleteVolumes]);
  const begin = useCallback(() => {
    // Closing the dialog stops none that was begun.
    void inTurns(vms.filter((vm) => mayDelete(vm).allowed), AT_ONCE, undefined, async (vm) => {
      outcomes.set(vm.id, { kind: 'deleting' });
      await run(deleteCall(vm.id, { force: mayDelete(vm).force, deleteVolumes }), { idempotencyKey: newKey() }).then(
        () => outcomes.set(vm.id, { kind: 'deleted' }),
        (thrown: unknown) => outcomes.set(vm.id, { kind: 'failed', problem: toProblem(thrown) }),
      );
    });
  }, [outcomes, vms, deleteVolumes]);
  return { plans, outcomes, begin };
}
