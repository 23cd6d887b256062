import { expect, test } from 'vitest';
import { clientWords } from './client_words';

test('clients in two words; one that is not known by its own', () => {
  expect(clientWords('Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36')).toBe('Chrome on Linux');
  expect(clientWords('Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0')).toBe('Firefox on Windows');
  expect(clientWords('Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1')).toBe('Safari on iOS');
  expect(clientWords('curl/8.5.0')).toBe('curl');
  expect(clientWords('terraform <b>')).toBe('terraform <b>');
  expect(clientWords('')).toBe('unknown client');
});
