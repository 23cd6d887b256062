// Nothing here: why, and how something gets here.

import type { ReactElement, ReactNode } from 'react';

interface Props {
  readonly title: string;
  readonly children?: ReactNode;
}

export function EmptyState({ title, children }: Props): ReactElement {
  return (
    <section className="q-empty">
      <h2>{title}</h2>
      {children}
    </section>
  );
}
