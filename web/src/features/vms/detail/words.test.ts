import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { OperationSchema } from '@/gen/Quantixkvm/operation/v1/operation_pb';
import { labelsOf, labelsText } from './labels_text';
import { pathWords } from './path_words';
import { shareDone } from './share_done';

test('labels are lines, and a line that is none is named', () => {
  expect(labelsText({ team: 'web', env: 'prod' })).toBe('env=prod\nteam=web');
  expect(labelsOf(' env = prod \n\nurl=a=b\n')).toEqual({ env: 'prod', url: 'a=b' });
  expect(labelsOf('env=prod\nteam')).toBe('Line 2: a label is key=value.');
  expect(labelsOf('=x')).toMatch(/^Line 1/);
  expect(labelsOf('a=1\na=2')).toBe('Line 2: a is there twice.');
  expect(Object.keys(labelsOf('__proto__=1'))).toEqual(['__proto__']);
});

test('paths are words', () => {
  expect(pathWords('spec.memory.size_mib')).toBe('memory (MiB)');
  expect(pathWords('spec.disks[vda].io_limits')).toBe('disk vda, io limits');
  expect(pathWords('spec.nics[52:54:00:12:34:56]')).toBe('network card 52:54:00:12:34:56');
  expect(pathWords('spec.new_thing.some_field')).toBe('new thing.some field');
});

test('how far an operation is: by its own word, else by its deadline, else unknown', () => {
  const times = { createdAt: timestampFromMs(1000), deadline: timestampFromMs(61_000) };
  expect(shareDone(create(OperationSchema, { ...times, progressPercent: 40 }), 1000)).toBe(0.4);
  expect(shareDone(create(OperationSchema, times), 16_000)).toBe(0.25);
  expect(shareDone(create(OperationSchema, times), 90_000)).toBe(1);
  expect(shareDone(create(OperationSchema, { createdAt: times.createdAt }), 16_000)).toBeNull();
});
