// Users, tokens and sessions are asked for when they are looked at: they are few and change rarely.

import { useQuery } from '@connectrpc/connect-query';
import type { DescMessage, DescMethodUnary, MessageShape } from '@bufbuild/protobuf';
import { toProblem, type Problem } from '@/api/errors';
import { queryClient } from '@/api/query';

export interface List<A> {
  readonly answer: A | undefined;
  readonly problem: Problem | null;
}

export function useList<I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>, enabled = true): List<MessageShape<O>> {
  const { data, error } = useQuery(method, undefined, { staleTime: 0, refetchOnWindowFocus: true, enabled });
  return { answer: data, problem: error === null ? null : toProblem(error) };
}

/** Something was changed here: what depends on it is asked anew. */
export function changed(): void {
  void queryClient.invalidateQueries();
}
