// A new API token; then its secret, this once, with a call that uses it.

import { Modal, ModalBody, ModalHeader } from '@patternfly/react-core/dist/esm/components/Modal';
import { useState, type ReactElement } from 'react';
import { may } from '@/api/access';
import { useAsk } from '@/api/ask_once';
import { call } from '@/api/call';
import { asCurl } from '@/api/curl';
import { violationsOf } from '@/api/errors';
import { useWho } from '@/api/session';
import { Role } from '@/gen/Quantixkvm/auth/v1/access_pb';
import { AuthService, type CreateTokenResponse } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { VMService } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { CopyText } from '@/ui/CopyText';
import { FormField } from '@/ui/FormField';
import { FormDialog } from './FormDialog';
import { RoleField } from './roles';
import { changed, useList } from './useList';

const { method } = AuthService;
const DAYS = '90';

export function CreateTokenDialog({ onClose }: { onClose: () => void }): ReactElement {
  const who = useWho();
  const mayForOthers = may(method.listUsers).allowed;
  const users = useList(method.listUsers, mayForOthers).answer?.users ?? [];
  const [name, setName] = useState('');
  const [role, setRole] = useState(Role.ROLE_UNSPECIFIED);
  const [days, setDays] = useState(DAYS);
  const [owner, setOwner] = useState(who?.userId ?? '');
  const [made, setMade] = useState<CreateTokenResponse | null>(null);
  const { asked, problem, ask } = useAsk();
  if (made !== null) return <Secret made={made} onClose={onClose} />;
  const submit = (): void =>
    ask(call(method.createToken, { name: name.trim(), role, days: Number(days) || 0, userId: owner === who?.userId ? '' : owner }), (answer) => {
      changed();
      setMade(answer);
    });
  return (
    <FormDialog title="New API token" word="Make it" asked={asked} problem={problem} onSubmit={submit} onClose={onClose}>
      <FormField label="What it is for" violations={violationsOf(problem, 'name')}>
        {(input) => <input {...input} className="q-input" placeholder="backup script" autoComplete="off" required maxLength={64} value={name} onChange={(event) => setName(event.target.value)} />}
      </FormField>
      {mayForOthers ? (
        <FormField label="Owner" help="It never does more than its owner may at the time." violations={violationsOf(problem, 'user_id')}>
          {(input) => (
            <select {...input} className="q-input" required value={owner} onChange={(event) => setOwner(event.target.value)}>
              {who?.userId === '' ? <option value="">Choose one</option> : null}
              {users.map((user) => <option key={user.id} value={user.id}>{user.name}</option>)}
            </select>
          )}
        </FormField>
      ) : null}
      <RoleField role={role} onRole={setRole} none="as its owner" violations={violationsOf(problem, 'role')} />
      <FormField label="Days until it ends" help="1 to 365." violations={violationsOf(problem, 'days')}>
        {(input) => <input {...input} className="q-input" type="number" min={1} max={365} required value={days} onChange={(event) => setDays(event.target.value)} />}
      </FormField>
    </FormDialog>
  );
}

function Secret({ made, onClose }: { made: CreateTokenResponse; onClose: () => void }): ReactElement {
  const curl = asCurl(call(VMService.method.listVMs, {}), location.origin, made.secret);
  const title = `The token “${made.token?.name ?? ''}”`;
  return (
    <Modal isOpen onClose={onClose} variant="medium" aria-label={title}>
      <ModalHeader title={title} />
      <ModalBody>
        <div className="q-access-form">
          <p>This is the only time that it is shown: this host keeps no copy of it.</p>
          <div className="q-secret"><CopyText text={made.secret} what="the token" /></div>
          <div>
            <h2 className="q-label">A call that uses it</h2>
            <pre className="q-code">{curl}</pre>
            <CopyText text={curl} shown="Copy the call" what="the call" />
            {location.protocol === 'https:' ? <p className="q-small">Where curl does not know this host’s certificate, give it with <span className="q-mono">--cacert</span>.</p> : null}
          </div>
          <div className="q-access-buttons"><button type="button" className="q-button q-primary" onClick={onClose}>I have it</button></div>
        </div>
      </ModalBody>
    </Modal>
  );
}
