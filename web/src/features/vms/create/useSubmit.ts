// Creates it, once, and goes to it. What was typed stays when that fails.

import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useNavigate } from 'react-router';
import { bodyOf, run } from '@/api/call';
import { toProblem, type Problem } from '@/api/errors';
import { useVms } from '@/api/hooks';
import { putVm } from '@/api/stores';
import { paths } from '@/app/paths';
import { VmStatus_PowerState as Power } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { createCall, type CreateInput } from './request';
import { RetryKey } from '@/api/retry_key';

export interface Submission {
  readonly creating: boolean;
  /** What the server is doing for it. */
  readonly step: string;
  /** What this very request failed with. */
  readonly problem: Problem | null;
  readonly create: () => void;
  /** It is asked for: leaving loses nothing. */
  readonly mayLeave: () => boolean;
}

export function useSubmit(input: CreateInput): Submission {
  const navigate = useNavigate();
  const [keys] = useState(() => new RetryKey());
  const [asked, setAsked] = useState<string | null>(null);
  const [failed, setFailed] = useState<{ body: string; problem: Problem } | null>(null);
  const body = useMemo(() => bodyOf(createCall(input)), [input]);
  const vms = useVms();
  const gone = useRef(false);
  const leaving = useRef(false);
  useEffect(() => {
    gone.current = false;
    return () => {
      gone.current = true;
    };
  }, []);
  const create = useCallback(() => {
    if (leaving.current) return;
    leaving.current = true;
    setAsked(input.name ?? '');
    setFailed(null);
    run(createCall(input), { idempotencyKey: keys.of(body) }).then(
      (vm) => {
        putVm(vm);
        if (!gone.current) void navigate(paths.vm(vm.id, vm.status?.state === Power.RUNNING ? 'console' : 'overview'));
      },
      (thrown: unknown) => {
        const problem = toProblem(thrown);
        keys.failed(problem.code);
        leaving.current = false;
        setAsked(null);
        setFailed({ body, problem });
      },
    );
  }, [input, body, keys, navigate]);
  const making = asked === null ? undefined : vms.find((vm) => vm.name === asked)?.status?.operation;
  return {
    creating: asked !== null,
    step: making?.step ?? '',
    problem: failed?.body === body ? failed.problem : null,
    create,
    mayLeave: useCallback(() => leaving.current, []),
  };
}
