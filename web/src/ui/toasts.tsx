// What happened where no row shows it. Errors stay until they are put away.

import { useSyncExternalStore, type ReactElement } from 'react';
import { ProblemNote } from './ProblemNote';

export interface Toast {
  readonly id: number;
  readonly kind: 'note' | 'problem';
  readonly message: string;
  readonly requestId?: string | undefined;
}

const NOTE_MS = 6000;
let toasts: readonly Toast[] = [];
let nextId = 1;
const listeners = new Set<() => void>();

function set(next: readonly Toast[]): void {
  toasts = next;
  for (const tell of listeners) tell();
}

export function dismiss(id: number): void {
  set(toasts.filter((toast) => toast.id !== id));
}

export function note(message: string): void {
  const id = nextId++;
  set([...toasts, { id, kind: 'note', message }]);
  setTimeout(() => dismiss(id), NOTE_MS);
}

export function problem(what: { message: string; requestId: string }): void {
  set([...toasts.slice(-3), { id: nextId++, kind: 'problem', message: what.message, requestId: what.requestId }]);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

export function Toasts(): ReactElement {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <div className="q-toasts" role="region" aria-label="Messages" aria-live="polite">
      {shown.map((toast) => (
        <div key={toast.id} className="q-toast">
          {toast.kind === 'problem' ? <ProblemNote message={toast.message} requestId={toast.requestId} /> : <p>{toast.message}</p>}
          <button type="button" className="q-icon-button" aria-label="Put this message away" onClick={() => dismiss(toast.id)}>
            ✕
          </button>
        </div>
      ))}
    </div>
  );
}
