// The frame around every page: where one is, whether what one sees is true, what runs.

import { lazy, Suspense, useState, type ReactElement } from 'react';
import { Outlet } from 'react-router';
import { toProblem } from '@/api/errors';
import { useConnection } from '@/api/hooks';
import { VmDialogs } from '@/features/vms/actions/VmDialogs';
import { OperationsDrawer } from '@/features/operations/OperationsDrawer';
import { ErrorBoundary } from '@/ui/ErrorBoundary';
import { useKeys } from '@/ui/keys';
import { Toasts } from '@/ui/toasts';
import { ConnectionBanner } from './ConnectionBanner';
import { Masthead } from './Masthead';
import { SideNav } from './SideNav';

const Palette = lazy(() => import('./Palette').then(({ Palette: component }) => ({ default: component })));
const requestIdOf = (thrown: unknown): string => toProblem(thrown).requestId;

export function Shell(): ReactElement {
  const connection = useConnection();
  const [drawer, setDrawer] = useState(false);
  const [palette, setPalette] = useState(false);
  useKeys({
    'ctrl+k': (event) => {
      event.preventDefault();
      setPalette(true);
    },
  });
  return (
    <div className="q-shell" data-stale={connection.kind === 'lost' ? '' : undefined}>
      <a href="#main" className="q-skip">Skip to the page</a>
      <Masthead onPalette={() => setPalette(true)} onOperations={() => setDrawer((open) => !open)} operationsOpen={drawer} />
      <SideNav />
      <main id="main" className="q-main" tabIndex={-1}>
        <ConnectionBanner />
        <div className="q-facts">
          <ErrorBoundary requestIdOf={requestIdOf}>
            <Suspense>
              <Outlet />
            </Suspense>
          </ErrorBoundary>
        </div>
      </main>
      {drawer ? <OperationsDrawer onClose={() => setDrawer(false)} /> : null}
      {palette ? (
        <Suspense>
          <Palette onClose={() => setPalette(false)} />
        </Suspense>
      ) : null}
      <VmDialogs />
      <Toasts />
    </div>
  );
}
