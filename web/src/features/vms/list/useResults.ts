// Verbs asked of rows of the list, and what came of each: a result a row.

import { useCallback, useState } from 'react';
import { toProblem } from '@/api/errors';
import { allowance, runVm, type Verb } from '@/api/verbs';
import { confirmed } from '../actions/ask';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';

export type Result =
  | { readonly kind: 'waiting'; readonly word: string }
  | { readonly kind: 'done'; readonly word: string }
  | { readonly kind: 'denied'; readonly word: string; readonly message: string }
  | { readonly kind: 'failed'; readonly word: string; readonly message: string; readonly requestId: string };

export type Results = ReadonlyMap<string, Result>;

/** The server holds one VM a verb; more at once only wait there. */
const AT_ONCE = 8;

export interface ResultsHandle {
  readonly results: Results;
  readonly run: (verb: Verb, vms: readonly VirtualMachine[]) => void;
  readonly clear: () => void;
}

export function useResults(): ResultsHandle {
  const [results, setResults] = useState<Results>(new Map());
  const set = useCallback((id: string, result: Result) => {
    setResults((now) => new Map(now).set(id, result));
  }, []);
  const go = useCallback(
    (verb: Verb, vms: readonly VirtualMachine[]) => {
      const { word } = verb;
      const allowed = vms.filter((vm) => allowance(vm, verb.verb).allowed);
      setResults((now) => {
        const next = new Map(now);
        for (const vm of vms) {
          const { allowed: may, reason } = allowance(vm, verb.verb);
          next.set(vm.id, may ? { kind: 'waiting', word } : { kind: 'denied', word, message: reason });
        }
        return next;
      });
      const queue = allowed.map((vm) => vm.id);
      const work = async (): Promise<void> => {
        for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
          try {
            await runVm(verb.call(id));
            set(id, { kind: 'done', word });
          } catch (thrown: unknown) {
            const { message, requestId } = toProblem(thrown);
            set(id, { kind: 'failed', word, message, requestId });
          }
        }
      };
      for (let worker = 0; worker < Math.min(AT_ONCE, allowed.length); worker += 1) void work();
    },
    [set],
  );
  const run = useCallback(
    (verb: Verb, vms: readonly VirtualMachine[]) => void confirmed(verb, vms).then((yes) => { if (yes) go(verb, vms); }),
    [go],
  );
  const clear = useCallback(() => setResults(new Map()), []);
  return { results, run, clear };
}
