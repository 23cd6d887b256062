// Labels of a node, for the administrator's own use: added and taken away one by one.

import { useState, type ReactElement } from 'react';
import { whyNot } from '@/api/access';
import { call, newKey, run } from '@/api/call';
import { toProblem, type Problem } from '@/api/errors';
import type { Node } from '@/gen/Quantixkvm/compute/v1/node_pb';
import { NodeService } from '@/gen/Quantixkvm/compute/v1/node_service_pb';
import { Icon } from '@/ui/icons';
import { PlainButton } from '@/ui/PlainButton';
import { ProblemNote } from '@/ui/ProblemNote';

export function Labels({ node }: { node: Node }): ReactElement {
  const [text, setText] = useState('');
  const [problem, setProblem] = useState<Problem | null>(null);
  const change = (part: { addLabels?: Record<string, string>; removeLabels?: string[] }): void => {
    setProblem(null);
    run(call(NodeService.method.updateLabels, { nodeId: node.id, ...part }), { idempotencyKey: newKey() }).then(
      () => (part.addLabels === undefined ? undefined : setText('')),
      (thrown: unknown) => setProblem(toProblem(thrown)),
    );
  };
  const add = (): void => {
    const [key = '', ...value] = text.trim().split('=');
    if (key !== '') change({ addLabels: { [key]: value.join('=') } });
  };
  const reason = whyNot(NodeService.method.updateLabels);
  const labels = Object.entries(node.labels).sort(([a], [b]) => a.localeCompare(b));
  return (
    <section className="q-panel" aria-label="Labels">
      <header className="q-panel-head"><h2>Labels</h2></header>
      <div className="q-labels">
        {labels.map(([key, value]) => (
          <span key={key} className="q-label-chip">
            <span className="q-cut">{value === '' ? key : `${key}=${value}`}</span>
            <PlainButton className="q-icon-button" reason={reason} aria-label={`Remove the label ${key}`} title={reason === undefined ? 'Remove' : undefined} onClick={() => change({ removeLabels: [key] })}>
              <Icon name="close" size={11} />
            </PlainButton>
          </span>
        ))}
        <form className="q-label-add" onSubmit={(event) => { event.preventDefault(); add(); }}>
          <input className="q-input" disabled={reason !== undefined} aria-label="New label" placeholder="key=value" spellCheck={false} value={text} onChange={(event) => setText(event.target.value)} />
          <PlainButton type="submit" reason={reason}>Add</PlainButton>
        </form>
      </div>
      {problem === null ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
    </section>
  );
}
