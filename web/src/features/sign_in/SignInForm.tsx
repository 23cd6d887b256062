import { useRef, useState, type FormEvent, type ReactElement } from 'react';
import { violationsOf } from '@/api/errors';
import { signIn } from '@/api/session';
import { sentence } from '@/ui/format';
import { FormField } from '@/ui/FormField';
import { PasswordInput } from '@/ui/PasswordInput';
import { ProblemNote } from '@/ui/ProblemNote';
import { useEntry } from './useEntry';

export function SignInForm(): ReactElement {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const { asked, problem, enter } = useEntry();
  const field = useRef<HTMLInputElement>(null);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    enter(() => signIn(name.trim(), password), () => field.current?.select());
  };
  return (
    <form className="q-door-form" aria-label="Sign in" onSubmit={submit}>
      <FormField label="Name" violations={violationsOf(problem, 'name')}>
        {(input) => <input {...input} className="q-input" name="username" autoComplete="username" autoCapitalize="none" spellCheck={false} autoFocus required maxLength={64} value={name} onChange={(event) => setName(event.target.value)} />}
      </FormField>
      <FormField label="Password" violations={violationsOf(problem, 'password')}>
        {(input) => <PasswordInput {...input} ref={field} name="password" autoComplete="current-password" required value={password} onValue={setPassword} />}
      </FormField>
      {problem === null || problem.fieldViolations.length > 0 ? null : <ProblemNote message={sentence(problem.message)} requestId={problem.requestId} />}
      <button type="submit" className="q-button q-primary" aria-disabled={asked}>{asked ? 'Signing in' : 'Sign in'}</button>
    </form>
  );
}
