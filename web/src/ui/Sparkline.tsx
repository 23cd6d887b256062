// A small chart of the last minutes. One path: a list draws dozens of them every two seconds.

import { memo, type ReactElement } from 'react';

const WIDTH = 64;
const HEIGHT = 18;

interface Props {
  /** Oldest first. */
  readonly values: readonly number[];
  /** What a full height means. */
  readonly max: number;
  /** How many values make the full width. */
  readonly points?: number;
  readonly label: string;
}

export function sparkPath(values: readonly number[], max: number, points: number): string {
  const step = WIDTH / Math.max(1, points - 1);
  const from = points - values.length;
  return values
    .map((value, index) => {
      const x = ((from + index) * step).toFixed(1);
      const y = (HEIGHT - 1 - Math.min(1, Math.max(0, value / max)) * (HEIGHT - 2)).toFixed(1);
      return `${index === 0 ? 'M' : 'L'}${x} ${y}`;
    })
    .join('');
}

export const Sparkline = memo(function Sparkline({ values, max, points = 60, label }: Props): ReactElement {
  return (
    <svg className="q-spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img" aria-label={label}>
      <path d={sparkPath(values.slice(-points), max, points)} />
    </svg>
  );
});
