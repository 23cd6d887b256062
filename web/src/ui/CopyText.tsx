// An id or an address: in monospace, copied by one press.

import { useEffect, useState, type ReactElement } from 'react';

/** `navigator.clipboard` is not there over plain HTTP. */
export async function copy(text: string): Promise<boolean> {
  try {
    if (navigator.clipboard !== undefined) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    // Refused: the old way may still be allowed.
  }
  const field = document.createElement('textarea');
  field.value = text;
  field.setAttribute('readonly', '');
  field.className = 'q-offscreen';
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  return done;
}

interface Props {
  readonly text: string;
  /** What is shown, where it is shorter. */
  readonly shown?: string;
  /** What it is, for a screen reader: `address`. */
  readonly what: string;
  /** -1 where a row leads to its parts itself. */
  readonly tabIndex?: number;
}

export function CopyText({ text, shown, what, tabIndex }: Props): ReactElement {
  const [said, setSaid] = useState<'copied' | 'not copied' | null>(null);
  useEffect(() => {
    if (said === null) return undefined;
    const timer = setTimeout(() => setSaid(null), 1500);
    return () => clearTimeout(timer);
  }, [said]);
  return (
    <span className="q-copy">
      <span className="q-mono" title={shown === undefined ? undefined : text}>{shown ?? text}</span>
      <button
        type="button"
        className="q-icon-button"
        tabIndex={tabIndex}
        aria-label={`Copy ${what} ${text}`}
        title={said ?? 'Copy'}
        onClick={(event) => {
          event.stopPropagation();
          void copy(text).then((done) => setSaid(done ? 'copied' : 'not copied'));
        }}
      >
        <svg viewBox="0 0 16 16" width="13" height="13" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.5">
          {said === 'copied' ? <path d="m3 8.5 3.5 3.5L13 4.5" /> : <path d="M5.5 5.5h8v8h-8zM10.5 5V2.5h-8v8H5" />}
        </svg>
      </button>
      <span className="q-offscreen" role="status">{said}</span>
    </span>
  );
}
