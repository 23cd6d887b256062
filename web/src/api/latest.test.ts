import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Latest, type Heard } from './latest';
import { RetryKey } from './retry_key';

describe('a question that changes', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('is asked after a pause, and only the newest answer is heard', async () => {
    const latest = new Latest(400);
    const heard: Heard<string>[] = [];
    const signals: AbortSignal[] = [];
    const answers: ((text: string) => void)[] = [];
    const work = (signal: AbortSignal): Promise<string> => {
      signals.push(signal);
      return new Promise((resolve) => answers.push(resolve));
    };
    latest.ask(work, (one) => heard.push(one));
    await vi.advanceTimersByTimeAsync(399);
    expect(signals).toHaveLength(0);
    latest.ask(work, (one) => heard.push(one));
    await vi.advanceTimersByTimeAsync(400);
    expect(signals).toHaveLength(1);
    latest.ask(work, (one) => heard.push(one));
    expect(signals[0]?.aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(400);
    answers[0]?.('old');
    answers[1]?.('new');
    await vi.advanceTimersByTimeAsync(0);
    expect(heard).toEqual([{ answer: 'new' }]);
  });

  test('a failure is heard, unless it was dropped', async () => {
    const latest = new Latest(0);
    const heard: Heard<string>[] = [];
    const why = new Error('no');
    latest.ask(() => Promise.reject<string>(why), (one) => heard.push(one));
    await vi.advanceTimersByTimeAsync(0);
    latest.ask(() => Promise.reject<string>(why), (one) => heard.push(one));
    latest.drop();
    await vi.advanceTimersByTimeAsync(10);
    expect(heard).toEqual([{ thrown: why }]);
  });
});

test('a key is kept while nobody knows what became of its request', () => {
  const keys = new RetryKey();
  const first = keys.of('a');
  expect(keys.of('a')).toBe(first);
  keys.failed('unavailable');
  expect(keys.of('a')).toBe(first);
  keys.failed('failed_precondition');
  const second = keys.of('a');
  expect(second).not.toBe(first);
  expect(keys.of('b')).not.toBe(second);
});
