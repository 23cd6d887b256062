// The whole map of the site. Each page is a chunk of its own, asked for when it is gone to.
//
// Layers: `ui/` draws and knows neither server nor address; `api/` talks to the server and draws
// nothing; `features/` are the pages, over both; `app/` is the frame around them. A lint rule holds
// it so. Types of the contract are generated into `gen/` by `npm run gen`.

import type { ComponentType } from 'react';
import { createBrowserRouter, type RouteObject } from 'react-router';
import { Shell } from './app/Shell';
import { RouteProblem } from './app/RouteProblem';

type Page = { default: ComponentType };
const lazy = (load: () => Promise<Page>) => async () => ({ Component: (await load()).default });

export const routes: RouteObject[] = [
  {
    // A console has a window of its own, without the frame.
    path: '/vms/:id/console/:kind',
    lazy: lazy(() => import('./console/ConsolePage')),
    ErrorBoundary: RouteProblem,
    HydrateFallback: () => null,
  },
  {
    path: '/',
    Component: Shell,
    ErrorBoundary: RouteProblem,
    HydrateFallback: () => null,
    children: [
      {
        ErrorBoundary: RouteProblem,
        children: [
          { index: true, lazy: lazy(() => import('./features/overview/OverviewPage')) },
          { path: 'vms', lazy: lazy(() => import('./features/vms/list/VmsPage')) },
          { path: 'vms/new', lazy: lazy(() => import('./features/vms/create/CreateVmPage')) },
          {
            path: 'vms/:id',
            lazy: lazy(() => import('./features/vms/detail/VmPage')),
            children: [
              { index: true, lazy: lazy(() => import('./features/vms/detail/OverviewTab')) },
              { path: 'console', lazy: lazy(() => import('./features/vms/detail/ConsoleTab')) },
              { path: 'devices', lazy: lazy(() => import('./features/vms/detail/DevicesTab')) },
              { path: 'metrics', lazy: lazy(() => import('./features/vms/detail/MetricsTab')) },
              { path: 'events', lazy: lazy(() => import('./features/vms/detail/EventsTab')) },
              { path: 'definition', lazy: lazy(() => import('./features/vms/detail/DefinitionTab')) },
            ],
          },
          { path: 'nodes', lazy: lazy(() => import('./features/nodes/NodesPage')) },
          { path: 'nodes/:id', lazy: lazy(() => import('./features/nodes/NodePage')) },
          { path: 'events', lazy: lazy(() => import('./features/events/EventsPage')) },
          { path: 'operations', lazy: lazy(() => import('./features/operations/OperationsPage')) },
          {
            path: 'access',
            lazy: lazy(() => import('./features/access/AccessPage')),
            children: [
              { path: 'users', lazy: lazy(() => import('./features/access/UsersTab')) },
              { path: 'tokens', lazy: lazy(() => import('./features/access/TokensTab')) },
              { path: 'sessions', lazy: lazy(() => import('./features/access/SessionsTab')) },
              { path: 'audit', lazy: lazy(() => import('./features/access/AuditTab')) },
            ],
          },
          { path: '*', lazy: lazy(() => import('./app/NotFoundPage')) },
        ],
      },
    ],
  },
];

export const makeRouter = () => createBrowserRouter(routes);
