// What the list shows is in its address, so that it can be kept, sent and gone back to.

export const COLUMN_IDS = ['state', 'name', 'addresses', 'cpu', 'memory', 'labels', 'since', 'vcpus', 'disk', 'project'] as const;
export type ColumnId = (typeof COLUMN_IDS)[number];
export const DEFAULT_COLUMNS: readonly ColumnId[] = ['state', 'name', 'addresses', 'cpu', 'memory', 'labels', 'since'];
export const STATE_FILTERS = ['running', 'stopped', 'paused', 'moving', 'wrong'] as const;
export type StateFilter = (typeof STATE_FILTERS)[number];

export interface ListState {
  readonly query: string;
  readonly states: readonly StateFilter[];
  /** `key=value`, all of which must be there. */
  readonly labels: readonly string[];
  /** A project's id; empty: all. */
  readonly project: string;
  readonly sort: ColumnId;
  readonly descending: boolean;
  readonly columns: readonly ColumnId[];
}

export const DEFAULT_STATE: ListState = {
  query: '',
  states: [],
  labels: [],
  project: '',
  sort: 'name',
  descending: false,
  columns: DEFAULT_COLUMNS,
};

const isColumn = (text: string): text is ColumnId => (COLUMN_IDS as readonly string[]).includes(text);
const isState = (text: string): text is StateFilter => (STATE_FILTERS as readonly string[]).includes(text);
const listed = (text: string | null): string[] => (text ?? '').split(',').filter((part) => part !== '');

/** Reads an address; what it does not know it leaves out. */
export function fromSearch(search: URLSearchParams): ListState {
  const sort = search.get('sort') ?? '';
  const by = sort.replace(/^-/, '');
  const columns = listed(search.get('columns')).filter(isColumn);
  return {
    query: search.get('q') ?? '',
    states: listed(search.get('state')).filter(isState),
    labels: search.getAll('label').filter((label) => label.includes('=')),
    project: search.get('project') ?? '',
    sort: isColumn(by) ? by : DEFAULT_STATE.sort,
    descending: isColumn(by) && sort.startsWith('-'),
    // The name is how one gets to a VM: it can't be left out.
    columns: columns.length === 0 ? DEFAULT_COLUMNS : COLUMN_IDS.filter((id) => id === 'name' || columns.includes(id)),
  };
}

/** The address of a state; what is as usual is left out. */
export function toSearch(state: ListState): URLSearchParams {
  const search = new URLSearchParams();
  if (state.query !== '') search.set('q', state.query);
  if (state.states.length > 0) search.set('state', state.states.join(','));
  for (const label of state.labels) search.append('label', label);
  if (state.project !== '') search.set('project', state.project);
  if (state.sort !== DEFAULT_STATE.sort || state.descending) search.set('sort', `${state.descending ? '-' : ''}${state.sort}`);
  if (state.columns.join() !== DEFAULT_COLUMNS.join()) search.set('columns', state.columns.join(','));
  return search;
}

export function isFiltered(state: ListState): boolean {
  return state.query.trim() !== '' || state.states.length > 0 || state.labels.length > 0 || state.project !== '';
}

export function toggled<T>(list: readonly T[], item: T): readonly T[] {
  return list.includes(item) ? list.filter((one) => one !== item) : [...list, item];
}
