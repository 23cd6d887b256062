import { Code, ConnectError } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { BadRequestSchema, RequestInfoSchema } from '@/gen/google/rpc/error_details_pb';
import { toProblem, violationsOf } from './errors';

test('a refusal keeps its code, its sentence, its fields and its request id', () => {
  const error = new ConnectError('2 fields are wrong', Code.InvalidArgument, undefined, [
    {
      desc: BadRequestSchema,
      value: { fieldViolations: [{ field: 'spec.cpu.cores', description: 'at least 1' }, { field: 'name', description: 'taken' }] },
    },
    { desc: RequestInfoSchema, value: { requestId: 'r-1' } },
  ]);
  const problem = toProblem(error);
  expect(problem).toMatchObject({ code: 'invalid_argument', message: '2 fields are wrong', requestId: 'r-1' });
  expect(violationsOf(problem, 'spec.cpu')).toEqual(['at least 1']);
  expect(violationsOf(problem, 'spec.cpu.cores')).toEqual(['at least 1']);
  expect(violationsOf(problem, 'nam')).toEqual([]);
  expect(violationsOf(null, 'name')).toEqual([]);
});

test('codes are named as Connect names them', () => {
  expect(toProblem(new ConnectError('', Code.FailedPrecondition)).code).toBe('failed_precondition');
  expect(toProblem(new ConnectError('', Code.NotFound)).code).toBe('not_found');
  expect(toProblem(new ConnectError('', Code.Canceled)).code).toBe('canceled');
});

test('the request id of the header serves where the details have none', () => {
  const error = new ConnectError('x', Code.Internal, { 'x-request-id': 'h-1' });
  expect(toProblem(error).requestId).toBe('h-1');
});

test('a server that was not reached is said to be', () => {
  const problem = toProblem(new TypeError('Failed to fetch'));
  expect(problem.code).toBe('unavailable');
  expect(problem.message).toMatch(/not reached/);
});
