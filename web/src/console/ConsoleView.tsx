// Either console of a VM; each is fetched when it is looked at.

import './console.css';
import { lazy, Suspense, type ReactElement } from 'react';
import { roleAllows } from '@/api/verbs';
import { EmptyState } from '@/ui/EmptyState';
import { ErrorBoundary } from '@/ui/ErrorBoundary';
import type { ConsoleProps } from './ConsoleFrame';
import type { ConsoleKind } from './open';

const VncConsole = lazy(() => import('./VncConsole'));
const SerialConsole = lazy(() => import('./SerialConsole'));

export function ConsoleView({ kind, ...props }: ConsoleProps & { readonly kind: ConsoleKind }): ReactElement {
  const { allowed, reason } = roleAllows('console');
  if (!allowed) return <EmptyState title="No console for you"><p>{reason}</p></EmptyState>;
  return (
    <ErrorBoundary>
      <Suspense fallback={<div className="q-con" />}>
        {kind === 'vnc' ? <VncConsole key={props.vm.id} {...props} /> : <SerialConsole key={props.vm.id} {...props} />}
      </Suspense>
    </ErrorBoundary>
  );
}
