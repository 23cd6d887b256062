import type { ReactElement } from 'react';
import { violationsOf, type Problem } from '@/api/errors';
import { FormField } from '@/ui/FormField';
import { QUOTA_FIELDS, type QuotaDraft } from './quota';

interface Props {
  readonly draft: QuotaDraft;
  readonly onDraft: (draft: QuotaDraft) => void;
  readonly problem: Problem | null;
}

export function QuotaFields({ draft, onDraft, problem }: Props): ReactElement {
  const violations = violationsOf(problem, 'quota');
  return (
    <fieldset className="q-access-quota">
      <legend>Quota of an operator, for all its VMs</legend>
      {QUOTA_FIELDS.map(([id, label], place) => (
        <FormField key={id} label={label} violations={place === 0 ? violations : []}>
          {(input) => <input {...input} className="q-input" type="number" min={0} step={id === 'memory' ? 'any' : 1} placeholder="no bound" value={draft[id]} onChange={(event) => onDraft({ ...draft, [id]: event.target.value })} />}
        </FormField>
      ))}
    </fieldset>
  );
}
