// The newest events of the host.

import type { ReactElement } from 'react';
import { Link } from 'react-router';
import { useEvents } from '@/api/hooks';
import { paths } from '@/app/paths';
import { Event_Subject } from '@/gen/Quantixkvm/compute/v1/event_service_pb';
import { StateShape, type Tone } from '@/ui/StateBadge';
import { RelativeTime } from '@/ui/time';

const SHOWN = 8;
const TONES: Record<string, readonly [Tone, string]> = { WARNING: ['paused', 'Warning'], ERROR: ['wrong', 'Error'] };

export function Latest(): ReactElement {
  const events = useEvents().slice(0, SHOWN);
  return (
    <section className="q-panel" aria-label="Latest events">
      <header className="q-panel-head">
        <h2>Latest events</h2>
        <Link to={paths.events()}>All</Link>
      </header>
      {events.length === 0 ? <p className="q-dim">Nothing has happened yet.</p> : (
        <ul className="q-lines">
          {events.map((event) => {
            const [tone, word] = TONES[event.severity] ?? ['stopped', 'Note'];
            const to = event.subject === Event_Subject.NODE ? paths.node(event.resourceId) : paths.vm(event.resourceId, 'events');
            return (
              <li key={event.id} className="q-line">
                <StateShape tone={tone} />
                <span className="q-offscreen">{word}</span>
                <Link to={to} className="q-plain q-cut" title={event.message}>{event.message}</Link>
                <span className="q-grow" />
                <span className="q-dim"><RelativeTime at={event.createdAt} /></span>
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}
