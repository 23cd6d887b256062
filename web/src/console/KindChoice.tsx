import type { ReactElement } from 'react';
import type { ConsoleKind } from './open';

const KINDS: readonly (readonly [ConsoleKind, string])[] = [
  ['vnc', 'Screen'],
  ['serial', 'Serial'],
];

/** Which of a VM's two consoles. */
export function KindChoice({ kind, onKind }: { kind: ConsoleKind; onKind: (kind: ConsoleKind) => void }): ReactElement {
  return (
    <span className="q-con-kinds" role="group" aria-label="Which console">
      {KINDS.map(([each, word]) => (
        <button key={each} type="button" className="q-con-tool" aria-pressed={each === kind} onClick={() => onKind(each)}>
          {word}
        </button>
      ))}
    </span>
  );
}
