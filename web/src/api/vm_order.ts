// A verb's answer and the watch's update cross on the wire: which of two sayings is the older one.

import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';

export function before(a: Timestamp | undefined, b: Timestamp | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a.seconds === b.seconds ? a.nanos < b.nanos : a.seconds < b.seconds;
}

export function isOlder(a: VirtualMachine, b: VirtualMachine): boolean {
  return (
    before(a.updatedAt, b.updatedAt) ||
    before(a.status?.stateChangedAt, b.status?.stateChangedAt) ||
    before(a.status?.lastSeenAt, b.status?.lastSeenAt)
  );
}
