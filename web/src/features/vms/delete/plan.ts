// What a deletion takes, in words; and whether what it takes is lost for good.

import { call, type Call } from '@/api/call';
import { VMService, type DeleteVMRequestSchema, type DeleteVMResponse, type DeleteVMResponseSchema, type DeletionItem } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { bytes } from '@/ui/format';

export interface How {
  readonly force: boolean;
  readonly deleteVolumes: boolean;
}

export type DeleteCall = Call<typeof DeleteVMRequestSchema, typeof DeleteVMResponseSchema>;

export function deleteCall(id: string, { force, deleteVolumes }: How): DeleteCall {
  return call(VMService.method.deleteVM, { id, force, deleteVolumes });
}

export function planOf(id: string, { force, deleteVolumes }: How): DeleteCall {
  return call(VMService.method.deleteVM, { id, force, deleteVolumes, validateOnly: true });
}

const WORDS: Record<string, string> = {
  definition: 'Definition',
  volume: 'Volume',
  file: 'File',
  nvram: 'Firmware settings',
  saved_memory: 'Saved memory',
  snapshots: 'Snapshots',
  tpm_state: 'TPM state',
};

export function kindWord(kind: string): string {
  return WORDS[kind] ?? kind.replaceAll('_', ' ');
}

/** A definition can be written again; what a guest wrote can't. A kind that is not known counts. */
const WRITTEN_AGAIN = new Set(['definition', 'nvram']);

export function destroysData(plan: Pick<DeleteVMResponse, 'gone'>): boolean {
  return plan.gone.some((item) => !WRITTEN_AGAIN.has(item.kind));
}

/** Empty for what takes no room. */
export function sizeWord({ sizeBytes, sizeUnknown }: Pick<DeletionItem, 'sizeBytes' | 'sizeUnknown'>): string {
  if (sizeUnknown) return 'size not known';
  return sizeBytes === 0n ? '' : bytes(sizeBytes);
}

/** What becomes free, in a sentence: at least so much where a size is not known. */
export function freesWord({ gone, reclaimedBytes }: Pick<DeleteVMResponse, 'gone' | 'reclaimedBytes'>): string {
  const unknown = gone.filter((item) => item.sizeUnknown).map((item) => kindWord(item.kind).toLowerCase().replace('tpm', 'TPM'));
  if (unknown.length === 0) return reclaimedBytes === 0n ? 'No room on the host’s disks becomes free.' : `Frees ${bytes(reclaimedBytes)} on the host’s disks.`;
  const beside = `what ${[...new Set(unknown)].join(' and ')} ${new Set(unknown).size === 1 ? 'takes' : 'take'} is not known`;
  return reclaimedBytes === 0n ? `Frees room on the host’s disks; ${beside}.` : `Frees at least ${bytes(reclaimedBytes)} on the host’s disks; ${beside}.`;
}

function counted(items: readonly DeletionItem[]): string {
  const counts = new Map<string, number>();
  for (const { kind } of items) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts]
    .map(([kind, count]) => (count === 1 ? kindWord(kind).toLowerCase() : `${count} ${kindWord(kind).toLowerCase()}s`).replace('tpm', 'TPM'))
    .join(', ');
}

/** One line for one of many: what goes, what stays. */
export function inShort(plan: DeleteVMResponse): string {
  const stays = plan.kept.length === 0 ? '' : `; stays: ${counted(plan.kept)}`;
  const frees = plan.reclaimedBytes === 0n ? '' : `, frees ${bytes(plan.reclaimedBytes)}`;
  return `Goes: ${counted(plan.gone)}${frees}${stays}`;
}
