// The head and body that every page has: its title goes to the window, too.

import { useEffect, type ReactElement, type ReactNode } from 'react';

interface Props {
  readonly title: string;
  /** Beside the title: counts, a state. */
  readonly aside?: ReactNode;
  readonly actions?: ReactNode;
  /** The body takes the height that is left and scrolls within. */
  readonly fills?: boolean;
  readonly children: ReactNode;
}

export function Page({ title, aside, actions, fills = false, children }: Props): ReactElement {
  useEffect(() => {
    document.title = `${title} · Quantix-KVM`;
  }, [title]);
  return (
    <div className={fills ? 'q-page q-page-fills' : 'q-page'}>
      <header className="q-page-head">
        <h1>{title}</h1>
        {aside}
        <div className="q-page-actions">{actions}</div>
      </header>
      {children}
    </div>
  );
}
