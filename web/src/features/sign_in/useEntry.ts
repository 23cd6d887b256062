// One try to get in at a time, and what it came back with.

import { useState } from 'react';
import { toProblem, type Problem } from '@/api/errors';

export interface Entry {
  readonly asked: boolean;
  readonly problem: Problem | null;
  /** Calls `onRefused` where it did not get in. */
  readonly enter: (work: () => Promise<void>, onRefused?: () => void) => void;
}

export function useEntry(): Entry {
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  return {
    asked,
    problem,
    enter: (work, onRefused) => {
      if (asked) return;
      setAsked(true);
      setProblem(null);
      work()
        .catch((thrown: unknown) => {
          setProblem(toProblem(thrown));
          onRefused?.();
        })
        .finally(() => setAsked(false));
    },
  };
}
