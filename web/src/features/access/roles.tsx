// A role, chosen: with what it may in a sentence.

import type { ReactElement } from 'react';
import { roleWord } from '@/api/access';
import { Role } from '@/gen/Quantixkvm/auth/v1/access_pb';
import { FormField } from '@/ui/FormField';

const ROLES = [Role.VIEWER, Role.OPERATOR, Role.ADMIN] as const;

const MAY: Record<Role, string> = {
  [Role.ROLE_UNSPECIFIED]: 'Whatever its owner may.',
  [Role.VIEWER]: 'Sees everything but secrets and the audit log.',
  [Role.OPERATOR]: 'Works with VMs and their consoles, within a quota.',
  [Role.ADMIN]: 'May do everything.',
};

interface Props {
  readonly role: Role;
  readonly onRole: (role: Role) => void;
  readonly violations: readonly string[];
  /** What it means to choose none; absent: one must be chosen. */
  readonly none?: string;
}

export function RoleField({ role, onRole, violations, none }: Props): ReactElement {
  return (
    <FormField label="Role" help={MAY[role]} violations={violations}>
      {(input) => (
        <select {...input} className="q-input" value={role} onChange={(event) => onRole(Number(event.target.value))}>
          {none === undefined ? null : <option value={Role.ROLE_UNSPECIFIED}>{none}</option>}
          {ROLES.map((one) => <option key={one} value={one}>{roleWord(one)}</option>)}
        </select>
      )}
    </FormField>
  );
}
