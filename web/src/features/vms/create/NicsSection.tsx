// Its network cards, on libvirt's networks or bridges of the host.

import type { ReactElement } from 'react';
import { NetworkInterface_Model as Model } from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';
import { Icon } from '@/ui/icons';
import { useCreation } from './context';
import { Field, RowNotes } from './Field';
import { emptyNic, nextKey, set, setNic, type NicForm } from './form';

const MODELS: readonly (readonly [Model, string])[] = [
  [Model.VIRTIO_NET, 'virtio'],
  [Model.E1000E, 'e1000e'],
  [Model.E1000, 'e1000'],
  [Model.VMXNET3, 'vmxnet3'],
];

function NicRow({ nic, index }: { nic: NicForm; index: number }): ReactElement {
  const { change, options } = useCreation();
  const field = `spec.nics[${index}]`;
  const put = (patch: Partial<NicForm>): void => change((now) => setNic(now, nic.key, patch, patch.model === undefined ? undefined : 'nicModel'));
  return (
    <li className="q-device" aria-label={`Network card ${index + 1}`}>
      <div className="q-device-head">
        <strong>Network card {index + 1}</strong>
        <span className="q-grow" />
        <button type="button" className="q-icon-button" aria-label={`Remove network card ${index + 1}`} onClick={() => change((now) => set(now, { nics: now.nics.filter((one) => one.key !== nic.key) }))}>
          <Icon name="close" />
        </button>
      </div>
      <div className="q-fields">
        <Field field={`${field}.network_id`} label="On">
          {(input) => (
            <select {...input} className="q-input" value={nic.on} onChange={(event) => put({ on: event.target.value })}>
              {nic.on === '' ? <option value="">the default network</option> : null}
              {options.networks.map((network) => (
                <option key={network.id} value={`network:${network.name}`}>network {network.name}{network.active ? '' : ', not started'}</option>
              ))}
              {options.bridges.map((bridge) => <option key={bridge} value={`bridge:${bridge}`}>bridge {bridge}</option>)}
            </select>
          )}
        </Field>
        <Field field={`${field}.model`} label="Model">
          {(input) => (
            <select {...input} className="q-input" value={nic.model} onChange={(event) => put({ model: Number(event.target.value) })}>
              {MODELS.map(([model, word]) => <option key={model} value={model}>{word}</option>)}
            </select>
          )}
        </Field>
        <Field field={`${field}.mac_address`} label="MAC address">
          {(input) => <input {...input} type="text" className="q-input q-mono" placeholder="Chosen at random" value={nic.mac} autoComplete="off" spellCheck={false} onChange={(event) => put({ mac: event.target.value })} />}
        </Field>
      </div>
      <RowNotes field={field} />
    </li>
  );
}

export function NicsSection(): ReactElement {
  const { form, change, options } = useCreation();
  return (
    <section className="q-part">
      <h2>Network</h2>
      {form.nics.length === 0 ? <p className="q-dim">No card: it reaches nothing, and nothing reaches it.</p> : null}
      <ul className="q-devices">
        {form.nics.map((nic, index) => <NicRow key={nic.key} nic={nic} index={index} />)}
      </ul>
      <button type="button" className="q-button" onClick={() => change((now) => ({ ...now, nics: [...now.nics, emptyNic(nextKey(now.nics), options)] }))}>
        Add a network card
      </button>
    </section>
  );
}
