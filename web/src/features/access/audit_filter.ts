// What the audit log is asked for: kept in the address.

import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ListAuditEntriesRequestSchema, type ListAuditEntriesRequest } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';

export const SPANS = { '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000, '30d': 2_592_000_000 } as const;
export type Span = keyof typeof SPANS;

export interface AuditFilter {
  /** Empty: all. */
  readonly user: string;
  /** A part of the method's name. */
  readonly method: string;
  readonly resource: string;
  readonly span: Span | null;
}

const MAX = 200;

/** An address may hold anything: what makes no sense is left out. */
export function fromAddress(params: URLSearchParams): AuditFilter {
  const text = (name: string): string => (params.get(name) ?? '').slice(0, MAX);
  const span = text('since');
  return { user: text('user'), method: text('method'), resource: text('resource'), span: Object.hasOwn(SPANS, span) ? (span as Span) : null };
}

export function toAddress({ user, method, resource, span }: AuditFilter): URLSearchParams {
  const params = new URLSearchParams();
  if (user !== '') params.set('user', user);
  if (method !== '') params.set('method', method);
  if (resource !== '') params.set('resource', resource);
  if (span !== null) params.set('since', span);
  return params;
}

/** `now` is when the filter was set, so that pages belong together. */
export function toRequest({ user, method, resource, span }: AuditFilter, now: number, pageSize: number): ListAuditEntriesRequest {
  const since = span === null ? {} : { since: timestampFromMs(now - SPANS[span]) };
  return create(ListAuditEntriesRequestSchema, { user, method, resource, pageSize, ...since });
}
