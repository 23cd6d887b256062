import { expect, test } from 'vitest';
import { fromAddress, toAddress, toRequest } from './audit_filter';

test('the filter and its address say the same', () => {
  const filter = { user: 'ada', method: 'StartVM', resource: '', span: '24h' } as const;
  expect(fromAddress(toAddress(filter))).toEqual(filter);
  expect(toAddress(fromAddress(new URLSearchParams())).toString()).toBe('');
});

test('what makes no sense in an address is left out', () => {
  const filter = fromAddress(new URLSearchParams(`since=constructor&user=${'x'.repeat(5000)}`));
  expect(filter.span).toBeNull();
  expect(filter.user).toHaveLength(200);
});

test('a span begins where the filter was set', () => {
  const request = toRequest({ user: '', method: '', resource: '', span: '1h' }, 7_200_000, 50);
  expect(request.since?.seconds).toBe(3600n);
  expect(request.pageSize).toBe(50);
});
