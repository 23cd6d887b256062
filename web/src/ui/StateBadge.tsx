// A state: a shape, a word and one of five hues, so that none is told by colour alone.

import type { ReactElement } from 'react';

/** What a state means to who looks: each has its own shape and hue. */
export type Tone = 'running' | 'stopped' | 'paused' | 'moving' | 'wrong';

const SHAPES: Record<Tone, ReactElement> = {
  running: <circle cx="6" cy="6" r="5" />,
  stopped: <rect x="1.75" y="1.75" width="8.5" height="8.5" rx="1" fill="none" stroke="currentColor" strokeWidth="1.75" />,
  paused: <path d="M2 1h3v10H2zM7 1h3v10H7z" />,
  moving: (
    <path d="M6 1a5 5 0 1 1-4.6 3" fill="none" stroke="currentColor" strokeWidth="1.75" strokeLinecap="round" />
  ),
  wrong: <path d="M6 .5 11.7 11H.3zM5.4 4.2v3.4h1.2V4.2zm0 4.4v1.2h1.2V8.6z" fillRule="evenodd" />,
};

export function StateShape({ tone }: { tone: Tone }): ReactElement {
  return (
    <svg className={`q-shape q-tone-${tone}`} viewBox="0 0 12 12" width="12" height="12" fill="currentColor" aria-hidden="true">
      {SHAPES[tone]}
    </svg>
  );
}

interface Props {
  readonly tone: Tone;
  readonly word: string;
  /** Said on hover, as the reason. */
  readonly title?: string | undefined;
}

export function StateBadge({ tone, word, title }: Props): ReactElement {
  return (
    <span className={`q-state q-tone-${tone}`} title={title}>
      <StateShape tone={tone} />
      <span className="q-state-word">{word}</span>
    </span>
  );
}
