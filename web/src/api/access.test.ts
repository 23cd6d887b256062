import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Role } from '@/gen/Quantixkvm/auth/v1/access_pb';
import { AuthService, WhoAmIResponseSchema } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { VMService } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { Access, pathOf } from './access';

const START = 'Quantixkvm.compute.v1.VMService/StartVM';
const who = (role: Role, allowed: boolean) =>
  create(WhoAmIResponseSchema, { role, methods: [{ method: START, role: Role.OPERATOR, allowed }], hostPaths: role === Role.ADMIN });

test('a method has one name here and in the answer of the server', () => {
  expect(pathOf(VMService.method.startVM)).toBe(START);
});

test('what the role may not do names the role that may', () => {
  const access = new Access();
  access.learn(who(Role.VIEWER, false));
  expect(access.may(VMService.method.startVM)).toEqual({ allowed: false, reason: 'Needs the role operator; you are a viewer.' });
  access.learn(create(WhoAmIResponseSchema, {
    role: Role.OPERATOR,
    methods: [{ method: pathOf(AuthService.method.listUsers), role: Role.ADMIN, allowed: false }],
  }));
  expect(access.may(AuthService.method.listUsers).reason).toBe('Needs the role admin; you are an operator.');
});

test('the server judges, not the role that it names', () => {
  const access = new Access();
  access.learn(who(Role.VIEWER, true));
  expect(access.may(VMService.method.startVM)).toEqual({ allowed: true, reason: '' });
  access.learn(who(Role.ADMIN, false));
  expect(access.may(VMService.method.startVM).allowed).toBe(false);
});

test('what the server does not list it does not offer; before it was asked nothing is held back', () => {
  const access = new Access();
  expect(access.may(VMService.method.stopVM).allowed).toBe(true);
  access.learn(who(Role.ADMIN, true));
  expect(access.may(VMService.method.stopVM)).toEqual({ allowed: false, reason: 'This server does not offer it.' });
  expect(access.mayNameHostPaths()).toBe(true);
});
