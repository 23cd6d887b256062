// Something asked for by a button or a form: one call at a time, and the error it came back with.

import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { useState } from 'react';
import { newKey, run, type Call } from './call';
import { toProblem, type Problem } from './errors';

export interface Asking {
  readonly asked: boolean;
  readonly problem: Problem | null;
  readonly ask: <I extends DescMessage, O extends DescMessage>(what: Call<I, O>, onDone: (answer: MessageShape<O>) => void) => void;
}

export function useAsk(): Asking {
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  return {
    asked,
    problem,
    ask: (what, onDone) => {
      if (asked) return;
      setAsked(true);
      setProblem(null);
      run(what, { idempotencyKey: newKey() })
        .then(onDone, (thrown: unknown) => setProblem(toProblem(thrown)))
        .finally(() => setAsked(false));
    },
  };
}
