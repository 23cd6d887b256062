import { describe, expect, test } from 'vitest';
import { bytes, duration, percent, relative } from './format';

describe('facts as people read them', () => {
  test('sizes have one unit and at most three figures', () => {
    expect(bytes(0n)).toBe('0 B');
    expect(bytes(1024n ** 3n * 8n)).toBe('8 GiB');
    expect(bytes(7_730_941_133)).toBe('7.2 GiB');
    expect(bytes(1000)).toBe('1 KiB');
    expect(bytes(1024 ** 5 * 512)).toBe('512 PiB');
  });

  test('times have one figure and one unit', () => {
    expect(duration(59_400)).toBe('59 s');
    expect(duration(3 * 86_400_000)).toBe('3 d');
    expect(duration(800 * 86_400_000)).toBe('2 y');
    expect(relative(10_000, 22_000)).toBe('12 s ago');
    expect(relative(70_000, 22_000)).toBe('in 48 s');
    expect(relative(22_400, 22_000)).toBe('now');
  });

  test('small shares keep a figure', () => {
    expect(percent(0)).toBe('0 %');
    expect(percent(0.34)).toBe('0.3 %');
    expect(percent(23.4)).toBe('23 %');
  });
});
