// Whose: one's own alone see only theirs, administrators may narrow it down. It is in the address.

import type { ReactElement } from 'react';
import { useSearchParams } from 'react-router';
import { Icon } from '@/ui/icons';

export interface Whose {
  /** Name of a user. Empty: all. */
  readonly user: string;
  readonly chip: ReactElement | null;
}

export function useWhose(): Whose {
  const [params, setParams] = useSearchParams();
  const user = params.get('user') ?? '';
  const chip = user === '' ? null : (
    <button type="button" className="q-button" data-chosen="" aria-label={`Of ${user} only: show all`} onClick={() => setParams({}, { replace: true })}>
      <span className="q-cut">{user}</span> <Icon name="close" size={12} />
    </button>
  );
  return { user, chip };
}
