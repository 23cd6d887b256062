// vCPUs and memory, changed together or alone; what the running guest does not get at once waits and
// is listed in the head.

import { TextInput } from '@patternfly/react-core/dist/esm/components/TextInput';
import type { ReactElement } from 'react';
import { violationsOf } from '@/api/errors';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { mib } from '@/ui/format';
import { FormField } from '@/ui/FormField';
import { InlineEdit } from './InlineEdit';
import type { Change } from './update_vm';

interface Draft {
  readonly cores: string;
  /** In MiB. */
  readonly memory: string;
}

const draftOf = (vm: VirtualMachine): Draft => ({ cores: String(vm.spec?.cpu?.cores ?? 0), memory: String(vm.spec?.memory?.sizeMib ?? 0n) });

const WHOLE = /^\d{1,7}$/;

export function sizeChange(draft: Draft, was: Draft): Change | string {
  if (!WHOLE.test(draft.cores) || !WHOLE.test(draft.memory)) return 'vCPUs and memory are whole numbers.';
  const cpu = draft.cores !== was.cores;
  const memory = draft.memory !== was.memory;
  if (!cpu && !memory) return 'Nothing is changed.';
  return {
    changes: { spec: { ...(cpu ? { cpu: { cores: Number(draft.cores) } } : {}), ...(memory ? { memory: { sizeMib: BigInt(draft.memory) } } : {}) } },
    paths: [...(cpu ? ['spec.cpu.cores'] : []), ...(memory ? ['spec.memory.size_mib'] : [])],
  };
}

function growth(vm: VirtualMachine): string {
  const cpu = vm.spec?.cpu;
  const memory = vm.spec?.memory;
  const parts = [
    cpu !== undefined && cpu.maxCores > cpu.cores ? `up to ${cpu.maxCores} vCPUs` : '',
    memory !== undefined && memory.maxMemoryMib > memory.sizeMib ? `up to ${mib(memory.maxMemoryMib)}` : '',
  ].filter((part) => part !== '');
  return parts.length === 0 ? '' : `${parts.join(' and ')} while it runs`;
}

export function SizeFact({ vm }: { vm: VirtualMachine }): ReactElement {
  const { cores, memory } = draftOf(vm);
  const more = growth(vm);
  return (
    <InlineEdit
      label="Size"
      vm={vm}
      shown={<>{cores} vCPU · {mib(BigInt(memory))}{more === '' ? null : <span className="q-dim"> ({more})</span>}</>}
      draftOf={draftOf}
      words={(draft) => `${draft.cores} vCPU, ${draft.memory} MiB`}
      changeOf={(draft) => sizeChange(draft, draftOf(vm))}
      fields={({ draft, set, problem }) => (
        <div className="q-fact-pair">
          <FormField label="vCPUs" violations={violationsOf(problem, 'spec.cpu')}>
            {(input) => <TextInput {...input} type="text" inputMode="numeric" className="q-num" value={draft.cores} onChange={(_event, value) => set({ ...draft, cores: value.trim() })} />}
          </FormField>
          <FormField label="Memory, MiB" help={WHOLE.test(draft.memory) ? mib(BigInt(draft.memory)) : undefined} violations={violationsOf(problem, 'spec.memory')}>
            {(input) => <TextInput {...input} type="text" inputMode="numeric" className="q-num" value={draft.memory} onChange={(_event, value) => set({ ...draft, memory: value.trim() })} />}
          </FormField>
        </div>
      )}
    />
  );
}
