// A field with its label, its help, and what the server said about it.

import { useId, type ReactElement, type ReactNode } from 'react';

interface Props {
  readonly label: string;
  readonly help?: ReactNode;
  /** Sentences beside the field. */
  readonly violations?: readonly string[] | undefined;
  readonly required?: boolean;
  /** Draws the input: it takes the id, and what describes it. */
  readonly children: (input: { id: string; 'aria-describedby': string; 'aria-invalid': boolean }) => ReactNode;
}

export function FormField({ label, help, violations = [], required = false, children }: Props): ReactElement {
  const id = useId();
  const notes = `${id}-notes`;
  return (
    <div className="q-field">
      <label htmlFor={id} className="q-label">
        {label}
        {required ? <span className="q-dim"> required</span> : null}
      </label>
      {children({ id, 'aria-describedby': notes, 'aria-invalid': violations.length > 0 })}
      <div id={notes} className="q-field-notes">
        {help === undefined ? null : <p className="q-dim">{help}</p>}
        {violations.map((message) => (
          <p key={message} className="q-tone-wrong" role="alert">{message}</p>
        ))}
      </div>
    </div>
  );
}
