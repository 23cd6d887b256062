// A question that changes while it is asked: a plan of what one is about to do.

import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { useCallback, useEffect, useState } from 'react';
import { bodyOf, run, type Call } from './call';
import { toProblem, type Problem } from './errors';
import { Latest } from './latest';

export interface Asked<T> {
  /** The last answer there was; `asking` says whether it is of an older question. */
  readonly answer: T | null;
  readonly problem: Problem | null;
  readonly asking: boolean;
  readonly again: () => void;
}

interface Got<T> {
  readonly question: string;
  readonly answer: T | null;
  readonly problem: Problem | null;
}

/** `what` must be the same thing for as long as it asks the same. */
export function useAsked<I extends DescMessage, O extends DescMessage>(what: Call<I, O>, delayMs: number): Asked<MessageShape<O>> {
  const [latest] = useState(() => new Latest(delayMs));
  const [round, setRound] = useState(0);
  const [got, setGot] = useState<Got<MessageShape<O>>>({ question: '', answer: null, problem: null });
  const question = `${bodyOf(what)} ${round}`;
  useEffect(() => {
    latest.ask(
      (signal) => run(what, { signal }),
      (heard) =>
        setGot('answer' in heard
          ? { question, answer: heard.answer, problem: null }
          : { question, answer: null, problem: toProblem(heard.thrown) }),
    );
    return () => latest.drop();
  }, [latest, what, question]);
  const again = useCallback(() => setRound((count) => count + 1), []);
  return { answer: got.answer, problem: got.problem, asking: got.question !== question, again };
}
