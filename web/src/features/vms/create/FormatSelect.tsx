// Which format a file has: declared, never guessed by looking into it.

import type { ReactElement } from 'react';
import { DiskFormat } from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';

interface Props {
  readonly input: { id: string; 'aria-describedby': string; 'aria-invalid': boolean };
  readonly format: DiskFormat;
  readonly onFormat: (format: DiskFormat) => void;
}

export function FormatSelect({ input, format, onFormat }: Props): ReactElement {
  return (
    <select {...input} className="q-input" value={format} onChange={(event) => onFormat(Number(event.target.value))}>
      <option value={DiskFormat.QCOW2}>qcow2</option>
      <option value={DiskFormat.RAW}>raw</option>
    </select>
  );
}
