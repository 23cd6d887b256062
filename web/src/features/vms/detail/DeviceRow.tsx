// One device: its name, what it is, and what of it the running guest does not have yet.

import type { ReactElement, ReactNode } from 'react';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { StateShape } from '@/ui/StateBadge';
import { pendingUnder } from './pending_under';

interface Props {
  readonly vm: VirtualMachine;
  readonly name: string;
  readonly mono?: boolean;
  /** Paths of the contract that it is about. */
  readonly paths: readonly string[];
  readonly value: string;
  readonly facts: string;
  readonly actions?: ReactNode;
  readonly children?: ReactNode;
}

export function DeviceRow({ vm, name, mono = false, paths, value, facts, actions, children }: Props): ReactElement {
  const pending = pendingUnder(vm, paths);
  return (
    <div className="q-device">
      <div className="q-device-line">
        <span className={mono ? 'q-device-name q-mono' : 'q-device-name'}>{name}</span>
        <span className="q-device-value q-num">{value}</span>
        <span className="q-device-facts">
          {children === undefined || children === null ? null : <span className="q-device-place">{children}</span>}
          <span className="q-dim">{facts}</span>
        </span>
        {actions === undefined ? null : <span className="q-device-acts">{actions}</span>}
      </div>
      {pending.map((change) => (
        <p key={change.path} className="q-device-pending">
          <StateShape tone="paused" />
          <span>{change.field === '' ? '' : `${change.field}: `}the guest has <span className="q-mono">{change.current || 'none'}</span>; from its next start <span className="q-mono">{change.pending || 'none'}</span></span>
        </p>
      ))}
    </div>
  );
}
