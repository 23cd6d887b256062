import { expect, test } from 'vitest';
import { nameOfKey } from './keys';

const key = (name: string, more: Partial<Pick<KeyboardEvent, 'ctrlKey' | 'metaKey' | 'altKey'>> = {}) => ({
  key: name, ctrlKey: false, metaKey: false, altKey: false, ...more,
});

test('keys have one name, with Control and Command alike', () => {
  expect(nameOfKey(key('K', { ctrlKey: true }))).toBe('ctrl+k');
  expect(nameOfKey(key('k', { metaKey: true }))).toBe('ctrl+k');
  expect(nameOfKey(key('/'))).toBe('/');
  expect(nameOfKey(key('Escape'))).toBe('Escape');
});
