// Every address of the page that another part of it names.

export const paths = {
  overview: () => '/',
  vms: (search = '') => `/vms${search}`,
  newVm: () => '/vms/new',
  vm: (id: string, tab: VmTab = 'overview') => (tab === 'overview' ? `/vms/${id}` : `/vms/${id}/${tab}`),
  console: (id: string, kind: 'vnc' | 'serial') => `/vms/${id}/console/${kind}`,
  nodes: () => '/nodes',
  node: (id: string) => `/nodes/${id}`,
  events: (search = '') => `/events${search}`,
  operations: () => '/operations',
  access: (tab: AccessTab, search = '') => `/access/${tab}${search}`,
};

/** Users, tokens, sessions, and what was done. */
export type AccessTab = 'users' | 'tokens' | 'sessions' | 'audit';

export const VM_TABS = ['overview', 'console', 'devices', 'metrics', 'events', 'definition'] as const;
export type VmTab = (typeof VM_TABS)[number];
