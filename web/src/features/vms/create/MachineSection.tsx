// What it is and what it is given: operating system, name, processors, memory, firmware.

import type { ReactElement } from 'react';
import { FirmwareType } from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';
import { useCreation } from './context';
import { Field, Tick } from './Field';
import { inUnit, set, type Form, type MemoryUnit, type Proposed } from './form';

export function IdentitySection(): ReactElement {
  const { form, change, options } = useCreation();
  const put = (patch: Partial<Form>, touches?: Proposed): void => change((now) => set(now, patch, touches));
  return (
    <section className="q-part">
      <h2>Name and system</h2>
      <div className="q-fields">
        <Field field="spec.guest_os" label="Operating system" help="Proposes sizes and devices; what you set stays.">
          {(input) => (
            <select {...input} className="q-input" value={form.profile} onChange={(event) => put({ profile: event.target.value }, 'profile')}>
              {options.osProfiles.map((profile) => <option key={profile.id} value={profile.id}>{profile.label}</option>)}
            </select>
          )}
        </Field>
        <Field field="name" label="Name">
          {(input) => <input {...input} type="text" className="q-input" value={form.name} autoComplete="off" spellCheck={false} onChange={(event) => put({ name: event.target.value }, 'name')} />}
        </Field>
        <Field field="description" label="Description">
          {(input) => <input {...input} type="text" className="q-input" value={form.description} autoComplete="off" onChange={(event) => put({ description: event.target.value })} />}
        </Field>
        <Field field="labels" label="Labels">
          {(input) => <input {...input} type="text" className="q-input" placeholder="env=prod, team=web" value={form.labels} autoComplete="off" spellCheck={false} onChange={(event) => put({ labels: event.target.value })} />}
        </Field>
      </div>
    </section>
  );
}

export function MachineSection(): ReactElement {
  const { form, change, options } = useCreation();
  const put = (patch: Partial<Form>, touches?: Proposed): void => change((now) => set(now, patch, touches));
  const toUnit = (unit: MemoryUnit): void => change((now) => inUnit(now, unit));
  return (
    <section className="q-part">
      <h2>Machine</h2>
      <div className="q-fields">
        <Field field="spec.cpu.cores" label="vCPUs" help={`This host has ${options.hostThreads} threads.`}>
          {(input) => <input {...input} type="text" inputMode="numeric" className="q-input q-num" value={form.cores} onChange={(event) => put({ cores: event.target.value }, 'cores')} />}
        </Field>
        <Field field="spec.memory" label="Memory">
          {(input) => (
            <span className="q-with-unit">
              <input {...input} type="text" inputMode="decimal" className="q-input q-num" value={form.memory} onChange={(event) => put({ memory: event.target.value }, 'memory')} />
              <select className="q-input" aria-label="Unit of memory" value={form.memoryUnit} onChange={(event) => toUnit(event.target.value as MemoryUnit)}>
                <option>GiB</option>
                <option>MiB</option>
              </select>
            </span>
          )}
        </Field>
        <Field field="spec.firmware" label="Firmware">
          {(input) => (
            <select {...input} className="q-input" value={form.firmware} onChange={(event) => put({ firmware: Number(event.target.value) }, 'firmware')}>
              <option value={FirmwareType.BIOS}>BIOS</option>
              <option value={FirmwareType.UEFI}>UEFI{options.uefi ? '' : ' (not on this host)'}</option>
              <option value={FirmwareType.UEFI_SECURE_BOOT}>UEFI with Secure Boot{options.secureBoot ? '' : ' (not on this host)'}</option>
            </select>
          )}
        </Field>
        <div className="q-field-tick">
          <Tick field="spec.tpm" label="TPM" help={options.tpm ? 'Emulated' : 'This host has no TPM emulator'} on={form.tpm} onChange={(tpm) => put({ tpm }, 'tpm')} />
        </div>
      </div>
    </section>
  );
}
