// Measures over time, on a canvas. In a chunk of its own with the library that draws it: pages
// import it lazily.

import { useEffect, useRef, type ReactElement } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import './chart.css';

export interface Series {
  readonly name: string;
  /** One of the page's hues: `--q-accent`. */
  readonly hue: string;
  /** One a moment; null: nothing was measured. */
  readonly values: readonly (number | null)[];
}

interface Props {
  readonly label: string;
  /** Seconds since 1970, rising. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  readonly format: (value: number) => string;
  /** What the full height means. Absent: the greatest value. */
  readonly max?: number | undefined;
  readonly height?: number;
  /** Seconds that the width covers, up to the newest. Absent: all. */
  readonly span?: number | undefined;
  /** Whether it counts bytes: its grid is then of powers of two. */
  readonly binary?: boolean;
  /** Changes with the theme: colours on a canvas do not follow by themselves. */
  readonly theme: string;
  /** Charts of one name share their cursor. */
  readonly together?: string | undefined;
  /** A moment under the cursor, in words. Absent: the time of day. */
  readonly when?: ((seconds: number) => string) | undefined;
}

const FONT = '11px "Red Hat Text", RedHatText, sans-serif';
const BINARY = Array.from({ length: 51 }, (_, power) => 2 ** power);
const two = (value: number): string => value.toString().padStart(2, '0');

function clock(at: number): string {
  const date = new Date(at * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}

const HALF_DAY = 43_200;

function day(at: number): string {
  const date = new Date(at * 1000);
  return `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

const hueOf = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export default function Chart({ label, times, series, format, max, height = 132, span, binary = false, theme, together, when }: Props): ReactElement {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ format, max, span, when });
  const shape = series.map((one) => `${one.name} ${one.hue}`).join('|');
  useEffect(() => {
    latest.current = { format, max, span, when };
  });

  useEffect(() => {
    const element = host.current;
    if (element === null) return undefined;
    const text = hueOf('--q-dim');
    const grid = { stroke: hueOf('--q-line'), width: 1 };
    const made = new uPlot(
      {
        width: Math.max(80, element.clientWidth),
        height,
        padding: [8, 16, 0, 0],
        cursor: { y: false, points: { size: 6 }, ...(together === undefined ? {} : { sync: { key: together } }) },
        legend: { live: true },
        scales: {
          x: { time: true, range: (_plot, from, to) => [latest.current.span === undefined ? from : to - latest.current.span, to] },
          y: { range: (_plot, _from, to) => [0, latest.current.max ?? (to > 0 ? to * 1.1 : 1)] },
        },
        axes: [
          { stroke: text, grid: { show: false }, ticks: { show: false }, gap: 10, size: 28, space: 70, font: FONT, values: (_plot, splits, _axis, _space, step) => splits.map(step >= HALF_DAY ? day : clock) },
          {
            stroke: text, grid, ticks: { show: false }, size: 58, space: 36, font: FONT, ...(binary ? { incrs: BINARY } : {}),
            values: (_plot, splits) => splits.map((value) => latest.current.format(value)),
          },
        ],
        series: [
          { value: (_plot, at) => (at === null ? '' : (latest.current.when ?? clock)(at)) },
          ...shape.split('|').map((one): uPlot.Series => {
            const [name = '', hue = ''] = one.split(/ (?=--)/);
            const stroke = hueOf(hue);
            return {
              label: name, stroke, width: 1.5, points: { show: false }, fill: `color-mix(in srgb, ${stroke} 12%, transparent)`,
              value: (_plot, value) => (value === null ? '—' : latest.current.format(value)),
            };
          }),
        ],
      },
      [[], ...shape.split('|').map(() => [])],
      element,
    );
    plot.current = made;
    const watcher = new ResizeObserver(() => made.setSize({ width: Math.max(80, element.clientWidth), height }));
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, height, theme, binary, together]);

  useEffect(() => {
    plot.current?.setData([[...times], ...series.map((one) => [...one.values])]);
  }, [times, series, theme, shape, height, binary, together]);

  // An empty one has axes of its own imagination.
  return <div className="q-chart" hidden={times.length === 0} role="img" aria-label={label} ref={host} style={{ minHeight: height }} />;
}
