// One event: when, how much it matters, what, to which thing, by whom.

import type { ReactElement } from 'react';
import { Link } from 'react-router';
import { useNode, useVm } from '@/api/hooks';
import { paths } from '@/app/paths';
import { Event_Subject, type Event as HostEvent } from '@/gen/Quantixkvm/compute/v1/event_service_pb';
import { Icon } from '@/ui/icons';
import { StateBadge, type Tone } from '@/ui/StateBadge';
import { RelativeTime } from '@/ui/time';

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
  readonly onType?: ((type: string) => void) | undefined;
}

export function EventLine({ event, onResource, onType }: Props): ReactElement {
  const [tone, word] = SEVERITY[event.severity] ?? ['stopped', event.severity];
  return (
    <li className="q-event">
      <span className="q-event-when q-dim"><RelativeTime at={event.createdAt} /></span>
      <span className="q-event-severity"><StateBadge tone={tone} word={word} /></span>
      <span className="q-event-what">{event.message}</span>
      {onResource === undefined ? null : <Resource event={event} onResource={onResource} />}
      <button type="button" className="q-chip q-event-type" title={`Only events of the type ${event.type}`} onClick={() => onType?.(event.type)}>{event.type}</button>
      <span className="q-event-by q-dim">{USERS[event.user] ?? `by ${event.user}`}</span>
    </li>
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
