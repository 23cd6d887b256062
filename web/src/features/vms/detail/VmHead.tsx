// The head of a VM: what it is, whether it is well, where it is reached, what can be done.

import { Button } from '@patternfly/react-core/dist/esm/components/Button';
import type { ReactElement } from 'react';
import { Link, useMatch, useNavigate } from 'react-router';
import { roleAllows, verbOf, type Verb } from '@/api/verbs';
import { paths } from '@/app/paths';
import { VMOrigin, type VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { CopyText } from '@/ui/CopyText';
import { ProblemNote } from '@/ui/ProblemNote';
import { ReasonButton } from '@/ui/ReasonButton';
import { StateBadge } from '@/ui/StateBadge';
import { Since, useNarrow } from '@/ui/time';
import { VerbButton } from '../actions/VerbButton';
import { VerbMenu } from '../actions/VerbMenu';
import { useVerb } from '../actions/useVerb';
import { vmState } from '../vm_state';
import { OperationLine } from './OperationLine';
import { PendingNote } from './PendingNote';
import { primaryVerb } from './primary';
import { WhyNote } from './WhyNote';

/** Beside the first one, where there is room. */
const SECOND: readonly string[] = ['reboot', 'pause'];

export function VmHead({ vm }: { vm: VirtualMachine }): ReactElement {
  const { run, problem, putAway } = useVerb();
  const navigate = useNavigate();
  const narrow = useNarrow();
  const onConsole = useMatch('/vms/:id/console') !== null;
  const { tone, word, why } = vmState(vm);
  const primary = primaryVerb(vm);
  const second = narrow ? [] : SECOND.map(verbOf).filter((verb): verb is Verb => verb !== undefined && verb !== primary);
  const addresses = vm.status?.ipAddresses ?? [];
  return (
    <header className="q-vm-head">
      <div className="q-vm-who">
        <h1 title={vm.name}>{vm.name}</h1>
        <span className="q-vm-state">
          <StateBadge tone={tone} word={word} title={why} />
          {vm.status?.operation === undefined && vm.status?.stateChangedAt !== undefined ? (
            <span className="q-dim">for <Since at={vm.status.stateChangedAt} /></span>
          ) : null}
        </span>
        <span className="q-vm-where">
          {addresses.slice(0, 2).map((address) => <CopyText key={address} text={address} what="address" />)}
          {addresses.length > 2 ? <span className="q-dim" title={addresses.slice(2).join('\n')}>+{addresses.length - 2}</span> : null}
          <span className="q-dim"><CopyText text={vm.id} shown={`${vm.id.slice(0, 8)}…`} what="id" /></span>
          {vm.origin === VMOrigin.VM_ORIGIN_HOST_DISCOVERED && !vm.isManaged ? (
            <span className="q-vm-tag" title="Defined by another libvirt client and found here. Adopt writes project, labels and description into its definition.">found on the host</span>
          ) : null}
        </span>
      </div>
      <div className="q-vm-verbs">
        {primary === undefined ? null : <VerbButton vm={vm} verb={primary} onRun={run} variant={primary.harsh ? 'secondary' : 'primary'} />}
        {second.map((verb) => <VerbButton key={verb.verb} vm={vm} verb={verb} onRun={run} />)}
        {onConsole ? null : !roleAllows('console').allowed ? (
          <ReasonButton variant="secondary" size="sm" aria-label={`Console of ${vm.name}`} reason={roleAllows('console').reason}>Console</ReasonButton>
        ) : (
          <Button variant="secondary" size="sm" component={(props: object) => <Link {...props} to={paths.vm(vm.id, 'console')} />}>
            Console
          </Button>
        )}
        <VerbMenu vm={vm} onRun={run} onDeleted={() => void navigate(paths.vms())} />
      </div>
      {problem === null ? null : (
        <div className="q-vm-line">
          <ProblemNote message={problem.message} requestId={problem.requestId}>
            <button type="button" className="q-link" onClick={putAway}>Put away</button>
          </ProblemNote>
        </div>
      )}
      {vm.status?.operation === undefined ? null : <OperationLine vm={vm} operation={vm.status.operation} onRun={run} />}
      <WhyNote vm={vm} />
      <PendingNote vm={vm} />
    </header>
  );
}
