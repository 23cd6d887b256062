// What goes, what stays and why, before anything does.

import { Modal, ModalBody, ModalHeader } from '@patternfly/react-core/dist/esm/components/Modal';
import type { ReactElement } from 'react';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';

interface Props {
  readonly vm: VirtualMachine;
  readonly onClose: () => void;
  /** It is gone: a page about it goes elsewhere. */
  readonly onDeleted?: () => void;
}

export default function DeleteVmDialog({ vm, onClose }: Props): ReactElement {
  return (
    <Modal isOpen onClose={onClose} variant="medium" aria-label={`Delete ${vm.name}`}>
      <ModalHeader title={`Delete ${vm.name}`} />
      <ModalBody>{null}</ModalBody>
    </Modal>
  );
}
