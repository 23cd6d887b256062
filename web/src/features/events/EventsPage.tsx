// What happened on this host. The filters are in the address; what happens now comes in on top.

import { useMemo, useState, type ReactElement } from 'react';
import { useSearchParams } from 'react-router';
import { useNode, useVm } from '@/api/hooks';
import { Page } from '@/app/Page';
import { CheckMenu } from '@/ui/CheckMenu';
import { EmptyState } from '@/ui/EmptyState';
import { Icon } from '@/ui/icons';
import { useKeys } from '@/ui/keys';
import { ProblemNote } from '@/ui/ProblemNote';
import { fromAddress, isFiltered, SEVERITIES, SPANS, toAddress, type EventFilter, type Span } from './event_filter';
import { EventLine } from './EventLine';
import { useEventPages } from './useEventPages';

const SPAN_WORDS: Record<Span, string> = { '1h': 'Last hour', '24h': 'Last 24 hours', '7d': 'Last 7 days' };
const SEVERITY_WORDS: Record<(typeof SEVERITIES)[number], string> = { INFO: 'Info', WARNING: 'Warning', ERROR: 'Error' };

export default function EventsPage(): ReactElement {
  const [params, setParams] = useSearchParams();
  const address = params.toString();
  const filter = useMemo(() => fromAddress(new URLSearchParams(address)), [address]);
  // A span ends where it ended when it was asked for: the pages of one list belong together.
  const [now, setNow] = useState(() => Date.now());
  const go = (next: URLSearchParams): void => {
    setNow(Date.now());
    setParams(next, { replace: true });
  };
  const change = (part: Partial<EventFilter>): void => go(toAddress({ ...filter, ...part }));
  const clear = (): void => go(new URLSearchParams());
  const { events, known, problem, loading, loadMore } = useEventPages(filter, now);
  const types = useMemo(() => [...new Set([...events.map((one) => one.type), ...filter.types])].sort(), [events, filter.types]);
  return (
    <Page title="Events">
      <Toolbar filter={filter} types={types} change={change} clear={clear} />
      {problem === null ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
      {known && events.length === 0 ? (
        isFiltered(filter) ? (
          <EmptyState title="No event fits"><p><button type="button" className="q-link" onClick={clear}>Show all</button></p></EmptyState>
        ) : (
          <EmptyState title="Nothing has happened yet"><p>Each verb, and each change that another tool makes, is written down here: who, what, when.</p></EmptyState>
        )
      ) : (
        <ul className="q-events" aria-label="Events, newest first">
          {events.map((event) => (
            <EventLine key={event.id} event={event} onResource={(resource) => change({ resource })} onType={(type) => change({ types: [type] })} />
          ))}
        </ul>
      )}
      {loadMore === null ? null : (
        <p className="q-more-events">
          <button type="button" className="q-button" aria-disabled={loading} onClick={() => (loading ? undefined : loadMore())}>
            {loading ? 'Loading' : 'Load older'}
          </button>
        </p>
      )}
    </Page>
  );
}

interface Props {
  readonly filter: EventFilter;
  /** Those that are known here: new ones may come. */
  readonly types: readonly string[];
  readonly change: (part: Partial<EventFilter>) => void;
  readonly clear: () => void;
}

function Toolbar({ filter, types, change, clear }: Props): ReactElement {
  const vm = useVm(filter.resource);
  const node = useNode(filter.resource);
  // What is typed is asked for a moment later, not at each letter.
  const [typed, setTyped] = useState(filter.search);
  useKeys({ '/': (event) => { event.preventDefault(); document.querySelector<HTMLInputElement>('.q-events-search')?.focus(); } });
  return (
    <form className="q-events-bar" role="search" onSubmit={(event) => { event.preventDefault(); change({ search: typed.trim() }); }}>
      <input
        className="q-input q-events-search"
        type="search"
        placeholder="Text, then Enter"
        aria-label="Search events"
        maxLength={200}
        value={typed}
        spellCheck={false}
        onChange={(event) => {
          setTyped(event.target.value);
          if (event.target.value === '') change({ search: '' });
        }}
      />
      <select className="q-button" aria-label="Severity" value={filter.severity} onChange={(event) => change({ severity: event.target.value })}>
        <option value="">Any severity</option>
        {SEVERITIES.map((severity) => <option key={severity} value={severity}>{SEVERITY_WORDS[severity]}</option>)}
      </select>
      <select className="q-button" aria-label="When" value={filter.span ?? ''} onChange={(event) => change({ span: event.target.value === '' ? null : (event.target.value as Span) })}>
        <option value="">Any time</option>
        {(Object.keys(SPANS) as Span[]).map((span) => <option key={span} value={span}>{SPAN_WORDS[span]}</option>)}
      </select>
      <CheckMenu
        word="Type"
        options={() => types.map((type) => ({ id: type, text: type, word: <span className="q-mono">{type}</span>, on: filter.types.includes(type) }))}
        onToggle={(type) => change({ types: filter.types.includes(type) ? filter.types.filter((one) => one !== type) : [...filter.types, type] })}
      />
      {filter.resource === '' ? null : (
        <button type="button" className="q-button" data-chosen="" aria-label={`Events of ${vm?.name ?? node?.hostname ?? filter.resource} only: show all`} onClick={() => change({ resource: '' })}>
          <span className="q-cut q-events-of">{vm?.name ?? node?.hostname ?? filter.resource}</span> <Icon name="close" size={12} />
        </button>
      )}
      {isFiltered(filter) ? <button type="button" className="q-link" onClick={() => { setTyped(''); clear(); }}>Clear</button> : null}
    </form>
  );
}
