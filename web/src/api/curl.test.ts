import { expect, test } from 'vitest';
import { VMService } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { call } from './call';
import { asCurl, curlNeedsToken } from './curl';

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

test('where a token is needed the line takes it from the shell, or has the one that was just made', () => {
  const what = call(VMService.method.listVMs, {});
  curlNeedsToken(true);
  expect(asCurl(what, 'https://x')).toContain('\n  -H "Authorization: Bearer $QKVM_TOKEN" \\\n');
  expect(asCurl(what, 'https://x', 'qkvm_a_b')).toContain("\n  -H 'Authorization: Bearer qkvm_a_b' \\\n");
  curlNeedsToken(false);
  expect(asCurl(what, 'https://x')).not.toContain('Authorization');
});
