// What is done with users. What ends with it is said before.

import { useState, type ReactElement } from 'react';
import { useAsk } from '@/api/ask_once';
import { call } from '@/api/call';
import { violationsOf } from '@/api/errors';
import { Role } from '@/gen/Quantixkvm/auth/v1/access_pb';
import { AuthService, type User } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { FormField } from '@/ui/FormField';
import { NewPassword } from '@/ui/NewPassword';
import { note } from '@/ui/toasts';
import { FormDialog } from './FormDialog';
import { draftOf, quotaOf } from './quota';
import { QuotaFields } from './QuotaFields';
import { RoleField } from './roles';
import { changed, useList } from './useList';

const { method } = AuthService;

export function CreateUserDialog({ onClose }: { onClose: () => void }): ReactElement {
  const [name, setName] = useState('');
  const [role, setRole] = useState(Role.OPERATOR);
  const [quota, setQuota] = useState(() => draftOf(undefined));
  const [password, setPassword] = useState<string | null>(null);
  const { asked, problem, ask } = useAsk();
  const submit = (): void => {
    if (password === null) return;
    const bounds = role === Role.OPERATOR ? { quota: quotaOf(quota) } : {};
    ask(call(method.createUser, { name: name.trim(), password, role, ...bounds }), () => {
      changed();
      onClose();
    });
  };
  return (
    <FormDialog title="New user" word="Create" asked={asked} problem={problem} onSubmit={submit} onClose={onClose}>
      <FormField label="Name" help="Letters, digits, dots, dashes and underscores." violations={violationsOf(problem, 'name')}>
        {(input) => <input {...input} className="q-input" autoComplete="off" autoCapitalize="none" spellCheck={false} required maxLength={64} value={name} onChange={(event) => setName(event.target.value)} />}
      </FormField>
      <RoleField role={role} onRole={setRole} violations={violationsOf(problem, 'role')} />
      {role === Role.OPERATOR ? <QuotaFields draft={quota} onDraft={setQuota} problem={problem} /> : null}
      <NewPassword onPassword={setPassword} violations={violationsOf(problem, 'password')} />
    </FormDialog>
  );
}

interface Props {
  readonly user: User;
  readonly onClose: () => void;
}

export function EditUserDialog({ user, onClose }: Props): ReactElement {
  const [role, setRole] = useState(user.role);
  const [enabled, setEnabled] = useState(user.enabled);
  const [quota, setQuota] = useState(() => draftOf(user.quota));
  const { asked, problem, ask } = useAsk();
  const less = role < user.role || (user.enabled && !enabled);
  const submit = (): void => {
    // What was not touched is not sent: another may have changed it meanwhile.
    const before = draftOf(user.quota);
    const part = {
      ...(role === user.role ? {} : { role }),
      ...(enabled === user.enabled ? {} : { enabled }),
      ...(JSON.stringify(before) === JSON.stringify(quota) ? {} : { quota: quotaOf(quota) }),
    };
    if (Object.keys(part).length === 0) return onClose();
    ask(call(method.updateUser, { id: user.id, ...part }), () => {
      changed();
      onClose();
    });
  };
  return (
    <FormDialog title={`Edit ${user.name}`} word="Save" asked={asked} problem={problem} onSubmit={submit} onClose={onClose}>
      <RoleField role={role} onRole={setRole} violations={violationsOf(problem, 'role')} />
      {role === Role.OPERATOR ? <QuotaFields draft={quota} onDraft={setQuota} problem={problem} /> : null}
      <label className="q-tick">
        <input type="checkbox" checked={enabled} onChange={(event) => setEnabled(event.target.checked)} />
        May sign in
      </label>
      {less ? <p role="status">Its sessions, with their streams and consoles, end at once; {enabled ? 'its tokens do no more than the new role' : 'its tokens do nothing while it is disabled'}.</p> : null}
    </FormDialog>
  );
}

export function SetPasswordDialog({ user, onClose }: Props): ReactElement {
  const [password, setPassword] = useState<string | null>(null);
  const { asked, problem, ask } = useAsk();
  const submit = (): void => {
    if (password === null) return;
    ask(call(method.updateUser, { id: user.id, password }), () => {
      note(`The password of ${user.name} is set; its sessions have ended.`);
      changed();
      onClose();
    });
  };
  return (
    <FormDialog title={`Set the password of ${user.name}`} word="Set it" asked={asked} problem={problem} onSubmit={submit} onClose={onClose}>
      <p>Its sessions, with their streams and consoles, end at once. Its API tokens stay.</p>
      <NewPassword label="New password" onPassword={setPassword} violations={violationsOf(problem, 'password')} />
    </FormDialog>
  );
}

const counted = (count: number, one: string): string => (count === 0 ? `no ${one}` : count === 1 ? `1 ${one}` : `${count} ${one}s`);

export function DeleteUserDialog({ user, onClose }: Props): ReactElement {
  const { asked, problem, ask } = useAsk();
  const sessions = useList(method.listSessions).answer?.sessions.filter((one) => one.userId === user.id);
  const tokens = useList(method.listTokens).answer?.tokens.filter((one) => one.userId === user.id);
  const submit = (): void =>
    ask(call(method.deleteUser, { id: user.id }), () => {
      changed();
      onClose();
    });
  return (
    <FormDialog title={`Delete ${user.name}`} word="Delete" danger asked={asked} problem={problem} reason={sessions === undefined || tokens === undefined ? 'What would end is not known yet.' : undefined} onSubmit={submit} onClose={onClose}>
      <p>With it end at once:</p>
      <ul className="q-access-list">
        <li>{counted(sessions?.length ?? 0, 'session')}, with their streams and consoles</li>
        <li>{counted(tokens?.length ?? 0, 'API token')}{tokens === undefined || tokens.length === 0 ? '' : `: ${tokens.map((token) => token.name).join(', ')}`}</li>
      </ul>
      <p>The VMs that it made stay, and so do its lines in the audit log.</p>
    </FormDialog>
  );
}
