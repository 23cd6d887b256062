// What will be made, what it takes, what was looked at; and the button that makes it.

import { useState, type ReactElement } from 'react';
import { asCurl } from '@/api/curl';
import { copy } from '@/ui/CopyText';
import { KeyHint } from '@/ui/KeyHint';
import { ProblemNote } from '@/ui/ProblemNote';
import { ReasonButton } from '@/ui/ReasonButton';
import { StateShape } from '@/ui/StateBadge';
import { note } from '@/ui/toasts';
import { useCreation } from './context';
import { costs } from './cost';
import { describe } from './describe';
import { labelOf, type Obstacle } from './notes';
import { createCall, type CreateInput } from './request';
import type { Submission } from './useSubmit';

interface Props {
  readonly input: CreateInput;
  readonly asking: boolean;
  readonly onAgain: () => void;
  readonly submission: Submission;
  readonly reason: string | undefined;
  readonly onCreate: () => void;
  readonly onGo: (field: string) => void;
}

function Obstacles({ obstacles, onGo }: { obstacles: readonly Obstacle[]; onGo: (field: string) => void }): ReactElement | null {
  if (obstacles.length === 0) return null;
  return (
    <ul className="q-findings">
      {obstacles.map(({ field, message, missing }) => (
        <li key={`${field} ${message}`}>
          <StateShape tone={missing ? 'stopped' : 'wrong'} />
          <span>
            {field === null ? null : <><button type="button" className="q-link" onClick={() => onGo(field)}>{labelOf(field)}</button>: </>}
            {message}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Looked({ onGo }: { onGo: (field: string) => void }): ReactElement {
  const { warnings, passed } = useCreation().notes;
  return (
    <>
      {warnings.length === 0 ? null : (
        <ul className="q-findings">
          {warnings.map(({ field, message, remedy }) => (
            <li key={`${field} ${message}`}>
              <StateShape tone="paused" />
              <span>
                {field === null ? null : <><button type="button" className="q-link" onClick={() => onGo(field)}>{labelOf(field)}</button>: </>}
                {message} {remedy === '' ? null : <span className="q-dim">{remedy}</span>}
              </span>
            </li>
          ))}
        </ul>
      )}
      {passed.length === 0 ? null : (
        <details className="q-passed">
          <summary>{passed.length} checks passed</summary>
          <ul className="q-findings">
            {passed.map((message) => <li key={message}><StateShape tone="running" /><span>{message}</span></li>)}
          </ul>
        </details>
      )}
    </>
  );
}

export function Review({ input, asking, onAgain, submission, reason, onCreate, onGo }: Props): ReactElement {
  const { form, options, notes } = useCreation();
  const [open, setOpen] = useState(false);
  const { creating, problem } = submission;
  const wrong = notes.obstacles.filter((one) => !one.missing).length;
  const state = creating
    ? `Creating${submission.step === '' ? '' : `: ${submission.step}`}…`
    : asking ? 'Checking…'
    : wrong > 0 ? `${wrong} ${wrong === 1 ? 'thing stands' : 'things stand'} in the way`
    : notes.obstacles.length > 0 ? 'Not complete yet'
    : 'Nothing stands in the way';
  const copyCall = (): void =>
    void copy(asCurl(createCall(input), location.origin)).then((done) => note(done ? 'The call that creates it is copied.' : 'The browser did not let it be copied.'));
  return (
    <aside className="q-review" aria-label="Review" data-open={open ? '' : undefined}>
      <div className="q-review-body">
        <h2 className="q-cut">{form.name.trim() === '' ? 'New VM' : form.name}</h2>
        <dl className="q-lines">
          {describe(form, options).map(([what, text]) => <div key={what}><dt>{what}</dt><dd>{text}</dd></div>)}
        </dl>
        <h3>Takes</h3>
        <dl className="q-lines">
          {costs(form, input, options).map((cost) => (
            <div key={cost.what}>
              <dt>{cost.what}</dt>
              <dd><span className={cost.tooMuch ? 'q-tone-paused' : ''}>{cost.wanted}</span> <span className="q-dim">{cost.against}</span></dd>
            </div>
          ))}
        </dl>
        <h3>Checks <button type="button" className="q-link q-again" onClick={onAgain}>Check again</button></h3>
        <div className="q-checks" aria-busy={asking}>
          <Obstacles obstacles={notes.obstacles} onGo={onGo} />
          <Looked onGo={onGo} />
        </div>
      </div>
      {problem === null ? null : <ProblemNote message={problem.fieldViolations.length > 1 ? 'It was not created: see beside the fields.' : `It was not created: ${problem.message}`} requestId={problem.requestId} />}
      <div className="q-review-foot">
        <button type="button" className="q-review-toggle" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? 'Hide the review' : 'Review'}
        </button>
        <p className="q-review-state" role="status">
          <StateShape tone={creating || asking ? 'moving' : wrong > 0 ? 'wrong' : notes.obstacles.length > 0 ? 'stopped' : 'running'} />
          <span>{state}</span>
        </p>
        <div className="q-review-buttons">
          <ReasonButton variant="primary" size="sm" reason={reason} onClick={onCreate}>
            {form.startNow ? 'Create and start' : 'Create'}
          </ReasonButton>
          <button type="button" className="q-link" onClick={copyCall}>Copy as curl</button>
          <span className="q-grow" />
          <KeyHint keys="Ctrl Enter" />
        </div>
      </div>
    </aside>
  );
}
