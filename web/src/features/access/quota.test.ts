import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { QuotaSchema } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { draftOf, quotaOf, quotaWords } from './quota';

test('a quota is typed as it is shown, and nothing typed is no bound', () => {
  const quota = create(QuotaSchema, { vms: 4, vcpus: 16, memoryMib: 1536n });
  expect(draftOf(quota)).toEqual({ vms: '4', vcpus: '16', memory: '1.5', disk: '' });
  expect(quotaOf(draftOf(quota))).toEqual({ vms: 4, vcpus: 16, memoryMib: 1536n, diskGib: 0n });
  expect(quotaOf({ vms: '-3', vcpus: 'x', memory: '', disk: '2.4' })).toEqual({ vms: 0, vcpus: 0, memoryMib: 0n, diskGib: 2n });
  expect(quotaWords(quota)).toBe('4 VMs, 16 vCPUs, 1.5 GiB');
  expect(quotaWords(undefined)).toBe('');
});
