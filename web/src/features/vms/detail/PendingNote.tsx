// What the running guest does not have yet.

import { useState, type ReactElement } from 'react';
import type { PendingChange, VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { StateShape } from '@/ui/StateBadge';
import { pathWords } from './path_words';

function Change({ change }: { change: PendingChange }): ReactElement {
  return (
    <li>
      <span>{pathWords(change.path)}</span>{' '}
      <span className="q-mono">{change.current || 'not there'}</span> → <strong className="q-mono">{change.pending || 'gone'}</strong>
    </li>
  );
}

export function PendingNote({ vm }: { vm: VirtualMachine }): ReactElement | null {
  const [open, setOpen] = useState(false);
  const changes = vm.status?.pendingChanges ?? [];
  if (changes.length === 0) return null;
  const many = changes.length > 2;
  return (
    <div className="q-vm-line q-vm-pending">
      <StateShape tone="paused" />
      <div>
        <span>
          {changes.length === 1 ? '1 change waits' : `${changes.length} changes wait`} for the next start from stopped; a reboot does not apply {changes.length === 1 ? 'it' : 'them'}.
        </span>{' '}
        {many ? <button type="button" className="q-link" aria-expanded={open} onClick={() => setOpen(!open)}>{open ? 'Fewer' : 'Which'}</button> : null}
        {!many || open ? <ul>{changes.map((change) => <Change key={change.path} change={change} />)}</ul> : null}
      </div>
    </div>
  );
}
