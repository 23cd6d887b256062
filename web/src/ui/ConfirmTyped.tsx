// What can't be undone is confirmed by typing the name of what it is done to.

import { TextInput } from '@patternfly/react-core/dist/esm/components/TextInput';
import { useId, useState, type ReactElement, type ReactNode } from 'react';

interface Props {
  /** What must be typed. */
  readonly name: string;
  /** Draws what may be pressed once it is. */
  readonly children: (typed: boolean) => ReactNode;
}

export function ConfirmTyped({ name, children }: Props): ReactElement {
  const [text, setText] = useState('');
  const id = useId();
  return (
    <>
      <label htmlFor={id} className="q-label">
        Type <strong className="q-mono">{name}</strong> to confirm
      </label>
      <TextInput id={id} value={text} onChange={(_event, value) => setText(value)} autoComplete="off" spellCheck={false} />
      {children(text.trim() === name)}
    </>
  );
}
