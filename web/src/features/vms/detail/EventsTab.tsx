// What happened to this VM, newest first, as it happens.

import { Button } from '@patternfly/react-core/dist/esm/components/Button';
import { useState, type ReactElement } from 'react';
import { useParams } from 'react-router';
import type { Event as HostEvent } from '@/gen/Quantixkvm/compute/v1/event_service_pb';
import { CopyText } from '@/ui/CopyText';
import { exact, toMillis } from '@/ui/format';
import { ProblemNote } from '@/ui/ProblemNote';
import { StateBadge, type Tone } from '@/ui/StateBadge';
import { RelativeTime } from '@/ui/time';
import { useVmEvents } from './useVmEvents';

const SEVERITY: Record<string, readonly [Tone, string]> = {
  INFO: ['stopped', 'Info'],
  WARNING: ['paused', 'Warning'],
  ERROR: ['wrong', 'Error'],
};
const USERS: Record<string, string> = { api: 'by the API', host: 'outside', system: 'by itself' };

function EventLine({ event }: { event: HostEvent }): ReactElement {
  const [open, setOpen] = useState(false);
  const [tone, word] = SEVERITY[event.severity] ?? (['stopped', event.severity] as const);
  const facts = Object.entries(event.metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  const at = toMillis(event.createdAt);
  return (
    <li className="q-ev">
      <span className="q-ev-when q-dim"><RelativeTime at={event.createdAt} /></span>
      <StateBadge tone={tone} word={word} />
      <span className="q-ev-what">{event.message}</span>
      <span className="q-ev-by q-dim">{USERS[event.user] ?? `by ${event.user}`}</span>
      <button type="button" className="q-ev-type q-mono" aria-expanded={open} onClick={() => setOpen(!open)} title="The facts of this event">
        {event.type}
      </button>
      {open ? (
        <dl className="q-ev-facts">
          <dt>when</dt>
          <dd className="q-num">{at === undefined ? '—' : exact(at)}</dd>
          <dt>id</dt>
          <dd className="q-mono">{event.id}</dd>
          {facts.map(([name, value]) => (
            <div key={name} className="q-ev-fact">
              <dt>{name.replaceAll('_', ' ')}</dt>
              <dd>{value === '' ? <span className="q-dim">empty</span> : <CopyText text={value} what={name} />}</dd>
            </div>
          ))}
        </dl>
      ) : null}
    </li>
  );
}

export default function EventsTab(): ReactElement {
  const { id = '' } = useParams();
  const { events, known, problem, loading, loadMore, again } = useVmEvents(id);
  return (
    <section aria-label="Events">
      {problem === null ? null : (
        <ProblemNote message={problem.message} requestId={problem.requestId}>
          <button type="button" className="q-link" onClick={again}>Ask again</button>
        </ProblemNote>
      )}
      {known && events.length === 0 ? <p className="q-dim">Nothing has happened to it that is still kept.</p> : null}
      <ul className="q-evs">
        {events.map((event) => <EventLine key={event.id} event={event} />)}
      </ul>
      {loadMore === null ? null : (
        <Button size="sm" variant="secondary" isLoading={loading} onClick={loadMore}>Older events</Button>
      )}
    </section>
  );
}
