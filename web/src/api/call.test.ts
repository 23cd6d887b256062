import { expect, test } from 'vitest';
import { VMService } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { asCurl, call, newKey } from './call';

test('a call reads as the curl line that makes it', () => {
  const what = call(VMService.method.stopVM, { id: 'abc', force: true });
  expect(asCurl(what, 'http://hv-01:8080')).toBe(
    [
      'curl -X POST http://hv-01:8080/Quantixkvm.compute.v1.VMService/StopVM \\',
      "  -H 'Content-Type: application/json' \\",
      `  -d '{"id":"abc","force":true}'`,
    ].join('\n'),
  );
});

test('64-bit numbers leave as strings, quotes do not end the shell word', () => {
  const what = call(VMService.method.createVM, {
    name: 'web-1',
    description: "it's here; rm -rf /",
    spec: { memory: { sizeMib: 2048n } },
  });
  const line = asCurl(what, 'http://x');
  expect(line).toContain(`"sizeMib":"2048"`);
  expect(line).toContain(`it'\\''s here`);
});

test('keys of retries differ and hold what a header may', () => {
  const keys = new Set(Array.from({ length: 100 }, newKey));
  expect(keys.size).toBe(100);
  for (const key of keys) expect(key).toMatch(/^[0-9a-f]{32}$/);
});
