// What goes, what stays and why, before anything does.

import { Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core/dist/esm/components/Modal';
import { useMemo, useState, type ReactElement } from 'react';
import { useAsked } from '@/api/asked';
import { bodyOf, run } from '@/api/call';
import { asCurl } from '@/api/curl';
import { toProblem, type Problem } from '@/api/errors';
import { useVm } from '@/api/hooks';
import { RetryKey } from '@/api/retry_key';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { ConfirmTyped } from '@/ui/ConfirmTyped';
import { CopyText } from '@/ui/CopyText';
import { ProblemNote } from '@/ui/ProblemNote';
import { ReasonButton } from '@/ui/ReasonButton';
import { StateShape } from '@/ui/StateBadge';
import { mayDelete } from '../actions/ask';
import { vmState } from '../vm_state';
import './delete.css';
import { deleteCall, destroysData, planOf, type How } from './plan';
import { PlanLists } from './PlanLists';

interface Props {
  readonly vm: VirtualMachine;
  readonly onClose: () => void;
  /** It is gone: a page about it goes elsewhere. */
  readonly onDeleted?: (() => void) | undefined;
}

export default function DeleteVmDialog({ vm: asked, onClose, onDeleted }: Props): ReactElement {
  const vm = useVm(asked.id) ?? asked;
  const { id, name } = vm;
  const [keys] = useState(() => new RetryKey());
  const [deleteVolumes, setDeleteVolumes] = useState(false);
  // While it goes, its state is on the way: what was asked for stays what it was.
  const [going, setGoing] = useState<How | null>(null);
  const deleting = going !== null;
  const force = going?.force ?? mayDelete(vm).force;
  const [problem, setProblem] = useState<Problem | null>(null);
  const { answer: plan, problem: refused, asking } = useAsked(useMemo(() => planOf(id, { force, deleteVolumes }), [id, force, deleteVolumes]), 0);
  const what = deleteCall(id, { force, deleteVolumes });
  const remove = (): void => {
    setGoing({ force, deleteVolumes });
    setProblem(null);
    run(what, { idempotencyKey: keys.of(bodyOf(what)) }).then(
      () => {
        onClose();
        onDeleted?.();
      },
      (thrown: unknown) => {
        const failed = toProblem(thrown);
        keys.failed(failed.code);
        setGoing(null);
        setProblem(failed);
      },
    );
  };
  const mustType = force || (plan !== null && destroysData(plan));
  const reasonOf = (typed: boolean): string | undefined => {
    if (deleting) return 'It is being deleted.';
    if (refused !== null) return refused.message;
    if (plan === null || asking) return 'What would go is not known yet.';
    return typed ? undefined : `Type ${name} first.`;
  };
  const foot = (typed: boolean): ReactElement => (
    <ModalFooter className="q-loss-foot">
      <ReasonButton variant="danger" reason={reasonOf(typed)} onClick={remove}>{force ? 'Power off and delete' : 'Delete'}</ReasonButton>
      <button type="button" className="q-button" onClick={onClose}>{deleting ? 'Close' : 'Cancel'}</button>
      <span className="q-grow" />
      <CopyText text={asCurl(what, location.origin)} shown="Copy as curl" what="the call" />
    </ModalFooter>
  );
  return (
    <Modal isOpen onClose={onClose} variant="medium" aria-label={`Delete ${name}`}>
      <ModalHeader title={`Delete ${name}`} />
      <ModalBody>
        <div className="q-loss">
          {force ? (
            <p className="q-loss-note">
              <StateShape tone="wrong" /> <span>{deleting ? '' : `It is ${vmState(vm).word.toLowerCase()}: `}{deleting ? 'Its' : 'its'} power is cut first, and what the guest has not written is lost.</span>
            </p>
          ) : null}
          {plan === null ? (refused === null ? <p className="q-dim">Asking what would go…</p> : <ProblemNote message={refused.message} requestId={refused.requestId} />) : <PlanLists plan={plan} asking={asking} />}
          <label className="q-tick">
            <input type="checkbox" checked={deleteVolumes} disabled={deleting} onChange={(event) => setDeleteVolumes(event.target.checked)} />
            <span>Delete its volumes too <span className="q-dim q-tick-help">Those made for it that no other VM uses</span></span>
          </label>
          {problem === null ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
          {mustType ? <ConfirmTyped name={name} onEnter={() => { if (reasonOf(true) === undefined) remove(); }}>{foot}</ConfirmTyped> : foot(true)}
        </div>
      </ModalBody>
    </Modal>
  );
}
