// The frame around every page: where one is, whether what one sees is true, what runs.

import { lazy, Suspense, useRef, useState, type ReactElement } from 'react';
import { Outlet, useNavigate } from 'react-router';
import { toProblem } from '@/api/errors';
import { useConnection } from '@/api/hooks';
import { VmDialogs } from '@/features/vms/actions/VmDialogs';
import { OperationsDrawer } from '@/features/operations/OperationsDrawer';
import { ErrorBoundary } from '@/ui/ErrorBoundary';
import { useKeys } from '@/ui/keys';
import { Toasts } from '@/ui/toasts';
import { ConnectionBanner } from './ConnectionBanner';
import { Masthead } from './Masthead';
import { Palette } from './Palette';
import { paths } from './paths';
import { SideNav } from './SideNav';

const GO_MS = 1000;

const KeysHelp = lazy(() => import('./KeysHelp').then(({ KeysHelp: component }) => ({ default: component })));
const requestIdOf = (thrown: unknown): string => toProblem(thrown).requestId;

export function Shell(): ReactElement {
  const connection = useConnection();
  const [drawer, setDrawer] = useState(false);
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const navigate = useNavigate();
  // `g`, then the page's letter: two keys within a second.
  const gone = useRef(0);
  const go = (to: string) => (event: KeyboardEvent) => {
    if (performance.now() - gone.current < GO_MS) {
      // The letter alone may mean something to the page.
      event.preventDefault();
      void navigate(to);
    }
    gone.current = 0;
  };
  useKeys({
    g: () => {
      gone.current = performance.now();
    },
    o: go(paths.overview()),
    v: go(paths.vms()),
    n: go(paths.nodes()),
    e: go(paths.events()),
    a: go(paths.access('sessions')),
    '?': () => setHelp(true),
    'ctrl+k': (event) => {
      event.preventDefault();
      setPalette(true);
    },
  });
  return (
    <div className="q-shell" data-stale={connection.kind === 'lost' ? '' : undefined} data-connection={connection.kind}>
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
      {palette ? <Palette onClose={() => setPalette(false)} /> : null}
      {help ? (
        <Suspense>
          <KeysHelp onClose={() => setHelp(false)} />
        </Suspense>
      ) : null}
      <VmDialogs />
      <Toasts />
    </div>
  );
}
