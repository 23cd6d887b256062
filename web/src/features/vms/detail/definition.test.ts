import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { EventSchema } from '@/gen/Quantixkvm/compute/v1/event_service_pb';
import { VirtualMachineSchema } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { allLines, compare } from './line_diff';
import { pendingUnder } from './pending_under';
import { tokensOfJson, tokensOfXml } from './tokens';
import { merged } from './useVmEvents';

test('colours lose no character', () => {
  for (const line of ["  <disk type='file' device=\"disk\">", '</domain>', '<!-- a > b -->', "<a b='x>y'/>text", '']) {
    expect(tokensOfXml(line).map((token) => token.text).join('')).toBe(line);
  }
  for (const line of ['  "na\\"me": "va:lue",', '  "size": "-1.5e3", "x": null', '}']) {
    expect(tokensOfJson(line).map((token) => token.text).join('')).toBe(line);
  }
});

test('a tag, its names and its values have their own colours', () => {
  expect(tokensOfXml("<disk type='file'/>").map((token) => token.kind)).toEqual(['tag', 'plain', 'name', 'plain', 'value', 'tag']);
  expect(tokensOfJson('"a": "b"').map((token) => token.kind)).toEqual(['name', 'plain', 'value']);
});

test('what differs is marked, and both texts are whole', () => {
  const lines = allLines('a\nb\nc\n', 'a\nx\nc\nd\n');
  expect(lines.map((line) => `${line.mark ?? ' '}${line.text}`)).toEqual([' a', '-b', '+x', ' c', '+d']);
  expect(lines.filter((line) => line.mark !== '+').map((line) => line.text)).toEqual(['a', 'b', 'c']);
});

test('alike lines far from any difference are left out', () => {
  const many = Array.from({ length: 20 }, (_, index) => `line ${index}`);
  const shown = compare(many.join('\n'), [...many.slice(0, 10), 'new', ...many.slice(10)].join('\n'));
  expect(shown.map((line) => line.text)).toEqual(['…', 'line 8', 'line 9', 'new', 'line 10', 'line 11', '…']);
});

test('what waits is told beside its device and no other', () => {
  const vm = create(VirtualMachineSchema, {
    status: { pendingChanges: [{ path: 'spec.disks[vda].io_limits', current: 'none', pending: '100' }, { path: 'spec.disks[vdab]', pending: 'new' }] },
  });
  expect(pendingUnder(vm, ['spec.disks[vda]'])).toEqual([{ path: 'spec.disks[vda].io_limits', field: 'io limits', current: 'none', pending: '100' }]);
  expect(pendingUnder(vm, ['spec.disks[vdab]']).map((one) => one.field)).toEqual(['']);
  expect(pendingUnder(vm, ['spec.cpu'])).toEqual([]);
});

test('of what is live, only this VM’s newer events come on top, each once', () => {
  const event = (id: string, resourceId = 'a') => create(EventSchema, { id, resourceId });
  const events = merged([event('10'), event('9')], [event('12', 'b'), event('11'), event('10'), event('2')], 'a');
  expect(events.map((one) => one.id)).toEqual(['11', '10', '9']);
});
