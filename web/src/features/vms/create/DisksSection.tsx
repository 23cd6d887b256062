// Its disks: new ones, new ones over an image, files as they are.

import type { ReactElement } from 'react';
import { DiskDevice_BusType as Bus, DiskFormat } from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';
import { bytes } from '@/ui/format';
import { Icon } from '@/ui/icons';
import { useCreation } from './context';
import { Field, RowNotes } from './Field';
import { emptyDisk, nextKey, set, setDisk, type DiskForm, type Proposed } from './form';
import { FormatSelect } from './FormatSelect';
import { anchorOf } from './notes';
import { formatOf } from './proposals';

const KINDS: readonly (readonly [DiskForm['kind'], string])[] = [
  ['new', 'New and empty'],
  ['overlay', 'New, over an image'],
  ['file', 'A file as it is'],
];
const BUSES: readonly (readonly [Bus, string])[] = [
  [Bus.VIRTIO_BLK, 'virtio'],
  [Bus.VIRTIO_SCSI, 'virtio-scsi'],
  [Bus.NVME, 'NVMe'],
  [Bus.SATA, 'SATA'],
];

function Pool({ disk, field }: { disk: DiskForm; field: string }): ReactElement | null {
  const { change, options } = useCreation();
  const named = options.pools.filter((pool) => pool.name !== 'default');
  const first = options.pools.find((pool) => pool.name === 'default');
  if (named.length === 0 && disk.pool === '') return null;
  const into = (pool: string): void => change((now) => setDisk(now, disk.key, { pool }));
  const room = (active: boolean, free: bigint): string => (active ? `, ${bytes(free)} free` : ', not started');
  return (
    <Field field={`${field}.storage_pool_id`} label="Pool">
      {(input) => (
        <select {...input} className="q-input" value={disk.pool} onChange={(event) => into(event.target.value)}>
          <option value="">default{first === undefined ? '' : room(first.active, first.availableBytes)}</option>
          {named.map((pool) => <option key={pool.id} value={pool.name}>{pool.name}{room(pool.active, pool.availableBytes)}</option>)}
        </select>
      )}
    </Field>
  );
}

function Source({ disk, field }: { disk: DiskForm; field: string }): ReactElement {
  const { change, options } = useCreation();
  const put = (patch: Partial<DiskForm>): void => change((now) => setDisk(now, disk.key, patch));
  return (
    <>
      <Field field={`${field}.path`} label={disk.kind === 'file' ? 'File' : 'Image'} className="q-span">
        {(input) => (
          <input {...input} type="text" className="q-input q-mono" placeholder="/path/on/this/host" list="q-disk-paths" value={disk.path} autoComplete="off" spellCheck={false}
            onChange={(event) => put({ path: event.target.value, format: formatOf(event.target.value.trim(), options) })} />
        )}
      </Field>
      <Field field={`${field}.format`} label="Its format">
        {(input) => <FormatSelect input={input} format={disk.format} onFormat={(format) => put({ format })} />}
      </Field>
    </>
  );
}

function DiskRow({ disk, index }: { disk: DiskForm; index: number }): ReactElement {
  const { form, change } = useCreation();
  const field = `spec.disks[${index}]`;
  const fromStart = index === 0 && form.start === 'image';
  const put = (patch: Partial<DiskForm>, touches?: Proposed): void => change((now) => setDisk(now, disk.key, patch, touches));
  const file = disk.path.trim().split('/').pop();
  return (
    <li id={anchorOf(field)} className="q-device" aria-label={`Disk ${index + 1}`}>
      <div className="q-device-head">
        <strong>Disk {index + 1}</strong>
        {fromStart ? <span className="q-dim q-cut">{disk.kind === 'file' ? 'the file' : 'over'} {file === '' ? 'the image above' : file}</span> : (
          <select className="q-input q-kind" aria-label={`What disk ${index + 1} is`} value={disk.kind} onChange={(event) => put({ kind: event.target.value as DiskForm['kind'] })}>
            {KINDS.map(([kind, word]) => <option key={kind} value={kind}>{word}</option>)}
          </select>
        )}
        <span className="q-grow" />
        {fromStart ? null : (
          <button type="button" className="q-icon-button" aria-label={`Remove disk ${index + 1}`} onClick={() => change((now) => set(now, { disks: now.disks.filter((one) => one.key !== disk.key) }))}>
            <Icon name="close" />
          </button>
        )}
      </div>
      <div className="q-fields">
        {!fromStart && disk.kind !== 'new' ? <Source disk={disk} field={field} /> : null}
        {disk.kind === 'file' ? null : (
          <Field field={`${field}.size_gib`} label="Size in GiB">
            {(input) => <input {...input} type="text" inputMode="numeric" className="q-input q-num" value={disk.sizeGib} onChange={(event) => put({ sizeGib: event.target.value }, index === 0 ? 'disk' : undefined)} />}
          </Field>
        )}
        <Field field={`${field}.bus`} label="Bus">
          {(input) => (
            <select {...input} className="q-input" value={disk.bus ?? ''} onChange={(event) => put({ bus: event.target.value === '' ? null : Number(event.target.value) })}>
              <option value="">What fits the system</option>
              {BUSES.map(([bus, word]) => <option key={bus} value={bus}>{word}</option>)}
            </select>
          )}
        </Field>
        {disk.kind === 'new' ? (
          <Field field={`${field}.format`} label="Format">
            {(input) => <FormatSelect input={input} format={disk.format} onFormat={(format) => put({ format })} />}
          </Field>
        ) : null}
        {disk.kind === 'file' ? null : <Pool disk={disk} field={field} />}
      </div>
      <RowNotes field={field} />
    </li>
  );
}

export function DisksSection(): ReactElement {
  const { form, change, options } = useCreation();
  const add = (): void => change((now) => ({ ...now, disks: [...now.disks, { ...emptyDisk(nextKey(now.disks)), format: DiskFormat.QCOW2 }] }));
  return (
    <section className="q-part">
      <h2>Disks</h2>
      <datalist id="q-disk-paths">
        {options.media.map((medium) => <option key={medium.path} value={medium.path} />)}
      </datalist>
      {form.disks.length === 0 ? <p className="q-dim">None: it runs from what it boots.</p> : null}
      <ul className="q-devices">
        {form.disks.map((disk, index) => <DiskRow key={disk.key} disk={disk} index={index} />)}
      </ul>
      <button type="button" className="q-button" onClick={add}>Add a disk</button>
    </section>
  );
}
