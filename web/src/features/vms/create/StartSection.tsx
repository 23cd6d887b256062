// What the user has: an image, an ISO file, a network to boot from, nothing.

import type { ReactElement } from 'react';
import { MediaOption_Kind as Kind } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { useCreation } from './context';
import { Field } from './Field';
import { STARTS, setDisk, type Start } from './form';
import { FormatSelect } from './FormatSelect';
import { MediaPicker } from './MediaPicker';
import { setSource, startFrom } from './proposals';

const WORDS: Record<Start, readonly [string, string]> = {
  image: ['A disk or cloud image', 'A file on this host that has a system in it'],
  iso: ['An ISO file', 'To install from, with a new disk'],
  network: ['The network', 'PXE, with a new disk'],
  nothing: ['Nothing yet', 'An empty disk; media can come later'],
};

function Cards(): ReactElement {
  const { form, change } = useCreation();
  return (
    <fieldset className="q-starts">
      <legend className="q-offscreen">What it starts from</legend>
      {STARTS.map((start) => (
        <label key={start} className="q-start">
          <input type="radio" name="start" checked={form.start === start} onChange={() => change((now) => startFrom(now, start))} />
          <span>
            <strong>{WORDS[start][0]}</strong>
            <span className="q-dim">{WORDS[start][1]}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function ImageUse(): ReactElement | null {
  const { form, change } = useCreation();
  const disk = form.disks[0];
  if (disk === undefined) return null;
  const use = (kind: 'overlay' | 'file'): void => change((now) => setDisk(now, disk.key, { kind }));
  return (
    <fieldset className="q-uses">
      <legend className="q-label">What the VM gets</legend>
      <label className="q-tick">
        <input type="radio" name="use" checked={disk.kind === 'overlay'} onChange={() => use('overlay')} />
        <span>A disk of its own over it <span className="q-dim q-tick-help">The image is only read: any number of VMs can be made of it</span></span>
      </label>
      <label className="q-tick">
        <input type="radio" name="use" checked={disk.kind === 'file'} onChange={() => use('file')} />
        <span>The disk itself <span className="q-dim q-tick-help">The VM writes to this very file</span></span>
      </label>
    </fieldset>
  );
}

export function StartSection(): ReactElement {
  const { form, change, options } = useCreation();
  const setPath = (path: string): void => change((now) => setSource(now, path, options));
  const disk = form.disks[0];
  return (
    <section className="q-part">
      <h2>Start from</h2>
      <Cards />
      {form.start === 'image' && disk !== undefined ? (
        <>
          <div className="q-fields q-source">
            <Field field="spec.disks[0].path" label="Image" className="q-span">
              {(input) => <MediaPicker input={input} kind={Kind.DISK} path={disk.path} onPath={setPath} empty="No images lie in the pools of this host. Type the path of one." />}
            </Field>
            <Field field="spec.disks[0].format" label="Its format">
              {(input) => <FormatSelect input={input} format={disk.format} onFormat={(format) => change((now) => setDisk(now, disk.key, { format }, 'format'))} />}
            </Field>
          </div>
          <ImageUse />
        </>
      ) : null}
      {form.start === 'iso' ? (
        <Field field="spec.cdroms" label="ISO file">
          {(input) => <MediaPicker input={input} kind={Kind.ISO} path={form.iso} onPath={setPath} empty="No ISO files lie in the pools of this host. Type the path of one." />}
        </Field>
      ) : null}
      {form.start === 'network' && form.nics.length === 0 ? <p className="q-dim">It needs a network card: add one below.</p> : null}
    </section>
  );
}
