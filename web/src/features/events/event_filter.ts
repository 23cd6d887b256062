// What the page of events is asked for: kept in its address, sent to the server, and held against
// what happens meanwhile.

import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ListEventsRequestSchema, type Event as HostEvent, type ListEventsRequest } from '@/gen/Quantixkvm/compute/v1/event_service_pb';
import { toMillis } from '@/ui/format';

export const SEVERITIES = ['INFO', 'WARNING', 'ERROR'] as const;
export const SPANS = { '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000 } as const;
export type Span = keyof typeof SPANS;

export interface EventFilter {
  /** Empty: all. */
  readonly severity: string;
  readonly types: readonly string[];
  /** UUID of a VM or node. Empty: all. */
  readonly resource: string;
  readonly search: string;
  readonly span: Span | null;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** What the server takes. */
const SEARCH_MAX = 200;

/** An address may hold anything: what makes no sense is left out. */
export function fromAddress(params: URLSearchParams): EventFilter {
  const severity = params.get('severity') ?? '';
  const resource = (params.get('resource') ?? '').toLowerCase();
  const span = params.get('since') ?? '';
  return {
    severity: SEVERITIES.find((one) => one === severity.toUpperCase()) ?? '',
    types: params.getAll('type').filter((type) => type !== ''),
    resource: UUID.test(resource) ? resource : '',
    search: (params.get('q') ?? '').slice(0, SEARCH_MAX),
    span: Object.hasOwn(SPANS, span) ? (span as Span) : null,
  };
}

export function toAddress(filter: EventFilter): URLSearchParams {
  const params = new URLSearchParams();
  if (filter.search !== '') params.set('q', filter.search);
  if (filter.severity !== '') params.set('severity', filter.severity.toLowerCase());
  for (const type of filter.types) params.append('type', type);
  if (filter.resource !== '') params.set('resource', filter.resource);
  if (filter.span !== null) params.set('since', filter.span);
  return params;
}

export function isFiltered(filter: EventFilter): boolean {
  return toAddress(filter).size > 0;
}

/** A request for the first page. `now` is when the filter was set, so that pages belong together. */
export function toRequest(filter: EventFilter, now: number, pageSize: number): ListEventsRequest {
  return create(ListEventsRequestSchema, {
    severity: filter.severity,
    types: [...filter.types],
    resourceId: filter.resource,
    search: filter.search,
    ...(filter.span === null ? {} : { since: timestampFromMs(now - SPANS[filter.span]) }),
    pageSize,
  });
}

/** Whether the server would list it, for what happens while the page is looked at. */
export function fits(event: HostEvent, filter: EventFilter, now: number): boolean {
  return (
    (filter.severity === '' || event.severity === filter.severity) &&
    (filter.types.length === 0 || filter.types.includes(event.type)) &&
    (filter.resource === '' || event.resourceId === filter.resource) &&
    event.message.toLowerCase().includes(filter.search.toLowerCase()) &&
    (filter.span === null || (toMillis(event.createdAt) ?? 0) >= now - SPANS[filter.span])
  );
}
