// The menu itself, made because it was asked for: password, sessions, tokens, the way out.

import { Dropdown, DropdownItem, DropdownList } from '@patternfly/react-core/dist/esm/components/Dropdown';
import { MenuToggle } from '@patternfly/react-core/dist/esm/components/MenuToggle';
import { useEffect, useState, type ReactElement } from 'react';
import { useNavigate } from 'react-router';
import { roleWord } from '@/api/access';
import { toProblem } from '@/api/errors';
import { signOut, useWho } from '@/api/session';
import { WhoAmIResponse_Kind as Kind } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { Icon } from '@/ui/icons';
import { problem } from '@/ui/toasts';
import { paths } from './paths';

export default function UserMenuList({ onChangePassword }: { onChangePassword: () => void }): ReactElement | null {
  const who = useWho();
  const navigate = useNavigate();
  const [open, setOpen] = useState(false);
  useEffect(() => {
    // The menu is placed by its button, which must be there first.
    const frame = requestAnimationFrame(() => setOpen(true));
    return () => cancelAnimationFrame(frame);
  }, []);
  if (who === undefined) return null;
  const role = roleWord(who.role);
  const mine = `?user=${encodeURIComponent(who.name)}`;
  const demo = who.kind === Kind.DEMO;
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      shouldFocusFirstItemOnOpen
      popperProps={{ position: 'end', maxWidth: '20rem' }}
      toggle={(ref) => (
        <MenuToggle ref={ref} variant="plainText" size="sm" className="q-user" aria-label={`${who.name}, ${role}`} isExpanded={open} onClick={() => setOpen(!open)} icon={<Icon name="user" />}>
          <span className="q-wide q-user-name">{who.name}</span>
        </MenuToggle>
      )}
    >
      <p className="q-user-who">
        <strong className="q-cut">{who.name}</strong> <span className="q-tag">{role}</span>
        {demo ? <span className="q-small">A demonstration: whoever opens it is its administrator, and nothing is kept.</span> : null}
      </p>
      <DropdownList>
        <DropdownItem onClick={() => void navigate(paths.access('sessions', demo ? '' : mine))}>My sessions</DropdownItem>
        <DropdownItem onClick={() => void navigate(paths.access('tokens', demo ? '' : mine))}>My API tokens</DropdownItem>
        {who.kind === Kind.USER ? (
          <>
            <DropdownItem onClick={() => onChangePassword()}>Change password…</DropdownItem>
            <DropdownItem onClick={() => void signOut().catch((thrown: unknown) => problem(toProblem(thrown)))}>Sign out</DropdownItem>
          </>
        ) : null}
      </DropdownList>
    </Dropdown>
  );
}
