// Operations that ended before this page was opened are listed; those since, the watch tells.

import { useInfiniteQuery } from '@connectrpc/connect-query';
import { useEffect, useMemo } from 'react';
import { toProblem, type Problem } from '@/api/errors';
import { useConnection, useOperations } from '@/api/hooks';
import type { Operation } from '@/gen/Quantixkvm/operation/v1/operation_pb';
import { OperationService } from '@/gen/Quantixkvm/operation/v1/operation_service_pb';
import { isRunning, mergeOperations } from './operation_state';

export interface OperationPages {
  readonly running: readonly Operation[];
  /** Newest first. */
  readonly ended: readonly Operation[];
  /** Whether the past has been heard of. */
  readonly known: boolean;
  readonly problem: Problem | null;
  readonly loading: boolean;
  /** Null: there is nothing older. */
  readonly loadMore: (() => void) | null;
}

export function useOperationPages(pageSize: number): OperationPages {
  const live = useOperations();
  const connection = useConnection();
  const list = useInfiniteQuery(
    OperationService.method.listOperations,
    { pageSize, pageToken: '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, staleTime: 0 },
  );
  const { refetch, data, error, hasNextPage, isFetchingNextPage, fetchNextPage } = list;
  // What ended while nothing was heard is told by the list alone.
  const since = connection.kind === 'open' ? connection.since : 0;
  useEffect(() => {
    if (since > 0) void refetch();
  }, [since, refetch]);
  const merged = useMemo(() => mergeOperations(data?.pages.flatMap((page) => page.operations) ?? [], live), [data, live]);
  const liveIds = useMemo(() => new Set(live.map((one) => one.id)), [live]);
  return {
    // What runs is the watch's to say: a listed one may have ended since.
    running: merged.filter((one) => isRunning(one) && liveIds.has(one.id)),
    ended: merged.filter((one) => !isRunning(one)),
    known: data !== undefined,
    problem: error === null ? null : toProblem(error),
    loading: isFetchingNextPage,
    loadMore: hasNextPage ? () => void fetchNextPage() : null,
  };
}
