import { expect, test } from 'vitest';
import { leastWidth, moveTo } from './grid_keys';

test('keys lead to a row that there is', () => {
  expect(moveTo('j', 3, 10, 5)).toBe(4);
  expect(moveTo('ArrowUp', 0, 10, 5)).toBe(0);
  expect(moveTo('PageDown', 7, 10, 5)).toBe(9);
  expect(moveTo('PageUp', 7, 10, -1)).toBe(6);
  expect(moveTo('Home', 7, 10, 5)).toBe(0);
  expect(moveTo('End', 0, 10_000, 5)).toBe(9999);
  expect(moveTo('q', 7, 10, 5)).toBeNull();
});

test('a table needs the least that its columns need', () => {
  expect(leastWidth(['2.25rem', 'minmax(8rem, 1fr)', '5rem'])).toBe('calc(2.25rem + 8rem + 5rem)');
});
