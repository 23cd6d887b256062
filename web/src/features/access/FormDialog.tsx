// A dialog around a form: what it is about, its fields, what the server said, and the way on.

import { Modal, ModalBody, ModalHeader } from '@patternfly/react-core/dist/esm/components/Modal';
import type { ReactElement, ReactNode } from 'react';
import type { Problem } from '@/api/errors';
import { sentence } from '@/ui/format';
import { PlainButton } from '@/ui/PlainButton';
import { ProblemNote } from '@/ui/ProblemNote';

interface Props {
  readonly title: string;
  /** On the button that does it. */
  readonly word: string;
  readonly danger?: boolean;
  readonly asked: boolean;
  readonly problem: Problem | null;
  /** Why it can't be done yet. */
  readonly reason?: string | undefined;
  readonly onSubmit: () => void;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

export function FormDialog({ title, word, danger = false, asked, problem, reason, onSubmit, onClose, children }: Props): ReactElement {
  return (
    <Modal isOpen onClose={onClose} variant="small" aria-label={title}>
      <ModalHeader title={title} />
      <ModalBody>
        <form className="q-access-form" aria-label={title} onSubmit={(event) => { event.preventDefault(); if (!asked && reason === undefined) onSubmit(); }}>
          {children}
          {problem === null || problem.fieldViolations.length > 0 ? null : <ProblemNote message={sentence(problem.message)} requestId={problem.requestId} />}
          <div className="q-access-buttons">
            <PlainButton type="submit" className={`q-button ${danger ? 'q-danger' : 'q-primary'}`} reason={reason} aria-disabled={asked}>{word}</PlainButton>
            <button type="button" className="q-button" onClick={onClose}>Cancel</button>
          </div>
        </form>
      </ModalBody>
    </Modal>
  );
}
