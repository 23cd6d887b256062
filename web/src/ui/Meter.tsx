// How much of something is promised and how much is used, one bar, with the figures beside it.

import type { ReactElement } from 'react';

interface Props {
  readonly name: string;
  /** Shares of the whole, 0-1. */
  readonly used: number;
  readonly promised?: number | undefined;
  /** `56 GiB promised, 64 GiB used, of 255 GiB`. */
  readonly facts: string;
  /** Whether there is trouble when it is full: not so for what may be busy. */
  readonly mayBeFull?: boolean;
}

const clamp = (share: number): number => Math.max(0, Math.min(1, Number.isFinite(share) ? share : 0));

export function Meter({ name, used, promised, facts, mayBeFull = false }: Props): ReactElement {
  const full = !mayBeFull && used >= 0.9;
  return (
    <div className="q-meter">
      <div className="q-meter-head">
        <span className="q-meter-name">{name}</span>
        <span className="q-dim q-num">{facts}</span>
      </div>
      <div className="q-meter-bar" role="img" aria-label={`${name}: ${facts}`}>
        {promised === undefined ? null : <span className="q-meter-promised" style={{ width: `${clamp(promised) * 100}%` }} />}
        <span className={`q-meter-used ${full ? 'q-meter-full' : ''}`} style={{ width: `${clamp(used) * 100}%` }} />
      </div>
    </div>
  );
}
