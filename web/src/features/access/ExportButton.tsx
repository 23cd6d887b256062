import { useRef, useState, type ReactElement } from 'react';
import { whyNot } from '@/api/access';
import { toProblem } from '@/api/errors';
import { AuthService, type ListAuditEntriesRequest } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { count as figure } from '@/ui/format';
import { PlainButton } from '@/ui/PlainButton';
import { problem } from '@/ui/toasts';
import { exportEntries, linesOf, save } from './audit_export';

/** Exports what the filters of the page let through. */
export function ExportButton({ request }: { request: ListAuditEntriesRequest }): ReactElement {
  const [count, setCount] = useState<number | null>(null);
  const running = useRef<AbortController | null>(null);
  const begin = (): void => {
    const mine = new AbortController();
    running.current = mine;
    setCount(0);
    const { user, method, resource, since } = request;
    linesOf(exportEntries({ user, method, resource, ...(since === undefined ? {} : { since }) }, mine.signal), setCount)
      .then((file) => save(file, `audit-${location.hostname}-${new Date().toISOString().slice(0, 10)}.jsonl`))
      .catch((thrown: unknown) => { if (!mine.signal.aborted) problem(toProblem(thrown)); })
      .finally(() => setCount(null));
  };
  if (count !== null) {
    return (
      <button type="button" className="q-button" onClick={() => running.current?.abort()}>
        Stop the export <span className="q-num q-dim">{figure(count)}</span>
      </button>
    );
  }
  return <PlainButton reason={whyNot(AuthService.method.exportAuditEntries)} onClick={begin}>Export as JSON lines</PlainButton>;
}
