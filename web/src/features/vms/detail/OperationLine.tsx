// What is being done to a VM: since when, until when, how far, and what one can do meanwhile.

import { Button } from '@patternfly/react-core/dist/esm/components/Button';
import { useState, type ReactElement } from 'react';
import { whyNot } from '@/api/access';
import { call, run as runCall } from '@/api/call';
import { toProblem, type Problem } from '@/api/errors';
import { allowance, verbOf, type Verb } from '@/api/verbs';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import type { Operation } from '@/gen/Quantixkvm/operation/v1/operation_pb';
import { OperationService } from '@/gen/Quantixkvm/operation/v1/operation_service_pb';
import { useNow } from '@/ui/clock';
import { duration, exact, toMillis } from '@/ui/format';
import { ProblemNote } from '@/ui/ProblemNote';
import { ReasonButton } from '@/ui/ReasonButton';
import { StateShape } from '@/ui/StateBadge';
import { doing } from '../vm_state';
import { shareDone } from './share_done';

interface Props {
  readonly vm: VirtualMachine;
  readonly operation: Operation;
  readonly onRun: (verb: Verb, vmId: string) => void;
}

export function OperationLine({ vm, operation, onRun }: Props): ReactElement {
  const now = useNow();
  const [problem, setProblem] = useState<Problem | null>(null);
  const began = toMillis(operation.createdAt) ?? now;
  const deadline = toMillis(operation.deadline);
  const share = shareDone(operation, now);
  const force = verbOf('force_stop');
  const cancel = (): void => {
    setProblem(null);
    runCall(call(OperationService.method.cancelOperation, { id: operation.id })).catch((thrown: unknown) => setProblem(toProblem(thrown)));
  };
  const word = doing(operation.verb);
  return (
    <div className="q-vm-line q-vm-op">
      <StateShape tone="moving" />
      <span className="q-vm-op-words">
        <strong>{word}</strong>{operation.step === '' ? '' : `: ${operation.step}`}
        <span className="q-dim q-num" title={exact(began)}> · {duration(now - began)}</span>
        {deadline === undefined ? null : (
          <span className="q-dim q-num" title={`until ${exact(deadline)}`}> · {deadline > now ? `${duration(deadline - now)} left` : 'past its time'}</span>
        )}
      </span>
      <span className="q-vm-op-acts">
        {force !== undefined && operation.verb !== 'force_stop' && allowance(vm, 'force_stop').allowed ? (
          <Button variant="link" isInline isDanger size="sm" onClick={() => onRun(force, vm.id)}>{force.word}</Button>
        ) : null}
        {operation.cancellable ? <ReasonButton variant="link" isInline size="sm" reason={whyNot(OperationService.method.cancelOperation)} onClick={cancel}>Cancel</ReasonButton> : null}
      </span>
      <progress className="q-vm-op-bar" aria-label={`${word} ${vm.name}`} {...(share === null ? {} : { value: share, max: 1 })} />
      {problem === null ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
    </div>
  );
}
