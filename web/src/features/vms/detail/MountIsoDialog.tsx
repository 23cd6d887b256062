// An ISO file of the host for a CD-ROM drive: one of those in the pools, or any by its path.

import { useQuery } from '@connectrpc/connect-query';
import { Button } from '@patternfly/react-core/dist/esm/components/Button';
import { Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core/dist/esm/components/Modal';
import { TextInput } from '@patternfly/react-core/dist/esm/components/TextInput';
import { useState, type FormEvent, type ReactElement } from 'react';
import { call, newKey, run } from '@/api/call';
import { asCurl } from '@/api/curl';
import { toProblem, violationsOf, type Problem } from '@/api/errors';
import { putVm } from '@/api/stores';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { MediaOption_Kind as Kind, VMService } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import type { CdromDevice } from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';
import { copy } from '@/ui/CopyText';
import { FormField } from '@/ui/FormField';
import { bytes } from '@/ui/format';
import { ProblemNote } from '@/ui/ProblemNote';
import { note } from '@/ui/toasts';

interface Props {
  readonly vm: VirtualMachine;
  readonly cdrom: CdromDevice;
  readonly onClose: () => void;
}

export default function MountIsoDialog({ vm, cdrom, onClose }: Props): ReactElement {
  const [path, setPath] = useState(cdrom.isoPath);
  const [force, setForce] = useState(false);
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const options = useQuery(VMService.method.getCreateOptions, {});
  const isos = (options.data?.media ?? []).filter((medium) => medium.kind === Kind.ISO);
  const what = call(VMService.method.mountISO, { vmId: vm.id, cdromId: cdrom.id, isoPath: path.trim(), force });
  const mount = (event: FormEvent): void => {
    event.preventDefault();
    if (path.trim() === '' || asked) return;
    setAsked(true);
    setProblem(null);
    run(what, { idempotencyKey: newKey() }).then(
      (now) => {
        putVm(now);
        onClose();
      },
      (thrown: unknown) => {
        setAsked(false);
        setProblem(toProblem(thrown));
      },
    );
  };
  const beside = violationsOf(problem, 'iso_path');
  return (
    <Modal isOpen onClose={onClose} variant="medium" aria-labelledby="mount-title">
      <ModalHeader title={`ISO for ${cdrom.id} of ${vm.name}`} labelId="mount-title" description={cdrom.isoPath === '' ? undefined : `What is in it comes out first: ${cdrom.isoPath}`} />
      <ModalBody>
        <form id="mount" className="q-mount" onSubmit={mount}>
          {isos.length === 0 ? null : (
            <fieldset className="q-mount-list">
              <legend className="q-label">ISO files in the pools</legend>
              {isos.map((iso) => (
                <label key={iso.path} className="q-check">
                  <input type="radio" name="iso" checked={path === iso.path} onChange={() => setPath(iso.path)} />
                  <span className="q-mono q-grow">{iso.path}</span>
                  <span className="q-dim q-num">{bytes(iso.capacityBytes)}</span>
                </label>
              ))}
            </fieldset>
          )}
          <FormField label="Path on the host" help={isos.length === 0 && options.data !== undefined ? 'No ISO file is in the active pools.' : undefined} violations={beside} required>
            {(input) => <TextInput {...input} value={path} onChange={(_event, value) => setPath(value)} placeholder="/var/lib/libvirt/images/debian-12.iso" spellCheck={false} autoFocus />}
          </FormField>
          {problem !== null && problem.code === 'failed_precondition' ? (
            <label className="q-check">
              <input type="checkbox" checked={force} onChange={(event) => setForce(event.target.checked)} />
              Open the tray although the guest holds it
            </label>
          ) : null}
          {problem === null || beside.length > 0 ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
        </form>
      </ModalBody>
      <ModalFooter className="q-mount-foot">
        <Button type="submit" form="mount" variant="primary" isLoading={asked} isDisabled={path.trim() === '' || asked}>Mount</Button>
        <button type="button" className="q-button" onClick={onClose}>Cancel</button>
        <span className="q-grow" />
        <button type="button" className="q-link" onClick={() => void copy(asCurl(what, location.origin)).then((done) => note(done ? 'The call is copied.' : 'The browser did not let it be copied.'))}>Copy as curl</button>
      </ModalFooter>
    </Modal>
  );
}
