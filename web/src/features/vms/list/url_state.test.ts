import { describe, expect, test } from 'vitest';
import { DEFAULT_STATE, fromSearch, isFiltered, toggled, toSearch, type ListState } from './url_state';

describe('the list in its address', () => {
  test('an address without anything is the list as usual, and back', () => {
    expect(fromSearch(new URLSearchParams())).toEqual(DEFAULT_STATE);
    expect(toSearch(DEFAULT_STATE).toString()).toBe('');
    expect(isFiltered(DEFAULT_STATE)).toBe(false);
  });

  test('every part survives the way there and back', () => {
    const state: ListState = {
      query: 'web & db=1 ä',
      states: ['wrong', 'paused'],
      labels: ['env=prod', 'note=a,b'],
      project: 'p-1',
      sort: 'cpu',
      descending: true,
      columns: ['state', 'name', 'disk'],
    };
    const text = toSearch(state).toString();
    expect(fromSearch(new URLSearchParams(text))).toEqual(state);
    expect(isFiltered(state)).toBe(true);
  });

  test('what an address says that is not known is left out', () => {
    const state = fromSearch(new URLSearchParams('state=running,odd&sort=-nothing&columns=zzz&label=x'));
    expect(state).toEqual({ ...DEFAULT_STATE, states: ['running'] });
  });

  test('the name stays among the columns', () => {
    expect(fromSearch(new URLSearchParams('columns=cpu')).columns).toEqual(['name', 'cpu']);
  });

  test('what is in a list goes, what is not comes', () => {
    expect(toggled(['a', 'b'], 'a')).toEqual(['b']);
    expect(toggled(['a'], 'b')).toEqual(['a', 'b']);
  });
});
