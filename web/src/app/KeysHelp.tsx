// The keys of the page, on request.

import { useEffect, useRef, type ReactElement } from 'react';
import { KeyHint } from '@/ui/KeyHint';

const KEYS: readonly (readonly [string, string])[] = [
  ['Ctrl K', 'Search or run'],
  ['/', 'Search the list; Enter leads to what is found'],
  ['j k', 'Next row, row before'],
  ['Enter', 'Open the row'],
  ['x', 'Select the row'],
  ['Tab', 'Through what is in the row'],
  ['Esc', 'Clear the selection, close'],
  ['n', 'New VM, on the list of VMs'],
  ['g o', 'Overview'],
  ['g v', 'VMs'],
  ['g n', 'Nodes'],
  ['g e', 'Events'],
  ['g a', 'Access: users, tokens, sessions'],
  ['?', 'This'],
];

export function KeysHelp({ onClose }: { onClose: () => void }): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    // Taken off the page, it is closed; closing it here would tell of a close that nobody asked for.
    if (dialog.current?.open === false) dialog.current.showModal();
  }, []);
  return (
    <dialog ref={dialog} className="q-palette q-keys-help" aria-label="Keys" onClose={onClose} onClick={(event) => { if (event.target === dialog.current) onClose(); }}>
      <h2>Keys</h2>
      <dl>
        {KEYS.map(([keys, what]) => (
          <div key={keys}>
            <dt>{keys.split(' ').map((key) => <KeyHint key={key} keys={key} />)}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <button type="button" className="q-button" autoFocus onClick={onClose}>Close</button>
    </dialog>
  );
}
