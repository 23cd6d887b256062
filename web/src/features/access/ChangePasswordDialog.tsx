// One's own password.

import { useState, type ReactElement } from 'react';
import { useAsk } from '@/api/ask_once';
import { call } from '@/api/call';
import { violationsOf } from '@/api/errors';
import { AuthService } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { sentence } from '@/ui/format';
import { FormField } from '@/ui/FormField';
import { NewPassword } from '@/ui/NewPassword';
import { PasswordInput } from '@/ui/PasswordInput';
import { note } from '@/ui/toasts';
import './access.css';
import { FormDialog } from './FormDialog';

export default function ChangePasswordDialog({ name, onClose }: { name: string; onClose: () => void }): ReactElement {
  const [oldPassword, setOld] = useState('');
  const [newPassword, setNew] = useState<string | null>(null);
  const { asked, problem, ask } = useAsk();
  // A wrong old one is said beside it.
  const wrongOld = problem?.code === 'unauthenticated';
  const submit = (): void => {
    if (newPassword === null) return;
    ask(call(AuthService.method.changePassword, { oldPassword, newPassword }), () => {
      note('The password is changed; your other sessions have ended.');
      onClose();
    });
  };
  return (
    <FormDialog title="Change password" word="Change it" asked={asked} problem={wrongOld ? null : problem} onSubmit={submit} onClose={onClose}>
      <input className="q-offscreen" type="text" name="username" autoComplete="username" value={name} readOnly tabIndex={-1} aria-hidden="true" />
      <p className="q-dim">Your other sessions end; your API tokens stay.</p>
      <FormField label="Old password" violations={wrongOld ? [sentence(problem.message)] : violationsOf(problem, 'old_password')}>
        {(input) => <PasswordInput {...input} name="password" autoComplete="current-password" required value={oldPassword} onValue={setOld} />}
      </FormField>
      <NewPassword label="New password" onPassword={setNew} violations={violationsOf(problem, 'new_password')} />
    </FormDialog>
  );
}
