// The events of one VM: those of the past a page at a time, those that happen meanwhile on top.

import { useInfiniteQuery } from '@connectrpc/connect-query';
import { useEffect, useMemo } from 'react';
import { toProblem, type Problem } from '@/api/errors';
import { byNewest } from '@/api/event_log';
import { useConnection, useEvents } from '@/api/hooks';
import { EventService, type Event as HostEvent } from '@/gen/Quantixkvm/compute/v1/event_service_pb';

const PAGE = 50;

export interface VmEvents {
  readonly events: readonly HostEvent[];
  readonly known: boolean;
  readonly problem: Problem | null;
  readonly loading: boolean;
  /** Null: there is nothing older. */
  readonly loadMore: (() => void) | null;
  readonly again: () => void;
}

/** Listed ones, and of the live ones those of this VM that are not older than what is listed. */
export function merged(listed: readonly HostEvent[], live: readonly HostEvent[], vmId: string): HostEvent[] {
  const oldest = listed.at(-1);
  const known = new Map(listed.map((event) => [event.id, event]));
  for (const event of live) {
    if (event.resourceId === vmId && (oldest === undefined || byNewest(event, oldest) <= 0)) known.set(event.id, event);
  }
  return [...known.values()].sort(byNewest);
}

export function useVmEvents(vmId: string): VmEvents {
  const live = useEvents();
  const connection = useConnection();
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(
    EventService.method.listEvents,
    { resourceId: vmId, pageSize: PAGE, pageToken: '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, staleTime: 0 },
  );
  // What happened while nothing was heard is listed anew.
  const since = connection.kind === 'open' ? connection.since : 0;
  useEffect(() => {
    if (since > 0) void refetch();
  }, [since, refetch]);
  const events = useMemo(() => (data === undefined ? [] : merged(data.pages.flatMap((page) => page.events), live, vmId)), [data, live, vmId]);
  return {
    events,
    known: data !== undefined,
    problem: error === null ? null : toProblem(error),
    loading: isFetchingNextPage,
    loadMore: hasNextPage ? () => void fetchNextPage() : null,
    again: () => void refetch(),
  };
}
