import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Operation_State as State, OperationSchema } from '@/gen/Quantixkvm/operation/v1/operation_pb';
import { mergeOperations, verbWord } from './operation_state';

const one = (id: string, state: State, step = '') => create(OperationSchema, { id, state, step, verb: 'force_stop' });

test('the newest stand first, each once', () => {
  const merged = mergeOperations(
    [one('2', State.SUCCEEDED), one('1', State.SUCCEEDED)],
    [one('3', State.RUNNING), one('2', State.SUCCEEDED)],
  );
  expect(merged.map(({ id }) => id)).toEqual(['3', '2', '1']);
});

test('what was listed as running goes on as the watch tells', () => {
  const [merged] = mergeOperations([one('1', State.RUNNING)], [one('1', State.FAILED)]);
  expect(merged?.state).toBe(State.FAILED);
});

test('what was listed as ended does not run again by an older word of the watch', () => {
  const [merged] = mergeOperations([one('1', State.SUCCEEDED)], [one('1', State.RUNNING)]);
  expect(merged?.state).toBe(State.SUCCEEDED);
});

test('a verb reads as what is done, then as what was asked', () => {
  expect(verbWord(one('1', State.RUNNING))).toBe('Powering off');
  expect(verbWord(one('1', State.SUCCEEDED))).toBe('Power off');
});
