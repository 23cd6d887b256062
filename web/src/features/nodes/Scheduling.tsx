// How much of a node may be promised: shown, and changed where it is shown.

import { useState, type ReactElement } from 'react';
import { whyNot } from '@/api/access';
import { call, newKey, run } from '@/api/call';
import { toProblem, violationsOf, type Problem } from '@/api/errors';
import type { Node } from '@/gen/Quantixkvm/compute/v1/node_pb';
import { NodeService } from '@/gen/Quantixkvm/compute/v1/node_service_pb';
import { bytes } from '@/ui/format';
import { FormField } from '@/ui/FormField';
import { PlainButton } from '@/ui/PlainButton';
import { ProblemNote } from '@/ui/ProblemNote';

const GIB = 1024 ** 3;

/** The fields, with their path in `UpdateNodeRequest`. */
const FIELDS = [
  { id: 'cpuRatio', path: 'scheduling.overcommit.cpu_ratio', label: 'vCPUs a host thread', help: '1 to 64', step: '0.25' },
  { id: 'memoryRatio', path: 'scheduling.overcommit.memory_ratio', label: 'Guest memory a byte of host memory', help: '1 to 8', step: '0.05' },
  { id: 'threads', path: 'scheduling.reserved.cpu_cores', label: 'Threads kept for the host', help: 'never promised', step: '1' },
  { id: 'memory', path: 'scheduling.reserved.memory_bytes', label: 'GiB kept for the host', help: 'never promised', step: '0.5' },
] as const;
type Values = Record<(typeof FIELDS)[number]['id'], string>;

function valuesOf(node: Node): Values {
  const scheduling = node.spec?.scheduling;
  return {
    cpuRatio: `${scheduling?.overcommit?.cpuRatio ?? 0}`,
    memoryRatio: `${scheduling?.overcommit?.memoryRatio ?? 0}`,
    threads: `${scheduling?.reserved?.cpuCores ?? 0}`,
    memory: `${Number(scheduling?.reserved?.memoryBytes ?? 0n) / GIB}`,
  };
}

function Form({ node, onClose }: { node: Node; onClose: () => void }): ReactElement {
  const before = valuesOf(node);
  const [values, setValues] = useState(before);
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const save = (): void => {
    // What was not touched is not sent: another may have changed it meanwhile.
    const paths = FIELDS.filter(({ id }) => values[id] !== before[id]).map(({ path }) => path);
    if (asked) return;
    if (paths.length === 0) return onClose();
    setAsked(true);
    setProblem(null);
    const scheduling = {
      overcommit: { cpuRatio: Number(values.cpuRatio), memoryRatio: Number(values.memoryRatio) },
      reserved: { cpuCores: Math.max(0, Math.round(Number(values.threads))), memoryBytes: BigInt(Math.max(0, Math.round(Number(values.memory) * GIB))) },
    };
    run(call(NodeService.method.updateNode, { id: node.id, scheduling, updateMask: { paths } }), { idempotencyKey: newKey() })
      .then(onClose, (thrown: unknown) => setProblem(toProblem(thrown)))
      .finally(() => setAsked(false));
  };
  return (
    <form className="q-settings" aria-label="Scheduling" onSubmit={(event) => { event.preventDefault(); save(); }}>
      {FIELDS.map(({ id, path, label, help, step }) => (
        <FormField key={id} label={label} help={help} violations={violationsOf(problem, path)}>
          {(input) => <input {...input} className="q-input" type="number" min={0} step={step} required value={values[id]} onChange={(event) => setValues({ ...values, [id]: event.target.value })} />}
        </FormField>
      ))}
      <div className="q-node-buttons">
        <button type="submit" className="q-button q-primary" aria-disabled={asked}>Save</button>
        <button type="button" className="q-button" onClick={onClose}>Close</button>
      </div>
      {problem === null || problem.fieldViolations.length > 0 ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
    </form>
  );
}

export function Scheduling({ node }: { node: Node }): ReactElement {
  const [editing, setEditing] = useState(false);
  const scheduling = node.spec?.scheduling;
  const ratio = scheduling?.overcommit;
  const reserved = scheduling?.reserved;
  return (
    <section className="q-panel" aria-label="Scheduling">
      <header className="q-panel-head">
        <h2>Scheduling</h2>
        {editing ? null : <PlainButton className="q-link" reason={whyNot(NodeService.method.updateNode)} aria-label={`Edit scheduling of ${node.hostname}`} onClick={() => setEditing(true)}>Edit</PlainButton>}
      </header>
      {editing ? <Form node={node} onClose={() => setEditing(false)} /> : (
        <dl className="q-pairs">
          <div><dt>Takes VMs</dt><dd>{scheduling?.schedulable === true ? 'yes' : 'no'}</dd></div>
          <div><dt>vCPUs</dt><dd>{ratio?.cpuRatio ?? 0} for each host thread, {reserved?.cpuCores ?? 0} threads kept for the host</dd></div>
          <div><dt>Memory</dt><dd>{ratio?.memoryRatio ?? 0} times what there is, {bytes(reserved?.memoryBytes ?? 0n)} kept for the host</dd></div>
        </dl>
      )}
    </section>
  );
}
