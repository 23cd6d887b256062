import type { ReactElement } from 'react';
import { useEvents } from '@/api/hooks';
import { Page } from '@/app/Page';

export default function EventsPage(): ReactElement {
  const events = useEvents();
  return (
    <Page title="Events">
      <ul>
        {events.map((event) => (
          <li key={event.id}>{event.message}</li>
        ))}
      </ul>
    </Page>
  );
}
