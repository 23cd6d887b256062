// The first administrator of a new host: whoever can read a code that only its root can.

import { useState, type FormEvent, type ReactElement } from 'react';
import { violationsOf } from '@/api/errors';
import { setUp } from '@/api/session';
import { CopyText } from '@/ui/CopyText';
import { sentence } from '@/ui/format';
import { FormField } from '@/ui/FormField';
import { NewPassword } from '@/ui/NewPassword';
import { ProblemNote } from '@/ui/ProblemNote';
import { useEntry } from './useEntry';

const COMMAND = 'sudo quantixkvm setup-code';

export function SetUpForm(): ReactElement {
  const [code, setCode] = useState('');
  const [name, setName] = useState('');
  /** Null: not typed twice alike yet. */
  const [password, setPassword] = useState<string | null>(null);
  const { asked, problem, enter } = useEntry();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (password !== null) enter(() => setUp(code.trim(), name.trim(), password));
  };
  return (
    <form className="q-door-form" aria-label="Set up this host" onSubmit={submit}>
      <p>Nobody can sign in yet. You make the first administrator, with a one-time code that only root of this host can read.</p>
      <FormField label="One-time code" help={<>Root reads it on this host: <CopyText text={COMMAND} what="the command" /></>} violations={violationsOf(problem, 'code')}>
        {(input) => <input {...input} className="q-input q-mono q-door-code" name="code" autoComplete="one-time-code" autoCapitalize="characters" spellCheck={false} autoFocus required maxLength={40} placeholder="XXXX-XXXX-XXXX-XXXX" value={code} onChange={(event) => setCode(event.target.value)} />}
      </FormField>
      <FormField label="Name" help="Letters, digits, dots, dashes and underscores." violations={violationsOf(problem, 'name')}>
        {(input) => <input {...input} className="q-input" name="username" autoComplete="username" autoCapitalize="none" spellCheck={false} required maxLength={64} value={name} onChange={(event) => setName(event.target.value)} />}
      </FormField>
      <NewPassword onPassword={setPassword} violations={violationsOf(problem, 'password')} />
      {problem === null || problem.fieldViolations.length > 0 ? null : <ProblemNote message={sentence(problem.message)} requestId={problem.requestId} />}
      <button type="submit" className="q-button q-primary" aria-disabled={asked}>{asked ? 'Making it' : 'Make the administrator and sign in'}</button>
    </form>
  );
}
