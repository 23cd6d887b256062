// Where a console is not open: why, what happens next, what one can do.

import { Button } from '@patternfly/react-core/dist/esm/components/Button';
import type { ReactElement, ReactNode } from 'react';
import { allowance, verbOf, type Verb } from '@/api/verbs';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { VerbButton } from '@/features/vms/actions/VerbButton';
import { useVerb } from '@/features/vms/actions/useVerb';
import { vmState } from '@/features/vms/vm_state';
import { CopyText } from '@/ui/CopyText';
import { useNow } from '@/ui/clock';
import { ProblemNote } from '@/ui/ProblemNote';
import { StateBadge } from '@/ui/StateBadge';
import type { ConsoleKind } from './open';
import type { Session } from './useSession';

interface Props {
  readonly vm: VirtualMachine;
  readonly kind: ConsoleKind;
  readonly session: Session;
}

/** What it takes to have a console again, by the state of the VM. */
const WAYS: readonly string[] = ['start', 'resume', 'redefine'];

function Off({ vm }: { vm: VirtualMachine }): ReactElement {
  const { run, problem } = useVerb();
  const { tone, word, why } = vmState(vm);
  const ways = WAYS.map(verbOf).filter((verb): verb is Verb => verb !== undefined);
  const allowed = ways.find((verb) => allowance(vm, verb.verb).allowed);
  const way = allowed ?? ways[0];
  return (
    <Words title={<><span>{vm.name}</span> <StateBadge tone={tone} word={word} /></>}>
      {why ? <p>{why}</p> : null}
      {vm.status?.operation === undefined ? <p>The console opens by itself when it runs.</p> : null}
      {way === undefined || vm.status?.operation !== undefined ? null : <VerbButton vm={vm} verb={way} onRun={run} variant="primary" />}
      {problem === null ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
    </Words>
  );
}

function Words({ title, children }: { title: ReactNode; children?: ReactNode }): ReactElement {
  return (
    <div className="q-con-notice" role="status">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function ConsoleNotice({ vm, kind, session }: Props): ReactElement | null {
  const { state } = session;
  const now = useNow();
  switch (state.kind) {
    case 'open':
      return null;
    case 'off':
      return <Off vm={vm} />;
    case 'connecting':
      return <Words title={kind === 'vnc' ? 'Opening the screen' : 'Opening the serial port'} />;
    case 'waiting': {
      const left = Math.ceil((state.retryAt - now) / 1000);
      return (
        <Words title="Not connected">
          <p>{state.why}</p>
          <p className="q-dim">{left > 0 ? `Tried again in ${left} s.` : 'Trying.'}</p>
          <Button variant="secondary" size="sm" onClick={session.tryNow}>Try now</Button>
        </Words>
      );
    }
    case 'taken':
      return (
        <Words title="Taken over by another program">
          <p>{state.why}</p>
          <Button variant="secondary" size="sm" onClick={session.takeOver}>Take it back</Button>
        </Words>
      );
    case 'refused': {
      const { problem } = state;
      const inUse = problem.reason === 'IN_USE';
      return (
        <Words title={inUse ? 'In use by another program' : problem.code === 'unimplemented' ? 'No console here' : 'Not opened'}>
          {/* Nobody has filled in a field here: its name would only puzzle. */}
          <p>{problem.fieldViolations[0]?.message ?? problem.message}</p>
          {inUse ? (
            <Button variant="primary" size="sm" onClick={session.takeOver}>Take over</Button>
          ) : problem.code === 'unimplemented' ? null : (
            <Button variant="secondary" size="sm" onClick={session.tryNow}>Try again</Button>
          )}
          {problem.requestId === '' ? null : <p className="q-small">request <CopyText text={problem.requestId} what="request id" /></p>}
        </Words>
      );
    }
  }
}
