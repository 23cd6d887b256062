// A verb's answer and the watch's update cross on the wire: which of two sayings is the older one.

import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { before } from './moment';

export function isOlder(a: VirtualMachine, b: VirtualMachine): boolean {
  return (
    before(a.updatedAt, b.updatedAt) ||
    before(a.status?.stateChangedAt, b.status?.stateChangedAt) ||
    before(a.status?.lastSeenAt, b.status?.lastSeenAt)
  );
}
