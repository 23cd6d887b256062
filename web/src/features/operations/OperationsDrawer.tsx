// What runs now and what ended lately, beside any page.

import { useEffect, useRef, type ReactElement } from 'react';
import { Link } from 'react-router';
import { paths } from '@/app/paths';
import { Icon } from '@/ui/icons';
import { ProblemNote } from '@/ui/ProblemNote';
import { OperationLine } from './OperationLine';
import { useOperationPages } from './useOperationPages';

const SHOWN = 20;

export function OperationsDrawer({ onClose }: { onClose: () => void }): ReactElement {
  const { running, ended, known, problem } = useOperationPages(SHOWN);
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => close.current?.focus(), []);
  return (
    <aside className="q-drawer" aria-label="Operations" onKeyDown={(event) => { if (event.key === 'Escape') onClose(); }}>
      <header className="q-drawer-head">
        <h2>Operations</h2>
        <button ref={close} type="button" className="q-icon-button" aria-label="Close operations" onClick={onClose}>
          <Icon name="close" size={14} />
        </button>
      </header>
      <h3 className="q-ops-head">Running</h3>
      {running.length === 0 ? <p className="q-dim">Nothing is under way.</p> : (
        <ul className="q-ops">{running.map((one) => <OperationLine key={one.id} operation={one} />)}</ul>
      )}
      <h3 className="q-ops-head">Ended lately</h3>
      {problem === null ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
      {known && ended.length === 0 ? <p className="q-dim">Nothing yet.</p> : (
        <ul className="q-ops">{ended.slice(0, SHOWN).map((one) => <OperationLine key={one.id} operation={one} />)}</ul>
      )}
      <p className="q-more"><Link to={paths.operations()} onClick={onClose}>All operations</Link></p>
    </aside>
  );
}
