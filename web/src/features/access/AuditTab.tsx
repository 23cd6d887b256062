// Every sign-in and every change: who, from where, what, with what result. The filters are in the
// address, and the export goes by them.

import { useInfiniteQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { useMemo, useState, type ReactElement } from 'react';
import { useSearchParams } from 'react-router';
import { toProblem } from '@/api/errors';
import { AuthService, type AuditEntry } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { CopyText } from '@/ui/CopyText';
import { EmptyState } from '@/ui/EmptyState';
import { Icon } from '@/ui/icons';
import { ProblemNote } from '@/ui/ProblemNote';
import { StateBadge } from '@/ui/StateBadge';
import { RelativeTime } from '@/ui/time';
import { fromAddress, SPANS, toAddress, toRequest, type AuditFilter, type Span } from './audit_filter';
import { ExportButton } from './ExportButton';

const PAGE = 100;
const SPAN_WORDS: Record<Span, string> = { '1h': 'Last hour', '24h': 'Last 24 hours', '7d': 'Last 7 days', '30d': 'Last 30 days' };

/** `VMService/StartVM`: what comes before is the same for all. */
const short = (method: string): string => method.replace(/^Quantixkvm\.[a-z]+\.v\d+\./, '');

function Line({ entry, change }: { entry: AuditEntry; change: (part: Partial<AuditFilter>) => void }): ReactElement {
  const done = entry.code === 'ok';
  return (
    <li className="q-audit-line">
      <span className="q-audit-when q-dim"><RelativeTime at={entry.at} /></span>
      <span className="q-audit-who">
        <button type="button" className="q-link q-cut" title={`Only ${entry.user}`} onClick={() => change({ user: entry.user })}>{entry.user}</button>
      </span>
      <span className="q-dim q-cut" title={`${entry.via} ${entry.address}`}>{entry.via === '' ? '' : `${entry.via}, `}<span className="q-mono">{entry.address}</span></span>
      <span className="q-audit-what">
        <button type="button" className="q-link q-mono" title={`Only ${entry.method}`} onClick={() => change({ method: short(entry.method) })}>{short(entry.method)}</button>{' '}
        {entry.resource === '' ? null : <button type="button" className="q-chip" title="Only what was about this" onClick={() => change({ resource: entry.resource })}>{entry.resource}</button>}
      </span>
      <span><StateBadge tone={done ? 'running' : 'wrong'} word={done ? 'Done' : entry.code.replaceAll('_', ' ')} /></span>
      {entry.message === '' ? null : (
        <span className="q-audit-message q-dim">{entry.message} {entry.requestId === '' ? null : <>· request <CopyText text={entry.requestId} what="request id" /></>}</span>
      )}
    </li>
  );
}

interface BarProps {
  readonly filter: AuditFilter;
  readonly change: (part: Partial<AuditFilter>) => void;
  readonly clear: () => void;
  readonly now: number;
}

function Bar({ filter, change, clear, now }: BarProps): ReactElement {
  const [user, setUser] = useState(filter.user);
  const [method, setMethod] = useState(filter.method);
  const filtered = toAddress(filter).size > 0;
  return (
    <form className="q-access-bar" role="search" onSubmit={(event) => { event.preventDefault(); change({ user: user.trim(), method: method.trim() }); }}>
      <input className="q-input" type="search" aria-label="User" placeholder="User, then Enter" maxLength={64} spellCheck={false} value={user} onChange={(event) => setUser(event.target.value)} />
      <input className="q-input" type="search" aria-label="Method" placeholder="Part of a method" maxLength={100} spellCheck={false} value={method} onChange={(event) => setMethod(event.target.value)} />
      <select className="q-button" aria-label="When" value={filter.span ?? ''} onChange={(event) => change({ span: event.target.value === '' ? null : (event.target.value as Span) })}>
        <option value="">Any time</option>
        {(Object.keys(SPANS) as Span[]).map((span) => <option key={span} value={span}>{SPAN_WORDS[span]}</option>)}
      </select>
      {filter.resource === '' ? null : (
        <button type="button" className="q-button" data-chosen="" aria-label={`About ${filter.resource} only: show all`} onClick={() => change({ resource: '' })}>
          <span className="q-cut">{filter.resource}</span> <Icon name="close" size={12} />
        </button>
      )}
      {/* Enter in either field asks; without a button a browser does not take it for two. */}
      <button type="submit" className="q-offscreen" tabIndex={-1}>Search</button>
      {filtered ? <button type="button" className="q-link" onClick={clear}>Clear</button> : null}
      <span className="q-grow" />
      <ExportButton request={toRequest(filter, now, 0)} />
    </form>
  );
}

export default function AuditTab(): ReactElement {
  const [params, setParams] = useSearchParams();
  const address = params.toString();
  const filter = useMemo(() => fromAddress(new URLSearchParams(address)), [address]);
  const [now, setNow] = useState(() => Date.now());
  const go = (next: URLSearchParams): void => {
    setNow(Date.now());
    setParams(next, { replace: true });
  };
  const change = (part: Partial<AuditFilter>): void => go(toAddress({ ...filter, ...part }));
  const request = useMemo(() => toRequest(filter, now, PAGE), [filter, now]);
  const list = useInfiniteQuery(
    AuthService.method.listAuditEntries,
    { ...request, pageToken: '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, staleTime: 0, placeholderData: keepPreviousData },
  );
  const { data, error, hasNextPage, isFetchingNextPage, fetchNextPage } = list;
  const problem = error === null ? null : toProblem(error);
  const entries = data?.pages.flatMap((page) => page.entries);
  return (
    <>
      <Bar key={address} filter={filter} change={change} clear={() => go(new URLSearchParams())} now={now} />
      {problem === null ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
      {entries === undefined ? null : entries.length === 0 ? (
        <EmptyState title={address === '' ? 'Nothing has been done yet' : 'No line fits'}><p>Each sign-in and each change is written down here: who, from where, what, with what result.</p></EmptyState>
      ) : (
        <div className="q-audit" role="region" aria-label="Audit log" tabIndex={0}>
          <ul aria-label="Lines, newest first">
            {entries.map((entry) => <Line key={entry.sequence.toString()} entry={entry} change={change} />)}
          </ul>
          {hasNextPage ? (
            <p className="q-access-bar">
              <button type="button" className="q-button" aria-disabled={isFetchingNextPage} onClick={() => (isFetchingNextPage ? undefined : void fetchNextPage())}>{isFetchingNextPage ? 'Loading' : 'Load older'}</button>
            </p>
          ) : null}
        </div>
      )}
    </>
  );
}
