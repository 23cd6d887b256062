// What can't be undone is confirmed by typing the name of what it is done to.

import { useEffect, useId, useRef, useState, type ReactElement, type ReactNode } from 'react';

interface Props {
  /** What must be typed. */
  readonly name: string;
  /** Enter, once it is typed. */
  readonly onEnter?: () => void;
  /** Draws what may be pressed once it is. */
  readonly children: (typed: boolean) => ReactNode;
}

export function ConfirmTyped({ name, onEnter, children }: Props): ReactElement {
  const [text, setText] = useState('');
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const typed = text.trim() === name;
  // A dialog gives the focus to itself when it opens: what is to be typed gets it.
  useEffect(() => {
    const frame = requestAnimationFrame(() => input.current?.focus());
    return () => cancelAnimationFrame(frame);
  }, []);
  return (
    <>
      <div className="q-field">
        <label htmlFor={id} className="q-label">
          Type <strong className="q-mono">{name}</strong> to confirm
        </label>
        <input
          ref={input}
          id={id}
          type="text"
          className="q-input"
          value={text}
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Enter') return;
            event.preventDefault();
            if (typed) onEnter?.();
          }}
        />
      </div>
      {children(typed)}
    </>
  );
}
