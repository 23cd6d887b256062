// What was typed is not lost by a press: leaving with it asks.

import { useEffect } from 'react';
import { useBlocker, type Blocker } from 'react-router';

export function useLeaving(dirty: boolean, mayLeave: () => boolean): Blocker {
  useEffect(() => {
    if (!dirty) return undefined;
    const ask = (event: BeforeUnloadEvent): void => {
      if (!mayLeave()) event.preventDefault();
    };
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, [dirty, mayLeave]);
  return useBlocker(({ currentLocation, nextLocation }) => dirty && !mayLeave() && currentLocation.pathname !== nextLocation.pathname);
}
