// A verb by which a guest loses what it has not written: its name typed first.

import { Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core/dist/esm/components/Modal';
import type { ReactElement } from 'react';
import { ConfirmTyped } from '@/ui/ConfirmTyped';
import { ReasonButton } from '@/ui/ReasonButton';
import '../delete/delete.css';
import { putAway, toType, type Asking } from './ask';

const LOSS: Record<string, string> = {
  force_stop: 'The power is cut',
  reset: 'The machine is reset',
};
const NAMED = 12;

export default function ConfirmVerbDialog({ asking }: { asking: Asking & { kind: 'verb' } }): ReactElement {
  const { verb, vms } = asking;
  const name = toType(vms);
  const title = `${verb.word}: ${name}`;
  const go = (): void => {
    asking.answer(true);
    putAway();
  };
  return (
    <Modal isOpen onClose={putAway} variant="small" aria-label={title}>
      <ModalHeader title={title} />
      <ModalBody>
        <div className="q-loss">
          <p>{LOSS[verb.verb] ?? 'It is done at once'}. {vms.length === 1 ? 'The guest is not asked: what it has' : 'The guests are not asked: what they have'} not written to disk is lost.</p>
          {vms.length === 1 ? null : (
            <p className="q-dim">{vms.slice(0, NAMED).map((vm) => vm.name).join(', ')}{vms.length > NAMED ? ` and ${vms.length - NAMED} more` : ''}</p>
          )}
          <ConfirmTyped name={name} onEnter={go}>
            {(typed) => (
              <ModalFooter className="q-loss-foot">
                <ReasonButton variant="danger" reason={typed ? undefined : `Type ${name} first.`} onClick={go}>{verb.word}</ReasonButton>
                <button type="button" className="q-button" onClick={putAway}>Cancel</button>
              </ModalFooter>
            )}
          </ConfirmTyped>
        </div>
      </ModalBody>
    </Modal>
  );
}
