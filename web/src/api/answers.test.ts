import { expect, test } from 'vitest';
import { Answers } from './answers';

test('many answers are told once, the latest of each', () => {
  let tell: (() => void) | null = null;
  const answers = new Answers<string>((next) => {
    tell = next;
  });
  let told = 0;
  answers.subscribe(() => (told += 1));
  const before = answers.version();
  for (let id = 0; id < 2000; id += 1) answers.set(`${id}`, 'asked');
  answers.set('7', 'gone');
  (tell as (() => void) | null)?.();
  expect(told).toBe(1);
  expect(answers.version()).not.toBe(before);
  expect([answers.size, answers.get('7'), answers.get('8'), answers.get('x')]).toEqual([2000, 'gone', 'asked', undefined]);
});
