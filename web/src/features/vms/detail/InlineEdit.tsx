// A fact that is edited where it stands. While it is, what the server says about it stands beside
// it, and what someone else made of it meanwhile, too.

import { Button } from '@patternfly/react-core/dist/esm/components/Button';
import { useEffect, useId, useRef, useState, type FormEvent, type ReactElement, type ReactNode } from 'react';
import { toProblem, type Problem } from '@/api/errors';
import { allowance } from '@/api/verbs';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { ProblemNote } from '@/ui/ProblemNote';
import { ReasonButton } from '@/ui/ReasonButton';
import { ChangedMeanwhile, updateVm, type Change } from './update_vm';

export interface FieldProps<D> {
  readonly draft: D;
  readonly set: (draft: D) => void;
  readonly problem: Problem | null;
  /** The label of the first field. */
  readonly labelledBy: string;
}

interface Props<D> {
  readonly label: string;
  readonly vm: VirtualMachine;
  readonly shown: ReactNode;
  /** What is there, to begin from. */
  readonly draftOf: (vm: VirtualMachine) => D;
  /** A sentence about what can't even be asked for, or what is asked. */
  readonly changeOf: (draft: D) => Change | string;
  readonly fields: (props: FieldProps<D>) => ReactNode;
  /** What is there, in words. */
  readonly words: (draft: D) => string;
}

export function InlineEdit<D>(props: Props<D>): ReactElement {
  const { label, vm, shown } = props;
  const [editing, setEditing] = useState(false);
  const place = useRef<HTMLElement>(null);
  const was = useRef(false);
  const id = useId();
  useEffect(() => {
    // The focus returns to where it came from.
    if (was.current && !editing) place.current?.querySelector('button')?.focus();
    was.current = editing;
  }, [editing]);
  const { allowed, reason } = allowance(vm, 'update');
  return (
    <div className="q-fact">
      <dt id={id}>{label}</dt>
      <dd ref={place}>
        {editing ? (
          <Editor {...props} labelledBy={id} onDone={() => setEditing(false)} />
        ) : (
          <>
            <span className="q-fact-value">{shown}</span>
            <ReasonButton variant="link" isInline size="sm" className="q-fact-edit" aria-label={`Edit ${label.toLowerCase()} of ${vm.name}`} reason={allowed ? undefined : reason || 'Not now.'} onClick={() => setEditing(true)}>
              edit
            </ReasonButton>
          </>
        )}
      </dd>
    </div>
  );
}

function Editor<D>({ label, vm, draftOf, changeOf, fields, words, labelledBy, onDone }: Props<D> & { labelledBy: string; onDone: () => void }): ReactElement {
  const [seen, setSeen] = useState(vm);
  const [draft, setDraft] = useState(() => draftOf(vm));
  const [problem, setProblem] = useState<Problem | null>(null);
  const [saving, setSaving] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector<HTMLElement>('input, textarea')?.focus(), []);
  const wordsOf = (which: VirtualMachine): string => words(draftOf(which));
  const changed = wordsOf(seen) !== wordsOf(vm);
  const change = changeOf(draft);
  const save = (event: FormEvent): void => {
    event.preventDefault();
    if (typeof change === 'string' || changed || saving) return;
    setSaving(true);
    setProblem(null);
    updateVm(seen, change, (a, b) => wordsOf(a) === wordsOf(b)).then(onDone, (thrown: unknown) => {
      setSaving(false);
      // The store has what is there now, so the page shows it.
      if (!(thrown instanceof ChangedMeanwhile)) setProblem(toProblem(thrown));
    });
  };
  const beside = problem?.fieldViolations.length ?? 0;
  return (
    <form ref={form} className="q-fact-form" aria-label={`${label} of ${vm.name}`} onSubmit={save} onKeyDown={(event) => event.key === 'Escape' && onDone()}>
      {fields({ draft, set: setDraft, problem, labelledBy })}
      {changed ? (
        <div className="q-fact-conflict" role="alert">
          <p>Changed meanwhile. There is now: <strong>{wordsOf(vm) || 'nothing'}</strong></p>
          <button type="button" className="q-link" onClick={() => setSeen(vm)}>Keep mine</button>{' '}
          <button type="button" className="q-link" onClick={() => { setSeen(vm); setDraft(draftOf(vm)); }}>Take what is there</button>
        </div>
      ) : null}
      {problem !== null && beside === 0 ? <ProblemNote message={problem.message} requestId={problem.requestId} /> : null}
      <div className="q-fact-acts">
        <ReasonButton type="submit" size="sm" variant="primary" isLoading={saving} reason={typeof change === 'string' ? change : changed ? 'Decide first which of the two it shall be.' : undefined}>Save</ReasonButton>
        <Button size="sm" variant="link" onClick={onDone}>Cancel</Button>
      </div>
    </form>
  );
}
