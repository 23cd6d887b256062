import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { EventSchema } from '@/gen/Quantixkvm/compute/v1/event_service_pb';
import { toMillis } from '@/ui/format';
import { fits, fromAddress, isFiltered, toAddress, toRequest } from './event_filter';

const ID = '11111111-1111-1111-1111-111111111111';
const NOW = 1_700_000_000_000;
const event = create(EventSchema, { id: '7', resourceId: ID, type: 'vm.started', severity: 'INFO', message: 'VM "web-1" started', createdAt: timestampFromMs(NOW - 7_200_000) });

test('an address and its filter are each other', () => {
  const address = `q=web&severity=warning&type=vm.started&type=vm.stopped&resource=${ID}&since=24h`;
  expect(toAddress(fromAddress(new URLSearchParams(address))).toString()).toBe(address);
});

test('what makes no sense in an address is left out', () => {
  const filter = fromAddress(new URLSearchParams(`severity=loud&resource=../../etc&since=toString&type=&q=${'x'.repeat(300)}`));
  expect(filter).toEqual({ severity: '', types: [], resource: '', search: 'x'.repeat(200), span: null });
  expect(isFiltered(fromAddress(new URLSearchParams()))).toBe(false);
});

test('what happens meanwhile is held to the same filter as the list', () => {
  const of = (address: string) => fits(event, fromAddress(new URLSearchParams(address)), NOW);
  expect(['', 'q=WEB-1', 'severity=info', 'type=vm.started', `resource=${ID}`, 'since=24h'].map(of)).toEqual(Array(6).fill(true));
  expect(['q=db', 'severity=error', 'type=vm.stopped', `resource=${ID.replaceAll('1', '2')}`, 'since=1h'].map(of)).toEqual(Array(5).fill(false));
});

test('a span is asked for as a moment', () => {
  const request = toRequest(fromAddress(new URLSearchParams('since=1h')), NOW, 50);
  expect(toMillis(request.since)).toBe(NOW - 3_600_000);
});
