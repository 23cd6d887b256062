import type { ReactElement } from 'react';

/** A key, as a hint beside what it does. */
export function KeyHint({ keys }: { keys: string }): ReactElement {
  return <kbd className="q-key" aria-hidden="true">{keys}</kbd>;
}
