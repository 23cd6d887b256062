// A text that is typed into the guest, key by key: what a screen has instead of a clipboard.

import { Button } from '@patternfly/react-core/dist/esm/components/Button';
import { useEffect, useId, useRef, useState, type ReactElement } from 'react';
import { typeText, type Keyboard } from './typing';
import { keysOf } from './us_keys';

interface Props {
  readonly keyboard: Keyboard | null;
  readonly onClose: () => void;
}

export function TypeText({ keyboard, onClose }: Props): ReactElement {
  const [text, setText] = useState('');
  const [typed, setTyped] = useState<number | null>(null);
  const stop = useRef<AbortController | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const id = useId();
  useEffect(() => {
    field.current?.focus();
    return () => stop.current?.abort();
  }, []);
  const all = keysOf(text).length;
  const begin = (): void => {
    if (keyboard === null) return;
    const ending = new AbortController();
    stop.current = ending;
    setTyped(0);
    void typeText(keyboard, text, { signal: ending.signal, onProgress: setTyped }).then(() => {
      setTyped(null);
      if (!ending.signal.aborted) onClose();
    });
  };
  return (
    <form
      className="q-con-type"
      onSubmit={(event) => {
        event.preventDefault();
        begin();
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose();
      }}
    >
      <label htmlFor={id}>Text to type into the guest, as on a US keyboard</label>
      <textarea id={id} ref={field} rows={3} spellCheck={false} value={text} readOnly={typed !== null} onChange={(event) => setText(event.target.value)} />
      <div className="q-con-row">
        {typed === null ? (
          <>
            <Button type="submit" size="sm" variant="primary" isDisabled={all === 0 || keyboard === null}>Type it</Button>
            <Button size="sm" variant="link" onClick={onClose}>Close</Button>
            <span className="q-dim">{all === 0 ? '' : `${all} keys`}</span>
          </>
        ) : (
          <>
            <progress value={typed} max={all} aria-label="Typed" />
            <span className="q-num">{typed} of {all}</span>
            <Button size="sm" variant="link" onClick={() => stop.current?.abort()}>Cancel</Button>
          </>
        )}
      </div>
    </form>
  );
}
