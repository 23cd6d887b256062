// Choosing how far back charts look, and what is said of a time of the past.

import type { ReactElement } from 'react';
import { duration } from '@/ui/format';
import { RelativeTime } from '@/ui/time';
import { RANGES, type ChosenRange } from './range';

export function RangeChoice({ range }: { range: ChosenRange }): ReactElement {
  return (
    <div className="q-choice" role="group" aria-label="Range">
      {RANGES.map(([one, word]) => (
        <button key={one} type="button" aria-pressed={one === range.id} onClick={() => range.choose(one)}>{word}</button>
      ))}
    </div>
  );
}

export function AsOf({ stepSec, range }: { stepSec: number; range: ChosenRange }): ReactElement {
  return (
    <p className="q-small q-asof">
      Averages of {duration(stepSec * 1000)}, as of <RelativeTime at={range.asked} />. <button type="button" className="q-link" onClick={range.again}>Look again</button>
    </p>
  );
}
