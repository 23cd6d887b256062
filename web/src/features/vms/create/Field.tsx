// A field of the page with everything that is known to be wrong with it, or worth knowing.

import type { ReactElement, ReactNode } from 'react';
import { FormField } from '@/ui/FormField';
import { StateShape } from '@/ui/StateBadge';
import { useCreation } from './context';
import { anchorOf, type Warning } from './notes';

type Input = { id: string; 'aria-describedby': string; 'aria-invalid': boolean };

interface Props {
  /** As `place` gives it. */
  readonly field: string;
  readonly label: string;
  readonly help?: ReactNode;
  readonly className?: string;
  readonly children: (input: Input) => ReactNode;
}

export function Warnings({ warnings }: { warnings: readonly Warning[] }): ReactElement | null {
  if (warnings.length === 0) return null;
  return (
    <ul className="q-warnings">
      {warnings.map(({ message, remedy }) => (
        <li key={message}>
          <StateShape tone="paused" />
          <span>{message} {remedy === '' ? null : <span className="q-dim">{remedy}</span>}</span>
        </li>
      ))}
    </ul>
  );
}

export function Field({ field, label, help, className = '', children }: Props): ReactElement {
  const { violations, warnings } = useCreation().notes.of(field);
  return (
    <div id={anchorOf(field)} className={className}>
      <FormField label={label} help={help} violations={violations}>
        {children}
      </FormField>
      <Warnings warnings={warnings} />
    </div>
  );
}

/** What is said of a row as a whole. */
export function RowNotes({ field }: { field: string }): ReactElement {
  const { violations, warnings } = useCreation().notes.of(field);
  return (
    <div id={anchorOf(field)} tabIndex={-1} className="q-row-notes">
      {violations.map((message) => <p key={message} className="q-tone-wrong" role="alert">{message}</p>)}
      <Warnings warnings={warnings} />
    </div>
  );
}

interface TickProps {
  readonly field: string;
  readonly label: string;
  readonly help?: string;
  readonly on: boolean;
  readonly onChange: (on: boolean) => void;
}

export function Tick({ field, label, help, on, onChange }: TickProps): ReactElement {
  return (
    <div>
      <label className="q-tick">
        <input type="checkbox" checked={on} onChange={(event) => onChange(event.target.checked)} />
        <span>{label}{help === undefined ? null : <span className="q-dim q-tick-help">{help}</span>}</span>
      </label>
      <RowNotes field={field} />
    </div>
  );
}
