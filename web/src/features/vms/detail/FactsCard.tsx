// What a VM is, each fact edited where it stands.

import { TextArea } from '@patternfly/react-core/dist/esm/components/TextArea';
import { TextInput } from '@patternfly/react-core/dist/esm/components/TextInput';
import type { ReactElement, ReactNode } from 'react';
import { violationsOf, type Problem } from '@/api/errors';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { RelativeTime } from '@/ui/time';
import { AutostartFact } from './AutostartFact';
import { InlineEdit } from './InlineEdit';
import { labelsOf, labelsText } from './labels_text';
import { ProtectionFact } from './ProtectionFact';
import { SizeFact } from './SizeFact';
import { firmwareWord, machineWord, ORIGINS, osWord } from './spec_words';

export function Violations({ problem, field }: { problem: Problem | null; field: string }): ReactElement {
  return (
    <>
      {violationsOf(problem, field).map((message) => <p key={message} className="q-tone-wrong" role="alert">{message}</p>)}
    </>
  );
}

function Fact({ label, children }: { label: string; children: ReactNode }): ReactElement {
  return (
    <div className="q-fact">
      <dt>{label}</dt>
      <dd><span className="q-fact-value">{children}</span></dd>
    </div>
  );
}

function LabelChips({ vm }: { vm: VirtualMachine }): ReactElement {
  const entries = Object.entries(vm.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0) return <span className="q-dim">none</span>;
  return <span className="q-vm-labels">{entries.map(([key, value]) => <span key={key} className="q-vm-tag q-mono">{key}={value}</span>)}</span>;
}

export function FactsCard({ vm }: { vm: VirtualMachine }): ReactElement {
  return (
    <section className="q-card" aria-label={`Facts of ${vm.name}`}>
      <dl className="q-facts-list">
        <InlineEdit
          label="Name"
          vm={vm}
          shown={vm.name}
          draftOf={(one) => one.name}
          words={(draft) => draft}
          changeOf={(name) => (name.trim() === '' ? 'A VM has a name.' : { changes: { name: name.trim() }, paths: ['name'] })}
          fields={({ draft, set, problem, labelledBy }) => (
            <>
              <TextInput aria-labelledby={labelledBy} value={draft} onChange={(_event, value) => set(value)} validated={violationsOf(problem, 'name').length > 0 ? 'error' : 'default'} spellCheck={false} />
              <Violations problem={problem} field="name" />
            </>
          )}
        />
        <InlineEdit
          label="Description"
          vm={vm}
          shown={vm.description === '' ? <span className="q-dim">none</span> : <span className="q-lines">{vm.description}</span>}
          draftOf={(one) => one.description}
          words={(draft) => draft}
          changeOf={(description) => ({ changes: { description }, paths: ['description'] })}
          fields={({ draft, set, problem }) => (
            <>
              <TextArea aria-label="Description" rows={3} resizeOrientation="vertical" value={draft} onChange={(_event, value) => set(value)} />
              <Violations problem={problem} field="description" />
            </>
          )}
        />
        <InlineEdit
          label="Labels"
          vm={vm}
          shown={<LabelChips vm={vm} />}
          draftOf={(one) => labelsText(one.labels)}
          words={(draft) => draft.replaceAll('\n', ', ')}
          changeOf={(text) => {
            const labels = labelsOf(text);
            return typeof labels === 'string' ? labels : { changes: { labels }, paths: ['labels'] };
          }}
          fields={({ draft, set, problem }) => (
            <>
              <TextArea aria-label="Labels" className="q-mono" rows={Math.min(10, draft.split('\n').length + 1)} resizeOrientation="vertical" value={draft} onChange={(_event, value) => set(value)} spellCheck={false} placeholder="env=prod" />
              <p className="q-small">One a line: key=value</p>
              <Violations problem={problem} field="labels" />
            </>
          )}
        />
        <SizeFact vm={vm} />
        <AutostartFact vm={vm} />
        <ProtectionFact vm={vm} />
        <Fact label="Guest system">{osWord(vm)}</Fact>
        <Fact label="Machine">{machineWord(vm)}, {firmwareWord(vm)}</Fact>
        <Fact label="Origin">{ORIGINS[vm.origin]}, <RelativeTime at={vm.createdAt} /></Fact>
        <Fact label="Changed"><RelativeTime at={vm.updatedAt} /></Fact>
      </dl>
    </section>
  );
}
