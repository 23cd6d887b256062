// Bounds of what an operator's VMs use in all: typed as text, where nothing is no bound.

import type { Quota } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { mib } from '@/ui/format';

export interface QuotaDraft {
  readonly vms: string;
  readonly vcpus: string;
  readonly memory: string;
  readonly disk: string;
}

export const QUOTA_FIELDS = [
  ['vms', 'VMs'],
  ['vcpus', 'vCPUs'],
  ['memory', 'Memory, GiB'],
  ['disk', 'Disk, GiB'],
] as const;

const text = (value: number): string => (value === 0 ? '' : `${value}`);

export function draftOf(quota: Quota | undefined): QuotaDraft {
  return {
    vms: text(quota?.vms ?? 0),
    vcpus: text(quota?.vcpus ?? 0),
    memory: text(Number(quota?.memoryMib ?? 0n) / 1024),
    disk: text(Number(quota?.diskGib ?? 0n)),
  };
}

const number = (typed: string): number => Math.max(0, Math.round(Number(typed) || 0));

export function quotaOf(draft: QuotaDraft): { vms: number; vcpus: number; memoryMib: bigint; diskGib: bigint } {
  return {
    vms: number(draft.vms),
    vcpus: number(draft.vcpus),
    memoryMib: BigInt(Math.max(0, Math.round((Number(draft.memory) || 0) * 1024))),
    diskGib: BigInt(number(draft.disk)),
  };
}

/** `4 VMs, 16 vCPUs`; without bounds: empty. */
export function quotaWords(quota: Quota | undefined): string {
  if (quota === undefined) return '';
  return [
    quota.vms === 0 ? '' : `${quota.vms} VMs`,
    quota.vcpus === 0 ? '' : `${quota.vcpus} vCPUs`,
    quota.memoryMib === 0n ? '' : mib(quota.memoryMib),
    quota.diskGib === 0n ? '' : `${quota.diskGib} GiB disk`,
  ].filter(Boolean).join(', ');
}
