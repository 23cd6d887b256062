// Times: relative on the page, exact on hover.

import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { useSyncExternalStore, type ReactElement } from 'react';
import { useNow } from './clock';
import { duration, exact, relative, toMillis } from './format';

export function RelativeTime({ at, never = '—' }: { at: Timestamp | number | undefined; never?: string }): ReactElement {
  const now = useNow();
  const millis = typeof at === 'number' ? at : toMillis(at);
  if (millis === undefined) return <span className="q-dim">{never}</span>;
  return (
    <time dateTime={new Date(millis).toISOString()} title={exact(millis)} className="q-num">
      {relative(millis, now)}
    </time>
  );
}

/** How long it has been: `3 d`. */
export function Since({ at }: { at: Timestamp | number | undefined }): ReactElement {
  const now = useNow();
  const millis = typeof at === 'number' ? at : toMillis(at);
  if (millis === undefined) return <span className="q-dim">—</span>;
  return (
    <time dateTime={new Date(millis).toISOString()} title={`since ${exact(millis)}`} className="q-num">
      {duration(now - millis)}
    </time>
  );
}

/** Whether the viewport matches, followed. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const list = matchMedia(query);
      list.addEventListener('change', listener);
      return () => list.removeEventListener('change', listener);
    },
    () => matchMedia(query).matches,
  );
}

/** The layout of a telephone. */
export function useNarrow(): boolean {
  return useMedia('(max-width: 640px)');
}
