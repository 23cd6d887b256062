import '@patternfly/react-core/dist/styles/base.css';
import './ui/ui.css';
import './app/app.css';
import { TransportProvider } from '@connectrpc/connect-query';
import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { RouterProvider } from 'react-router';
import { queryClient } from './api/query';
import { beginSession } from './api/session';
import { transport } from './api/transport';
import { Door } from './app/Door';
import { applyTheme } from './app/theme';
import { makeRouter } from './routes';

applyTheme();
beginSession();

// Drawn only once somebody is signed in; what it needs is fetched meanwhile.
const router = makeRouter();
const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');
createRoot(root).render(
  <StrictMode>
    <TransportProvider transport={transport}>
      <QueryClientProvider client={queryClient}>
        <Door>
          <RouterProvider router={router} />
        </Door>
      </QueryClientProvider>
    </TransportProvider>
  </StrictMode>,
);
