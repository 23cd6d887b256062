import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { AuditEntrySchema } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { linesOf } from './audit_export';

test('each entry is one line, however many there are and whatever is in them', async () => {
  async function* entries(): AsyncGenerator<ReturnType<typeof entry>> {
    for (let count = 1; count <= 2345; count += 1) yield entry(count);
  }
  const entry = (count: number) => create(AuditEntrySchema, { sequence: BigInt(count), user: 'ada\n{"user":"eve"}' });
  const counts: number[] = [];
  const file = await linesOf(entries(), (count) => counts.push(count));
  const lines = (await file.text()).trimEnd().split('\n');
  expect(lines).toHaveLength(2345);
  expect(JSON.parse(lines[2344] ?? '')).toEqual({ sequence: '2345', user: 'ada\n{"user":"eve"}' });
  expect(counts).toEqual([1000, 2000, 2345]);
});

test('an export that breaks off gives no file', async () => {
  async function* broken(): AsyncGenerator<never> {
    throw new Error('gone');
  }
  await expect(linesOf(broken(), () => undefined)).rejects.toThrow('gone');
});
