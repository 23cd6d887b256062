import { expect, test } from 'vitest';
import { SerialWire } from './serial_wire';

function wire(): { wire: SerialWire; heard: string[] } {
  const heard: string[] = [];
  const sink = {
    write: (bytes: Uint8Array) => void heard.push(new TextDecoder().decode(bytes)),
    lost: (bytes: number) => void heard.push(`lost ${bytes}`),
    anew: () => void heard.push('anew'),
  };
  return { wire: new SerialWire(sink), heard };
}
const bytes = (text: string): ArrayBuffer => new TextEncoder().encode(text).buffer as ArrayBuffer;

test('it goes on where it ended', () => {
  const { wire: one, heard } = wire();
  expect(one.from()).toBeUndefined();
  one.hear('{"from":100}');
  one.hear(bytes('abc'));
  expect(one.from()).toBe(103);
  one.hear('{"from":103}');
  one.hear(bytes('d'));
  expect(heard).toEqual(['abc', 'd']);
  expect(one.from()).toBe(104);
});

test('what was not kept is said to be lost, and a port that counts anew is said to', () => {
  const { wire: one, heard } = wire();
  one.hear('{"from":0}');
  one.hear('{"from":50}');
  one.hear('{"from":0}');
  expect(heard).toEqual(['lost 50', 'anew']);
});

test('what is no message of ours is passed over', () => {
  const { wire: one, heard } = wire();
  for (const odd of ['{', 'null', '{"from":"1"}', '{"from":-1}', 7]) one.hear(odd);
  expect(heard).toEqual([]);
  expect(one.from()).toBeUndefined();
});
