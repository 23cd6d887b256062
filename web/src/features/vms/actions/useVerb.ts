// Runs verbs on one VM. What is under way is told by the VM itself (`status.operation`); here is
// kept only that the request has left, and the error that it came back with.

import { useCallback, useState } from 'react';
import { toProblem, type Problem } from '@/api/errors';
import { vms } from '@/api/stores';
import { runVm, type Verb } from '@/api/verbs';
import { confirmed } from './ask';

export interface VerbRun {
  readonly run: (verb: Verb, vmId: string) => void;
  /** The verb whose answer is awaited. */
  readonly asked: string | null;
  readonly problem: Problem | null;
  readonly putAway: () => void;
}

export function useVerb(): VerbRun {
  const [asked, setAsked] = useState<string | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const run = useCallback((verb: Verb, vmId: string) => {
    const vm = vms.get(vmId);
    void confirmed(verb, vm === undefined ? [] : [vm]).then((yes) => {
      if (!yes) return;
      setAsked(verb.verb);
      setProblem(null);
      runVm(verb.call(vmId))
        .catch((thrown: unknown) => setProblem(toProblem(thrown)))
        .finally(() => setAsked(null));
    });
  }, []);
  return { run, asked, problem, putAway: useCallback(() => setProblem(null), []) };
}
