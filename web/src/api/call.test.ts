import { expect, test } from 'vitest';
import { newKey } from './call';

test('keys of retries differ and hold what a header may', () => {
  const keys = new Set(Array.from({ length: 100 }, newKey));
  expect(keys.size).toBe(100);
  for (const key of keys) expect(key).toMatch(/^[0-9a-f]{32}$/);
});
