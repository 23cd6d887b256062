// The parts of a row and of a card. Each reads only what it shows, so that a measurement draws two
// numbers anew and not the list.

import { memo, type ReactElement } from 'react';
import { Link } from 'react-router';
import { useVmUsage } from '@/api/hooks';
import { paths } from '@/app/paths';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { CopyText } from '@/ui/CopyText';
import { bytes, mib, percent } from '@/ui/format';
import { Sparkline } from '@/ui/Sparkline';
import { StateBadge, StateShape } from '@/ui/StateBadge';
import { vmState } from '../vm_state';
import type { Result } from './useResults';

export function StateCell({ vm }: { vm: VirtualMachine }): ReactElement {
  const { tone, word, why } = vmState(vm);
  return (
    <>
      <StateBadge tone={tone} word={word} title={why} />
      {why === '' ? null : <span className="q-why">{why}</span>}
    </>
  );
}

export function NameCell({ vm }: { vm: VirtualMachine }): ReactElement {
  return (
    <>
      <Link to={paths.vm(vm.id)} className="q-name" tabIndex={-1}>
        {vm.name}
      </Link>
      {vm.isManaged ? null : <span className="q-tag" title="Found on this host and not adopted">found</span>}
      {vm.status?.stale ? <span className="q-tag" title="libvirt can't be reached: this is what was last known">last known</span> : null}
    </>
  );
}

export function AddressCell({ vm }: { vm: VirtualMachine }): ReactElement {
  const [first, ...more] = vm.status?.ipAddresses ?? [];
  if (first === undefined) return <span className="q-dim">—</span>;
  return (
    <>
      <CopyText text={first} tabIndex={-1} what={`address of ${vm.name}`} />
      {more.length === 0 ? null : <span className="q-dim" title={more.join('\n')}>+{more.length}</span>}
    </>
  );
}

export const CpuCell = memo(function CpuCell({ id }: { id: string }): ReactElement {
  const usage = useVmUsage(id);
  if (usage === undefined) return <span className="q-dim">—</span>;
  return (
    <>
      <Sparkline values={usage.cpu} max={100} label="CPU, the last two minutes" />
      <span className="q-num q-figure">{percent(usage.now.cpuUsagePercent)}</span>
    </>
  );
});

interface MemoryProps {
  readonly id: string;
  readonly sizeMib: bigint;
}

export const MemoryCell = memo(function MemoryCell({ id, sizeMib }: MemoryProps): ReactElement {
  const usage = useVmUsage(id);
  if (usage === undefined) return <span className="q-num q-dim">{mib(sizeMib)}</span>;
  return (
    <>
      <Sparkline values={usage.memory} max={100} label="Memory, the last two minutes" />
      <span className="q-num q-figure-wide">
        {bytes(usage.now.memoryUsedBytes)} <span className="q-dim">/ {mib(sizeMib)}</span>
      </span>
    </>
  );
});

interface LabelsProps {
  readonly labels: readonly string[];
  readonly onLabel: (label: string) => void;
}

export function LabelsCell({ labels, onLabel }: LabelsProps): ReactElement {
  return (
    <>
      {labels.map((label) => (
        <button key={label} type="button" tabIndex={-1} className="q-chip" title={`Only ${label}`} onClick={() => onLabel(label)}>
          {label}
        </button>
      ))}
    </>
  );
}

export function ResultCell({ result }: { result: Result | undefined }): ReactElement | null {
  if (result === undefined) return null;
  switch (result.kind) {
    case 'waiting':
      return <span className="q-dim">{result.word}: asked</span>;
    case 'done':
      return <span className="q-tone-running">{result.word}: done</span>;
    case 'denied':
      return <span className="q-result q-dim" title={result.message}>{result.word}: not asked. {result.message}</span>;
    case 'failed':
      return (
        <span className="q-result q-tone-wrong" title={`${result.message}\nrequest ${result.requestId}`}>
          <StateShape tone="wrong" /> {result.word}: {result.message}
        </span>
      );
  }
}
