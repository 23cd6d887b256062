// One operation: what of which thing, how far or how it ended, until when, and the way to end it.

import { useState, type ReactElement } from 'react';
import { Link } from 'react-router';
import { whyNot } from '@/api/access';
import { call, run } from '@/api/call';
import { toProblem, type Problem } from '@/api/errors';
import { useNode, useVm } from '@/api/hooks';
import { paths } from '@/app/paths';
import type { Operation } from '@/gen/Quantixkvm/operation/v1/operation_pb';
import { OperationService } from '@/gen/Quantixkvm/operation/v1/operation_service_pb';
import { PlainButton } from '@/ui/PlainButton';
import { ProblemNote } from '@/ui/ProblemNote';
import { StateBadge, StateShape } from '@/ui/StateBadge';
import { RelativeTime, Since } from '@/ui/time';
import { isRunning, operationState, verbWord } from './operation_state';
import './operations.css';

/** What it is done to: by name while that is known, else by id. */
export function ResourceLink({ id }: { id: string }): ReactElement {
  const vm = useVm(id);
  const node = useNode(id);
  if (vm !== undefined) return <Link to={paths.vm(id)} className="q-name">{vm.name}</Link>;
  if (node !== undefined) return <Link to={paths.node(id)} className="q-name">{node.hostname}</Link>;
  return <span className="q-mono q-dim q-cut" title={`${id}, which is not here any more`}>{id}</span>;
}

function Progress({ operation }: { operation: Operation }): ReactElement {
  const { progressPercent: percent } = operation;
  // While a guest is waited for nothing can be said: the bar is not drawn, the time is.
  return (
    <div className="q-op-progress">
      {percent > 0 ? (
        <>
          <progress max={100} value={percent} aria-label="Progress" />
          <span className="q-num">{percent} %</span>
        </>
      ) : null}
      <span className="q-dim">
        for <Since at={operation.createdAt} />
        {operation.deadline === undefined ? null : <>, gives up <RelativeTime at={operation.deadline} /></>}
      </span>
    </div>
  );
}

export function OperationLine({ operation }: { operation: Operation }): ReactElement {
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const running = isRunning(operation);
  const { tone, word } = operationState(operation);
  const cancel = (): void => {
    setAsked(true);
    setProblem(null);
    run(call(OperationService.method.cancelOperation, { id: operation.id }))
      .catch((thrown: unknown) => setProblem(toProblem(thrown)))
      .finally(() => setAsked(false));
  };
  return (
    <li className="q-op">
      <div className="q-op-head">
        {running ? <StateShape tone="moving" /> : null}
        <span className="q-op-what">{verbWord(operation)} <ResourceLink id={operation.resourceId} /></span>
        {running ? null : <StateBadge tone={tone} word={word} />}
        {running ? null : <span className="q-dim q-op-when"><RelativeTime at={operation.createdAt} /></span>}
        {running && operation.cancellable ? (
          <PlainButton reason={whyNot(OperationService.method.cancelOperation)} aria-label={`Cancel ${verbWord(operation)}`} aria-disabled={asked} onClick={() => (asked ? undefined : cancel())}>
            {asked ? 'Cancelling' : 'Cancel'}
          </PlainButton>
        ) : null}
      </div>
      {running ? <Progress operation={operation} /> : null}
      {running && operation.step !== '' ? <p className="q-op-step">{operation.step}</p> : null}
      {operation.errorMessage === '' ? null : <p className="q-op-step">{operation.errorMessage}</p>}
      {problem === null ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
    </li>
  );
}
