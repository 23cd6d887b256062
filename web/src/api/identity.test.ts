import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { Role } from '@/gen/Quantixkvm/auth/v1/access_pb';
import { GetSignInResponseSchema, WhoAmIResponseSchema, type WhoAmIResponse } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { IdentityKeeper } from './identity';

const nobody = (): never => {
  throw new ConnectError('sign in', Code.Unauthenticated);
};
const away = (): never => {
  throw new ConnectError('not there', Code.Unavailable);
};
const user = (name: string, role = Role.ADMIN): (() => WhoAmIResponse) => () => create(WhoAmIResponseSchema, { name, userId: name, role });

interface World {
  readonly keeper: IdentityKeeper;
  answer: () => WhoAmIResponse;
  setUpNeeded: boolean;
  asked: number;
  startedOver: number;
  readonly fire: () => void;
}

function world(answer: () => WhoAmIResponse): World {
  const timers: (() => void)[] = [];
  const made: World = {
    answer,
    setUpNeeded: false,
    asked: 0,
    startedOver: 0,
    fire: () => timers.splice(0).forEach((run) => run()),
    keeper: new IdentityKeeper({
      whoAmI: async () => {
        made.asked += 1;
        return made.answer();
      },
      getSignIn: async () => create(GetSignInResponseSchema, { setUpNeeded: made.setUpNeeded }),
      startOver: () => (made.startedOver += 1),
      setTimer: (run) => timers.push(run),
    }),
  };
  return made;
}

describe('who is signed in', () => {
  test('nobody, before anybody was: the view to sign in says of no end', async () => {
    const { keeper } = world(nobody);
    expect(keeper.state().kind).toBe('asking');
    await keeper.learn();
    expect(keeper.state()).toEqual({ kind: 'out', setUpNeeded: false, ended: false });
  });

  test('a host without users is set up first', async () => {
    const made = world(nobody);
    made.setUpNeeded = true;
    await made.keeper.learn();
    expect(made.keeper.state()).toMatchObject({ kind: 'out', setUpNeeded: true });
  });

  test('a doubt asks, and only the answer ends the session', async () => {
    const made = world(user('ada'));
    await made.keeper.learn();
    // A wrong old password is "unauthenticated", too.
    made.keeper.doubt();
    await made.keeper.learn();
    expect(made.keeper.state().kind).toBe('in');
    // A server that is not there has ended nothing.
    made.answer = away;
    made.keeper.doubt();
    await made.keeper.learn();
    expect(made.keeper.state().kind).toBe('in');
    made.answer = nobody;
    made.keeper.doubt();
    await made.keeper.learn();
    expect(made.keeper.state()).toEqual({ kind: 'out', setUpNeeded: false, ended: true });
  });

  test('many doubts at once ask once, and who is signed out is not doubted', async () => {
    const made = world(user('ada'));
    await made.keeper.learn();
    made.answer = nobody;
    for (let count = 0; count < 10; count += 1) made.keeper.doubt();
    await made.keeper.learn();
    expect(made.asked).toBe(2);
    made.keeper.doubt();
    expect(made.asked).toBe(2);
  });

  test('the same user goes on where it was; another one, or another role, starts over', async () => {
    const made = world(user('ada', Role.ADMIN));
    await made.keeper.learn();
    made.answer = nobody;
    await made.keeper.learn();
    made.answer = user('ada', Role.ADMIN);
    await made.keeper.learn();
    expect(made.keeper.state().kind).toBe('in');
    expect(made.startedOver).toBe(0);
    made.answer = user('ada', Role.VIEWER);
    await made.keeper.learn();
    expect(made.startedOver).toBe(1);
    made.answer = user('bob', Role.ADMIN);
    await made.keeper.learn();
    expect(made.startedOver).toBe(2);
  });

  test('a server that does not answer is asked again by itself', async () => {
    const made = world(away);
    await made.keeper.learn();
    expect(made.keeper.state()).toMatchObject({ kind: 'unreached', problem: { code: 'unavailable' } });
    made.answer = user('ada');
    made.fire();
    await made.keeper.learn();
    expect(made.keeper.state().kind).toBe('in');
  });

  test('who signs out is not told that the session has ended', async () => {
    const made = world(user('ada'));
    await made.keeper.learn();
    made.answer = nobody;
    made.keeper.leave(true);
    made.keeper.doubt();
    expect(made.asked).toBe(1);
    expect(made.keeper.state().kind).toBe('in');
  });
});
