// Several VMs at once: what goes with each, then what came of each.

import { Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core/dist/esm/components/Modal';
import { useMemo, useState, type ReactElement } from 'react';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { ConfirmTyped } from '@/ui/ConfirmTyped';
import { ReasonButton } from '@/ui/ReasonButton';
import { StateBadge } from '@/ui/StateBadge';
import { VirtualList } from '@/ui/VirtualList';
import { mayDelete, toType } from '../actions/ask';
import { vmState } from '../vm_state';
import './delete.css';
import { destroysData, freesWord, inShort } from './plan';
import { useDeletions, type Outcome, type Planned } from './useDeletions';

/** About; a reason may take more. */
const ROW_HEIGHT = 52;

interface Props {
  readonly vms: readonly VirtualMachine[];
  readonly onClose: () => void;
  readonly onDeleted?: (() => void) | undefined;
}

function told(planned: Planned | undefined): string {
  if (planned === undefined) return 'Asking what would go…';
  return 'plan' in planned ? inShort(planned.plan) : planned.problem.message;
}

function Row({ vm, planned, outcome }: { vm: VirtualMachine; planned: Planned | undefined; outcome: Outcome | undefined }): ReactElement {
  const { tone, word } = vmState(vm);
  const refused = planned !== undefined && 'problem' in planned;
  const text = outcome?.kind === 'failed' ? `${outcome.problem.message} (request ${outcome.problem.requestId})` : told(planned);
  return (
    <div className="q-bulk-row">
      <span className="q-name">{vm.name}</span>
      {outcome === undefined ? <StateBadge tone={tone} word={word} />
        : outcome.kind === 'deleting' ? <StateBadge tone="moving" word="Deleting" />
        : outcome.kind === 'deleted' ? <StateBadge tone="stopped" word="Deleted" />
        : <StateBadge tone="wrong" word="Not deleted" />}
      <span className={`q-bulk-why ${refused || outcome?.kind === 'failed' ? 'q-tone-wrong' : 'q-dim'}`}>
        {outcome === undefined && mayDelete(vm).force ? 'Its power is cut first. ' : ''}{text}
      </span>
    </div>
  );
}

export default function DeleteVmsDialog({ vms: chosen, onClose, onDeleted }: Props): ReactElement {
  const vms = useMemo(() => [...chosen].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })), [chosen]);
  const [deleteVolumes, setDeleteVolumes] = useState(false);
  const { plans, outcomes, begin } = useDeletions(vms, deleteVolumes);
  const allowed = useMemo(() => vms.filter((vm) => mayDelete(vm).allowed), [vms]);
  const name = toType(allowed);
  const known = plans.values().flatMap((one) => ('plan' in one ? [one.plan] : []));
  const begun = outcomes.size > 0;
  const ended = outcomes.values().filter((one) => one.kind !== 'deleting');
  const failed = ended.filter((one) => one.kind === 'failed').length;
  const done = begun && ended.length === allowed.length;
  const mustType = allowed.some((vm) => mayDelete(vm).force) || known.some(destroysData);
  const close = (): void => {
    onClose();
    if (begun) onDeleted?.();
  };
  const reasonOf = (typed: boolean): string | undefined => {
    if (begun) return 'They are being deleted.';
    if (allowed.length === 0) return 'None of them can be deleted now.';
    if (plans.size < vms.length) return 'What would go is not known yet.';
    return typed ? undefined : `Type ${name} first.`;
  };
  const foot = (typed: boolean): ReactElement => (
    <ModalFooter className="q-loss-foot">
      {done ? null : <ReasonButton variant="danger" reason={reasonOf(typed)} onClick={begin}>Delete {name}</ReasonButton>}
      <button type="button" className="q-button" onClick={close}>{begun ? 'Close' : 'Cancel'}</button>
    </ModalFooter>
  );
  const title = `Delete ${vms.length} VMs`;
  return (
    <Modal isOpen onClose={close} variant="medium" aria-label={title}>
      <ModalHeader title={title} />
      <ModalBody>
        <div className="q-loss">
          <div className="q-bulk-rows" style={{ height: `min(22rem, 45vh, ${vms.length * ROW_HEIGHT + 2}px)` }}>
            <VirtualList
              label="What goes with each"
              items={vms}
              keyOf={(vm) => vm.id}
              height={ROW_HEIGHT}
              draw={(vm) => <Row vm={vm} planned={plans.get(vm.id)} outcome={outcomes.get(vm.id)} />}
            />
          </div>
          <label className="q-tick">
            <input type="checkbox" checked={deleteVolumes} disabled={begun} onChange={(event) => setDeleteVolumes(event.target.checked)} />
            <span>Delete their volumes too <span className="q-dim q-tick-help">Those made for them that no other VM uses</span></span>
          </label>
          <p role="status">
            {done ? `${ended.length - failed} deleted${failed === 0 ? '' : `, ${failed} not`}.`
              : begun ? `${ended.length} of ${allowed.length} are done.`
              : `${allowed.length} of ${vms.length} can be deleted. ${freesWord({ gone: known.flatMap((plan) => plan.gone), reclaimedBytes: known.reduce((sum, plan) => sum + plan.reclaimedBytes, 0n) })}`}
          </p>
          {mustType && !begun && allowed.length > 0 ? <ConfirmTyped name={name} onEnter={() => { if (reasonOf(true) === undefined) begin(); }}>{foot}</ConfirmTyped> : foot(true)}
        </div>
      </ModalBody>
    </Modal>
  );
}
