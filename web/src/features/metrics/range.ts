// How far back charts look: the last minutes as they go on, or a time of the past. It is in the
// address.

import { timestampFromMs, type Timestamp } from '@bufbuild/protobuf/wkt';
import { useState } from 'react';
import { useSearchParams } from 'react-router';

export const RANGES = [
  ['live', 'Live', 600],
  ['1h', '1 h', 3600],
  ['6h', '6 h', 21_600],
  ['24h', '24 h', 86_400],
  ['7d', '7 d', 604_800],
] as const;
export type RangeId = (typeof RANGES)[number][0];

export interface ChosenRange {
  readonly id: RangeId;
  readonly seconds: number;
  /** When it was asked for, in milliseconds since 1970. */
  readonly asked: number;
  readonly choose: (next: RangeId) => void;
  /** Up to now. */
  readonly again: () => void;
}

export function useRange(): ChosenRange {
  const [search, setSearch] = useSearchParams();
  const [asked, setAsked] = useState(() => Date.now());
  const [id, , seconds] = RANGES.find(([one]) => one === search.get('range')) ?? RANGES[0];
  const again = (): void => setAsked(Date.now());
  const choose = (next: RangeId): void => {
    again();
    setSearch(next === 'live' ? {} : { range: next }, { replace: true });
  };
  return { id, seconds, asked, choose, again };
}

/** The same, as a history is asked for. */
export function between({ asked, seconds }: Pick<ChosenRange, 'asked' | 'seconds'>): { start: Timestamp; end: Timestamp } {
  return { start: timestampFromMs(asked - seconds * 1000), end: timestampFromMs(asked) };
}
