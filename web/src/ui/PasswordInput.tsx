// A password, which can be looked at while it is typed.

import { useState, type ComponentProps, type ReactElement } from 'react';

interface Props extends Omit<ComponentProps<'input'>, 'type' | 'onChange' | 'value'> {
  readonly value: string;
  readonly onValue: (value: string) => void;
}

export function PasswordInput({ onValue, className = '', ...rest }: Props): ReactElement {
  const [shown, setShown] = useState(false);
  return (
    <span className="q-password">
      <input {...rest} className={`q-input ${className}`} type={shown ? 'text' : 'password'} spellCheck={false} autoCapitalize="none" maxLength={256} onChange={(event) => onValue(event.target.value)} />
      <button type="button" className="q-link" aria-pressed={shown} aria-label="Show the password" onClick={() => setShown(!shown)}>{shown ? 'Hide' : 'Show'}</button>
    </span>
  );
}
