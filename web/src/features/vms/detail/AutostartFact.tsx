// Whether a VM starts with the host, and when among the others.

import { TextInput } from '@patternfly/react-core/dist/esm/components/TextInput';
import type { ReactElement } from 'react';
import { violationsOf } from '@/api/errors';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { FormField } from '@/ui/FormField';
import { InlineEdit } from './InlineEdit';
import type { Change } from './update_vm';

interface Draft {
  readonly on: boolean;
  /** Empty: after all that have one. */
  readonly order: string;
  /** Empty: none. */
  readonly delay: string;
}

const draftOf = (vm: VirtualMachine): Draft => ({ on: vm.autostart, order: vm.startOrder?.toString() ?? '', delay: vm.startDelaySec?.toString() ?? '' });
const NUMBER = /^\d{0,9}$/;

export function autostartChange(draft: Draft): Change | string {
  if (!NUMBER.test(draft.order) || !NUMBER.test(draft.delay)) return 'Position and pause are whole numbers, or empty.';
  return {
    changes: {
      autostart: draft.on,
      ...(draft.order === '' ? {} : { startOrder: Number(draft.order) }),
      ...(draft.delay === '' ? {} : { startDelaySec: Number(draft.delay) }),
    },
    paths: ['autostart', 'start_order', 'start_delay_sec'],
  };
}

function words({ on, order, delay }: Draft): string {
  if (!on) return 'no';
  return `yes${order === '' ? '' : `, position ${order}`}${delay === '' || delay === '0' ? '' : `, then ${delay} s pause`}`;
}

export function AutostartFact({ vm }: { vm: VirtualMachine }): ReactElement {
  return (
    <InlineEdit
      label="Starts with the host"
      vm={vm}
      shown={words(draftOf(vm))}
      draftOf={draftOf}
      words={words}
      changeOf={autostartChange}
      fields={({ draft, set, problem }) => (
        <>
          <label className="q-check">
            <input type="checkbox" checked={draft.on} onChange={(event) => set({ ...draft, on: event.target.checked })} />
            Start it with the host
          </label>
          <div className="q-fact-pair">
            <FormField label="Position" help="Lower first; empty: after all that have one." violations={violationsOf(problem, 'start_order')}>
              {(input) => <TextInput {...input} inputMode="numeric" isDisabled={!draft.on} value={draft.order} onChange={(_event, value) => set({ ...draft, order: value.trim() })} />}
            </FormField>
            <FormField label="Pause after it, s" help="Before the next one starts." violations={violationsOf(problem, 'start_delay_sec')}>
              {(input) => <TextInput {...input} inputMode="numeric" isDisabled={!draft.on} value={draft.delay} onChange={(_event, value) => set({ ...draft, delay: value.trim() })} />}
            </FormField>
          </div>
        </>
      )}
    />
  );
}
