import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { expect, test, vi } from 'vitest';
import { ErrorInfoSchema } from '@/gen/google/rpc/error_details_pb';
import { VirtualMachineSchema } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { ChangedMeanwhile, updateVm } from './update_vm';

vi.mock('@/api/stores', () => ({ putVm: () => undefined }));

const vm = (name: string, resourceVersion: string) => create(VirtualMachineSchema, { id: 'a', name, resourceVersion });
const stale = (): ConnectError =>
  new ConnectError('changed', Code.Aborted, undefined, [
    { desc: ErrorInfoSchema, value: { reason: 'STALE_RESOURCE_VERSION', domain: 'd' } },
  ]);
/** As an error that came over the wire. */
function overTheWire(error: ConnectError): ConnectError {
  vi.spyOn(error, 'findDetails').mockImplementation(((schema: { typeName: string }) =>
    schema.typeName === ErrorInfoSchema.typeName ? [create(ErrorInfoSchema, { reason: 'STALE_RESOURCE_VERSION' })] : []) as never);
  return error;
}
const change = { changes: { name: 'mine' }, paths: ['name'] };
const sameName = (a: { name: string }, b: { name: string }): boolean => a.name === b.name;

test('something else changed meanwhile: the change is asked again with what is there now', async () => {
  const versions: string[] = [];
  const update = vi.fn((base: { resourceVersion: string }) => {
    versions.push(base.resourceVersion);
    return versions.length === 1 ? Promise.reject(overTheWire(stale())) : Promise.resolve(vm('mine', '3'));
  });
  const done = await updateVm(vm('old', '1'), change, sameName, { update, get: () => Promise.resolve(vm('old', '2')) });
  expect(done.name).toBe('mine');
  expect(versions).toEqual(['1', '2']);
});

test('the very thing changed meanwhile: nothing is overwritten, and what is there is told', async () => {
  const update = vi.fn(() => Promise.reject(overTheWire(stale())));
  const asked = updateVm(vm('old', '1'), change, sameName, { update, get: () => Promise.resolve(vm('theirs', '2')) });
  await expect(asked).rejects.toBeInstanceOf(ChangedMeanwhile);
  await expect(asked).rejects.toMatchObject({ vm: { name: 'theirs' } });
  expect(update).toHaveBeenCalledTimes(1);
});

test('any other failure is the caller’s', async () => {
  const failed = new ConnectError('taken', Code.AlreadyExists);
  const asked = updateVm(vm('old', '1'), change, sameName, { update: () => Promise.reject(failed), get: () => Promise.reject(new Error('not asked')) });
  await expect(asked).rejects.toBe(failed);
});
