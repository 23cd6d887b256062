// Who one is here, and the way to what is one's own. The menu costs more than its button: it is
// fetched when it is asked for.

import { lazy, Suspense, useState, type ReactElement } from 'react';
import { roleWord } from '@/api/access';
import { useWho } from '@/api/session';
import { Icon } from '@/ui/icons';

const UserMenuList = lazy(() => import('./UserMenuList'));
const ChangePasswordDialog = lazy(() => import('@/features/access/ChangePasswordDialog'));

export function UserMenu(): ReactElement | null {
  const who = useWho();
  const [asked, setAsked] = useState(false);
  const [changing, setChanging] = useState(false);
  if (who === undefined) return null;
  const button = (
    <button type="button" className="q-mast-button q-user" aria-haspopup="menu" aria-label={`${who.name}, ${roleWord(who.role)}`} onClick={() => setAsked(true)}>
      <Icon name="user" />
      <span className="q-wide q-user-name">{who.name}</span>
      <span className="q-wide"><Icon name="down" size={12} /></span>
    </button>
  );
  return (
    <>
      {asked ? <Suspense fallback={button}><UserMenuList onChangePassword={() => setChanging(true)} /></Suspense> : button}
      {changing ? (
        <Suspense>
          <ChangePasswordDialog name={who.name} onClose={() => setChanging(false)} />
        </Suspense>
      ) : null}
    </>
  );
}
