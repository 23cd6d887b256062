// Events of the past are listed a page at a time; what happens meanwhile is put on top.

import { useInfiniteQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { useEffect, useMemo } from 'react';
import { toProblem, type Problem } from '@/api/errors';
import { byNewest } from '@/api/event_log';
import { useConnection, useEvents } from '@/api/hooks';
import { EventService, type Event as HostEvent } from '@/gen/Quantixkvm/compute/v1/event_service_pb';
import { fits, toRequest, type EventFilter } from './event_filter';

const PAGE = 100;

export interface EventPages {
  /** Newest first. */
  readonly events: readonly HostEvent[];
  readonly known: boolean;
  readonly problem: Problem | null;
  readonly loading: boolean;
  /** Null: there is nothing older. */
  readonly loadMore: (() => void) | null;
}

export function useEventPages(filter: EventFilter, now: number): EventPages {
  const live = useEvents();
  const connection = useConnection();
  const request = useMemo(() => toRequest(filter, now, PAGE), [filter, now]);
  const list = useInfiniteQuery(
    EventService.method.listEvents,
    { ...request, pageToken: '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, staleTime: 0, placeholderData: keepPreviousData },
  );
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = list;
  const since = connection.kind === 'open' ? connection.since : 0;
  useEffect(() => {
    if (since > 0) void refetch();
  }, [since, refetch]);
  const events = useMemo(() => {
    const listed = data?.pages.flatMap((page) => page.events) ?? [];
    const newest = listed[0];
    const known = new Map(listed.map((one) => [one.id, one]));
    for (const one of live) {
      // Older ones than the newest listed are listed in their turn.
      if (fits(one, filter, now) && (newest === undefined || byNewest(one, newest) < 0)) known.set(one.id, one);
    }
    return [...known.values()].sort(byNewest);
  }, [data, live, filter, now]);
  return {
    events: data === undefined ? [] : events,
    known: data !== undefined,
    problem: error === null ? null : toProblem(error),
    loading: isFetchingNextPage,
    loadMore: hasNextPage ? () => void fetchNextPage() : null,
  };
}
