import { useCallback, useMemo } from 'react';
import { useSearchParams } from 'react-router';
import { fromSearch, toSearch, type ListState } from './url_state';

export interface ListStateHandle {
  readonly state: ListState;
  readonly change: (part: Partial<ListState>) => void;
}

/** The state of the list, read from and written to the address. */
export function useListState(): ListStateHandle {
  const [search, setSearch] = useSearchParams();
  const state = useMemo(() => fromSearch(search), [search]);
  const change = useCallback(
    // A letter of a search is no step to go back to.
    (part: Partial<ListState>) => setSearch((now) => toSearch({ ...fromSearch(now), ...part }), { replace: true }),
    [setSearch],
  );
  return { state, change };
}
