// Whether a VM is protected against deletion. Whoever may not change that is told so by the server,
// with the role that may.

import type { ReactElement } from 'react';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { InlineEdit } from './InlineEdit';

const words = (on: boolean): string => (on ? 'protected' : 'no');

export function ProtectionFact({ vm }: { vm: VirtualMachine }): ReactElement {
  return (
    <InlineEdit
      label="Deletion protection"
      vm={vm}
      shown={words(vm.deletionProtection)}
      draftOf={(one) => one.deletionProtection}
      words={words}
      changeOf={(on) => ({ changes: { deletionProtection: on }, paths: ['deletion_protection'] })}
      fields={({ draft, set }) => (
        <label className="q-check">
          <input type="checkbox" checked={draft} onChange={(event) => set(event.target.checked)} />
          Nobody deletes it, with force or without
        </label>
      )}
    />
  );
}
