import type { Operation } from '@/gen/Quantixkvm/operation/v1/operation_pb';
import { toMillis } from '@/ui/format';

/** How much of an operation is behind it: by its own word, else by its deadline. Null: unknown. */
export function shareDone(operation: Operation, now: number): number | null {
  if (operation.progressPercent > 0) return Math.min(1, operation.progressPercent / 100);
  const began = toMillis(operation.createdAt);
  const deadline = toMillis(operation.deadline);
  if (began === undefined || deadline === undefined || deadline <= began) return null;
  return Math.min(1, Math.max(0, (now - began) / (deadline - began)));
}
