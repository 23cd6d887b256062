// Why a VM is not as it should be, a sentence with its cure where there is one.

import type { ReactElement } from 'react';
import { PausedReason, VmStatus_PowerState as Power, type VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { StateShape, type Tone } from '@/ui/StateBadge';
import { RelativeTime } from '@/ui/time';

interface Why {
  readonly tone: Tone;
  readonly text: string;
  readonly cure: string;
}

const PAUSED: Partial<Record<PausedReason, Why>> = {
  [PausedReason.IO_ERROR]: { tone: 'wrong', text: 'A disk gave an I/O error. The guest waits, so that the write is not lost.', cure: 'Mend the disk, then resume.' },
  [PausedReason.NO_SPACE]: { tone: 'wrong', text: 'A disk ran out of room on the host.', cure: 'Make room, then resume.' },
  [PausedReason.WATCHDOG]: { tone: 'wrong', text: 'The watchdog fired: the guest had ceased to answer it.', cure: 'Resume it to look, or reset it.' },
  [PausedReason.CRASHED]: { tone: 'wrong', text: 'The guest’s kernel crashed and is held for inspection.', cure: 'Power it off when you have seen enough.' },
  [PausedReason.MIGRATION]: { tone: 'moving', text: 'It is being moved, saved or restored.', cure: '' },
  [PausedReason.GUEST]: { tone: 'paused', text: 'The guest put itself to sleep.', cure: 'Resume wakes it.' },
  [PausedReason.OTHER]: { tone: 'paused', text: 'libvirt holds it for a reason of its own.', cure: '' },
};

function whyOf(vm: VirtualMachine): Why | null {
  const { status } = vm;
  if (status === undefined || status.operation !== undefined) return null;
  const said = status.errorMessage;
  if (status.state === Power.LOST) return { tone: 'wrong', text: status.lostReason || 'It is no longer defined on the host.', cure: 'Redefine brings its last definition back; its disks are not made again.' };
  if (status.state === Power.PAUSED) {
    const why = PAUSED[status.pausedReason];
    if (why !== undefined) return said === '' ? why : { ...why, text: `${why.text} ${said}` };
  }
  if (said !== '') return { tone: 'wrong', text: said, cure: '' };
  return null;
}

export function WhyNote({ vm }: { vm: VirtualMachine }): ReactElement | null {
  const why = whyOf(vm);
  const silent = vm.status?.unresponsiveSince;
  const stale = vm.status?.stale ?? false;
  if (why === null && silent === undefined && !stale) return null;
  return (
    <div className="q-vm-line q-vm-whys">
      {stale ? (
        <p><StateShape tone="wrong" /><span>libvirt can’t be reached: this is from <RelativeTime at={vm.status?.lastSeenAt} />. It is asked again by itself.</span></p>
      ) : null}
      {silent === undefined ? null : (
        <p><StateShape tone="wrong" /><span>Its QEMU has not answered since <RelativeTime at={silent} />. What is shown is the last known.</span></p>
      )}
      {why === null ? null : (
        <p><StateShape tone={why.tone} /><span>{why.text} {why.cure === '' ? null : <strong>{why.cure}</strong>}</span></p>
      )}
    </div>
  );
}
