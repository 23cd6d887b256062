// One event: when, how much it matters, what, to which thing, by whom; opened, all that is known of it.

import { useState, type ReactElement } from 'react';
import { Link } from 'react-router';
import { useNode, useVm } from '@/api/hooks';
import { paths } from '@/app/paths';
import { Event_Subject, type Event as HostEvent } from '@/gen/Quantixkvm/compute/v1/event_service_pb';
import { CopyText } from '@/ui/CopyText';
import { exact, toMillis } from '@/ui/format';
import { Icon } from '@/ui/icons';
import { StateBadge, type Tone } from '@/ui/StateBadge';
import { RelativeTime } from '@/ui/time';
import './events.css';

const SEVERITY: Record<string, readonly [Tone, string]> = {
  INFO: ['stopped', 'Info'],
  WARNING: ['paused', 'Warning'],
  ERROR: ['wrong', 'Error'],
};
const USERS: Record<string, string> = { api: 'by the API', host: 'outside', system: 'by itself' };

interface Props {
  readonly event: HostEvent;
  /** Absent: the page is about this one thing anyway. */
  readonly onResource?: ((id: string) => void) | undefined;
  /** Absent: nothing is filtered by type. */
  readonly onType?: ((type: string) => void) | undefined;
}

export function EventLine({ event, onResource, onType }: Props): ReactElement {
  const [open, setOpen] = useState(false);
  const [tone, word] = SEVERITY[event.severity] ?? ['stopped', event.severity];
  return (
    <li className={onResource === undefined ? 'q-event q-event-own' : 'q-event'}>
      <span className="q-event-when q-dim"><RelativeTime at={event.createdAt} /></span>
      <span className="q-event-severity"><StateBadge tone={tone} word={word} /></span>
      <span className="q-event-what">{event.message}</span>
      {onResource === undefined ? null : <Resource event={event} onResource={onResource} />}
      {onType === undefined ? <span className="q-event-type q-mono q-dim">{event.type}</span> : (
        <button type="button" className="q-chip q-event-type" title={`Only events of the type ${event.type}`} onClick={() => onType(event.type)}>{event.type}</button>
      )}
      <span className="q-event-by q-dim">{USERS[event.user] ?? `by ${event.user}`}</span>
      <button type="button" className="q-icon-button q-event-open" aria-expanded={open} aria-label={`Facts of ${event.type}`} title="The facts of this event" onClick={() => setOpen(!open)}>
        <Icon name="down" size={14} />
      </button>
      {open ? <EventFacts event={event} /> : null}
    </li>
  );
}

function EventFacts({ event }: { event: HostEvent }): ReactElement {
  const facts = Object.entries(event.metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  const at = toMillis(event.createdAt);
  return (
    <dl className="q-event-facts">
      <dt>when</dt>
      <dd className="q-num">{at === undefined ? '—' : exact(at)}</dd>
      <dt>id</dt>
      <dd className="q-mono">{event.id}</dd>
      {facts.map(([name, value]) => (
        <div key={name} className="q-event-fact">
          <dt>{name.replaceAll('_', ' ')}</dt>
          <dd>{value === '' ? <span className="q-dim">empty</span> : <CopyText text={value} what={name} />}</dd>
        </div>
      ))}
    </dl>
  );
}

function Resource({ event, onResource }: { event: HostEvent; onResource: (id: string) => void }): ReactElement {
  const vm = useVm(event.resourceId);
  const node = useNode(event.resourceId);
  const name = vm?.name ?? node?.hostname;
  const to = event.subject === Event_Subject.NODE ? paths.node(event.resourceId) : paths.vm(event.resourceId);
  return (
    <span className="q-event-resource">
      {name === undefined ? <span className="q-mono q-dim q-cut" title={`${event.resourceId}, which is not here any more`}>{event.resourceId}</span> : <Link to={to} className="q-cut">{name}</Link>}
      <button type="button" className="q-icon-button" aria-label={`Only events of ${name ?? event.resourceId}`} title="Only events of this" onClick={() => onResource(event.resourceId)}>
        <Icon name="filter" size={12} />
      </button>
    </span>
  );
}
