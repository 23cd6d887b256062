// The dialogs that come before a loss, where `ask.ts` says which.

import { lazy, Suspense, useSyncExternalStore, type ReactElement } from 'react';
import { nowAsking, putAway, subscribeAsking } from './ask';

const ConfirmVerbDialog = lazy(() => import('./ConfirmVerbDialog'));
const DeleteVmDialog = lazy(() => import('../delete/DeleteVmDialog'));
const DeleteVmsDialog = lazy(() => import('../delete/DeleteVmsDialog'));

export function VmDialogs(): ReactElement | null {
  const asking = useSyncExternalStore(subscribeAsking, nowAsking);
  if (asking === null) return null;
  const [first] = asking.vms;
  return (
    <Suspense>
      {asking.kind === 'verb' ? <ConfirmVerbDialog asking={asking} />
        : first !== undefined && asking.vms.length === 1 ? <DeleteVmDialog key={first.id} vm={first} onClose={putAway} onDeleted={asking.onDeleted} />
        : <DeleteVmsDialog vms={asking.vms} onClose={putAway} onDeleted={asking.onDeleted} />}
    </Suspense>
  );
}
