import { describe, expect, test } from 'vitest';
import { Collection } from './collection';

const atOnce = (tell: () => void): void => tell();

function counted(): { collection: Collection<string>; told: () => number } {
  const collection = new Collection<string>(atOnce);
  let told = 0;
  collection.subscribe(() => (told += 1));
  return { collection, told: () => told };
}

describe('the things of a watch', () => {
  test('nothing is told before all has been said', () => {
    const { collection, told } = counted();
    collection.put('a', 'A');
    expect(told()).toBe(0);
    expect(collection.isKnown()).toBe(false);
    collection.synced();
    expect(told()).toBe(1);
    expect(collection.isKnown()).toBe(true);
    expect(collection.all()).toEqual(['A']);
  });

  test('what was known stays while the watch begins anew, and goes if it is not said again', () => {
    const { collection } = counted();
    collection.put('a', 'A');
    collection.put('b', 'B');
    collection.synced();
    collection.begin();
    expect(collection.all()).toEqual(['A', 'B']);
    collection.put('b', 'B2');
    expect(collection.get('a')).toBe('A');
    collection.synced();
    expect(collection.all()).toEqual(['B2']);
  });

  test('one that is said and then removed while the watch begins is gone', () => {
    const { collection } = counted();
    collection.put('a', 'A');
    collection.synced();
    collection.begin();
    collection.put('a', 'A');
    collection.remove('a');
    collection.synced();
    expect(collection.all()).toEqual([]);
  });

  test('the list is the same one until something changes', () => {
    const { collection } = counted();
    collection.put('a', 'A');
    collection.synced();
    const list = collection.all();
    expect(collection.all()).toBe(list);
    collection.put('a', 'A2');
    expect(collection.all()).not.toBe(list);
  });
});
