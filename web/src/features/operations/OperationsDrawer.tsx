// What runs now and what ended lately, beside any page.

import type { ReactElement } from 'react';
import { useOperations } from '@/api/hooks';

export function OperationsDrawer({ onClose }: { onClose: () => void }): ReactElement {
  const operations = useOperations();
  return (
    <aside className="q-drawer" aria-label="Operations">
      <header className="q-drawer-head">
        <h2>Operations</h2>
        <button type="button" className="q-icon-button" aria-label="Close operations" onClick={onClose}>
          ✕
        </button>
      </header>
      <ul>
        {operations.map((operation) => (
          <li key={operation.id}>
            {operation.verb} {operation.step}
          </li>
        ))}
      </ul>
    </aside>
  );
}
