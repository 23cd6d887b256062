// The few pictures of the page, drawn here: a line of 1.5 on 16, in the colour of the text.

import type { ReactElement } from 'react';

const PATHS = {
  overview: 'M2.5 13.5v-5m3.7 5v-11m3.7 11v-7m3.6 7v-9',
  vm: 'M2 3h12v8H2zM5.5 13.5h5M8 11v2.5',
  node: 'M2.5 2.5h11v4.5h-11zM2.5 9h11v4.5h-11zM5 4.75h.01M5 11.25h.01',
  events: 'M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.01M2.5 8h.01M2.5 12h.01',
  operations: 'M13.5 8a5.5 5.5 0 1 1-1.8-4M13.5 1.5V4.5H10.5',
  search: 'M7 12a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM10.7 10.7 14 14',
  close: 'm4 4 8 8M12 4l-8 8',
  columns: 'M2.5 2.5h11v11h-11zM6.2 2.5v11M9.8 2.5v11',
  down: 'm4.5 6.5 3.5 3.5 3.5-3.5',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  theme: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 2v12M8.5 4h4M8.5 6.7h5.4M8.5 9.4h5.2M8.5 12h3.6',
  external: 'M6.5 3.5h-4v10h10v-4M9 2.5h4.5V7M13.5 2.5 7.5 8.5',
  access: 'M10.2 9.3a3.6 3.6 0 1 0-3.5-3.5L2 10.5V14h3.5v-2h2v-2zM11 5h.01',
  user: 'M8 8a2.75 2.75 0 1 0 0-5.5A2.75 2.75 0 0 0 8 8zM2.5 14c.6-2.7 2.7-4 5.5-4s4.9 1.3 5.5 4',
  filter: 'M2 3.5h12M4.5 8h7M6.5 12.5h3',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }): ReactElement {
  return (
    <svg
      className="q-icon"
      viewBox="0 0 16 16"
      width={size}
      height={size}
      fill="none"
      stroke="currentColor"
      strokeWidth={name === 'more' ? 2 : 1.5}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
