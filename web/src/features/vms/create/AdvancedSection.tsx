// What is rarely set: the processor in detail, what it boots from, channels, a kernel of its own.

import { useState, type ReactElement } from 'react';
import { useCreation } from './context';
import { Field, Tick } from './Field';
import { set, type BootOrder, type Form } from './form';
import { isAdvanced } from './notes';

const NAMED = ['host-passthrough', 'host-model', 'max'];
const ORDERS: readonly (readonly [BootOrder, string])[] = [
  ['proposed', 'What fits the start'],
  ['disks', 'Disks, CDs, network'],
  ['cds', 'CDs, disks, network'],
  ['network', 'Network, disks, CDs'],
];

function Kernel(): ReactElement {
  const { form, change } = useCreation();
  const put = (patch: Partial<Form>): void => change((now) => set(now, patch));
  const path = (field: string, label: string, key: 'kernel' | 'initrd' | 'cmdline', placeholder: string): ReactElement => (
    <Field field={`spec.boot.direct_boot.${field}`} label={label}>
      {(input) => <input {...input} type="text" className="q-input q-mono" placeholder={placeholder} value={form[key]} autoComplete="off" spellCheck={false} onChange={(event) => put({ [key]: event.target.value })} />}
    </Field>
  );
  return (
    <>
      {path('kernel_path', 'Kernel', 'kernel', '/path/on/this/host')}
      {path('initrd_path', 'Initial RAM disk', 'initrd', '/path/on/this/host')}
      {path('cmdline', 'Command line', 'cmdline', 'console=ttyS0')}
    </>
  );
}

export function AdvancedSection(): ReactElement {
  const { form, change, options, notes } = useCreation();
  const [open, setOpen] = useState(false);
  const put = (patch: Partial<Form>): void => change((now) => set(now, patch));
  const wrong = notes.obstacles.filter((one) => one.field !== null && isAdvanced(one.field)).length;
  return (
    <details className="q-part" open={open || wrong > 0} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary><h2>Advanced</h2> <span className="q-dim">processor, boot order, channels, direct kernel</span></summary>
      <div className="q-fields">
        <Field field="spec.cpu.model" label="CPU model">
          {(input) => (
            <select {...input} className="q-input" value={form.cpuModel} onChange={(event) => put({ cpuModel: event.target.value })}>
              <option value="">{options.kvm ? 'The host’s own' : 'The most that emulation can'}</option>
              {[...NAMED, ...options.cpuModels.filter((model) => !NAMED.includes(model))].map((model) => <option key={model} value={model}>{model}</option>)}
            </select>
          )}
        </Field>
        <Field field="spec.cpu.sockets" label="Sockets">
          {(input) => <input {...input} type="text" inputMode="numeric" className="q-input q-num" placeholder="1" value={form.sockets} onChange={(event) => put({ sockets: event.target.value })} />}
        </Field>
        <Field field="spec.cpu.threads_per_core" label="Threads of a core">
          {(input) => <input {...input} type="text" inputMode="numeric" className="q-input q-num" placeholder="1" value={form.threads} onChange={(event) => put({ threads: event.target.value })} />}
        </Field>
        <Field field="spec.boot" label="Boot order">
          {(input) => (
            <select {...input} className="q-input" value={form.boot} onChange={(event) => put({ boot: event.target.value as BootOrder })}>
              {ORDERS.map(([order, word]) => <option key={order} value={order}>{word}</option>)}
            </select>
          )}
        </Field>
        <Field field="spec.serial" label="Serial ports" help="The first is the text console.">
          {(input) => (
            <select {...input} className="q-input" value={form.serialPorts} onChange={(event) => put({ serialPorts: Number(event.target.value) })}>
              {[1, 2, 3, 4].map((count) => <option key={count}>{count}</option>)}
            </select>
          )}
        </Field>
        <div className="q-field-ticks">
          <Tick field="spec.agent" label="Channel for the guest agent" on={form.agent} onChange={(agent) => put({ agent })} />
          <Tick field="spec.display" label="Screen (VNC)" on={form.screen} onChange={(screen) => put({ screen })} />
        </div>
        <Kernel />
      </div>
    </details>
  );
}
