// What happened to this VM, newest first, as it happens.

import { Button } from '@patternfly/react-core/dist/esm/components/Button';
import type { ReactElement } from 'react';
import { useParams } from 'react-router';
import { EventLine } from '@/features/events/EventLine';
import { ProblemNote } from '@/ui/ProblemNote';
import { useVmEvents } from './useVmEvents';

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
      <ul className="q-events" aria-label="Events, newest first">
        {events.map((event) => <EventLine key={event.id} event={event} />)}
      </ul>
      {loadMore === null ? null : (
        <Button size="sm" className="q-older-events" variant="secondary" isLoading={loading} onClick={loadMore}>Older events</Button>
      )}
    </section>
  );
}
