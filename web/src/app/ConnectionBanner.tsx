// The connection is lost: since when, when it is tried again, and the way to try at once.

import type { ReactElement } from 'react';
import { useConnection } from '@/api/hooks';
import { live } from '@/api/stores';
import { useNow } from '@/ui/clock';
import { exact } from '@/ui/format';
import { StateShape } from '@/ui/StateBadge';
import { Since } from '@/ui/time';

export function ConnectionBanner(): ReactElement | null {
  const connection = useConnection();
  const now = useNow();
  if (connection.kind !== 'lost') return null;
  const wait = Math.ceil((connection.retryAt - now) / 1000);
  return (
    <div className="q-banner" role="status">
      <StateShape tone="wrong" />
      <span>
        No connection for <Since at={connection.since} />: what you see is from {exact(connection.since)}.{' '}
        {wait > 0 ? `Tried again in ${wait} s.` : 'Trying.'}
      </span>
      <button type="button" className="q-link" onClick={live.retryNow}>
        Try now
      </button>
    </div>
  );
}
