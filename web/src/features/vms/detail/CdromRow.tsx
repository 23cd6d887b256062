// A CD-ROM drive, and what puts a medium in and takes it out.

import { Button } from '@patternfly/react-core/dist/esm/components/Button';
import { lazy, Suspense, useState, type ReactElement } from 'react';
import { call, newKey, run } from '@/api/call';
import { toProblem, type Problem } from '@/api/errors';
import { putVm } from '@/api/stores';
import { allowance } from '@/api/verbs';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { VMService } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import type { CdromDevice } from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';
import { CopyText } from '@/ui/CopyText';
import { ProblemNote } from '@/ui/ProblemNote';
import { ReasonButton } from '@/ui/ReasonButton';
import { DeviceRow } from './DeviceRow';

const MountIsoDialog = lazy(() => import('./MountIsoDialog'));

/** `undefined`: this server has no verb of its own for it, and answers what is asked. */
function whyNot(vm: VirtualMachine, verb: string): string | undefined {
  const known = vm.allowedActions.some((action) => action.verb === verb);
  const { allowed, reason } = allowance(vm, known ? verb : 'update');
  return allowed ? undefined : reason || 'Not now.';
}

export function CdromRow({ vm, cdrom }: { vm: VirtualMachine; cdrom: CdromDevice }): ReactElement {
  const [mounting, setMounting] = useState(false);
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const full = cdrom.isoPath !== '' && cdrom.connected !== false;
  const eject = (force: boolean): void => {
    setAsked(true);
    setProblem(null);
    run(call(VMService.method.ejectISO, { vmId: vm.id, cdromId: cdrom.id, force }), { idempotencyKey: newKey() })
      .then(putVm, (thrown: unknown) => setProblem(toProblem(thrown)))
      .finally(() => setAsked(false));
  };
  return (
    <>
      <DeviceRow
        vm={vm}
        name={cdrom.id}
        mono
        paths={[`spec.cdroms[${cdrom.id}]`]}
        value={full ? '' : 'empty'}
        facts={cdrom.bootIndex > 0 ? `boot ${cdrom.bootIndex}` : ''}
        actions={
          <>
            <ReasonButton size="sm" variant="secondary" reason={whyNot(vm, 'mount_iso')} onClick={() => setMounting(true)} aria-label={`${full ? 'Change' : 'Mount ISO'} in ${cdrom.id} of ${vm.name}`}>
              {full ? 'Change' : 'Mount ISO'}
            </ReasonButton>
            {full ? (
              <ReasonButton size="sm" variant="secondary" isLoading={asked} reason={asked ? 'The drive is being emptied.' : whyNot(vm, 'eject_iso')} onClick={() => eject(false)} aria-label={`Eject ${cdrom.id} of ${vm.name}`}>
                Eject
              </ReasonButton>
            ) : null}
          </>
        }
      >
        {cdrom.isoPath === '' ? null : <CopyText text={cdrom.isoPath} what={`medium of ${cdrom.id}`} />}
      </DeviceRow>
      {problem === null ? null : (
        <ProblemNote message={problem.message} requestId={problem.requestId}>
          {problem.code === 'failed_precondition' ? (
            <Button size="sm" variant="link" isInline isDanger onClick={() => eject(true)}>Eject although the guest holds it</Button>
          ) : null}
        </ProblemNote>
      )}
      {mounting ? (
        <Suspense>
          <MountIsoDialog vm={vm} cdrom={cdrom} onClose={() => setMounting(false)} />
        </Suspense>
      ) : null}
    </>
  );
}
