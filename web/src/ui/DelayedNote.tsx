// What is waited for, told only where the wait is long enough to be noticed.

import { useEffect, useState, type ReactElement, type ReactNode } from 'react';

const NOTICED_MS = 1000;

export function DelayedNote({ children }: { children: ReactNode }): ReactElement | null {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), NOTICED_MS);
    return () => clearTimeout(timer);
  }, []);
  return late ? <p className="q-page q-dim" role="status">{children}</p> : null;
}
