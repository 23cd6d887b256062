// The audit log as a file: JSON lines, as they come, in parts that the browser can put on disk.

import { toJson, type MessageInitShape } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { transport } from '@/api/transport';
import { AuditEntrySchema, AuthService, type AuditEntry, type ExportAuditEntriesRequestSchema } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';

const LINES_A_PART = 1000;

/** One line for each entry, joined a thousand at a time. */
export async function linesOf(entries: AsyncIterable<AuditEntry>, onCount: (count: number) => void): Promise<Blob> {
  const parts: Blob[] = [];
  let lines: string[] = [];
  let count = 0;
  const close = (): void => {
    if (lines.length === 0) return;
    parts.push(new Blob([`${lines.join('\n')}\n`]));
    lines = [];
    onCount(count);
  };
  for await (const entry of entries) {
    lines.push(JSON.stringify(toJson(AuditEntrySchema, entry)));
    count += 1;
    if (lines.length === LINES_A_PART) close();
  }
  close();
  return new Blob(parts, { type: 'application/jsonl' });
}

export function exportEntries(request: MessageInitShape<typeof ExportAuditEntriesRequestSchema>, signal: AbortSignal): AsyncIterable<AuditEntry> {
  return createClient(AuthService, transport).exportAuditEntries(request, { signal });
}

/** Hands a file to the browser's downloads. */
export function save(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The download has begun when its address goes.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
