// A new password, typed twice: what is told is the password, once both are alike.

import { useState, type ReactElement } from 'react';
import { FormField } from './FormField';
import { PasswordInput } from './PasswordInput';

interface Props {
  readonly label?: string;
  /** Null: not typed twice alike. */
  readonly onPassword: (password: string | null) => void;
  readonly violations?: readonly string[] | undefined;
}

const DIFFERENT = 'The two are not alike.';

export function NewPassword({ label = 'Password', onPassword, violations }: Props): ReactElement {
  const [first, setFirst] = useState('');
  const [second, setSecond] = useState('');
  // Who is still typing the second time is not told off.
  const [left, setLeft] = useState(false);
  const tell = (one: string, other: string): void => onPassword(one !== '' && one === other ? one : null);
  return (
    <>
      <FormField label={label} help="10 characters or more." violations={violations}>
        {(input) => <PasswordInput {...input} name="new-password" autoComplete="new-password" required minLength={10} value={first} onValue={(value) => { setFirst(value); tell(value, second); }} />}
      </FormField>
      <FormField label={`${label}, again`} violations={second !== '' && second !== first && (left || second.length >= first.length) ? [DIFFERENT] : []}>
        {(input) => (
          <PasswordInput
            {...input}
            name="new-password-again"
            autoComplete="new-password"
            required
            value={second}
            onBlur={() => setLeft(true)}
            onValue={(value) => { setSecond(value); tell(first, value); }}
          />
        )}
      </FormField>
    </>
  );
}
