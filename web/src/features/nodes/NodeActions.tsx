// Enable, disable and drain: each is asked for on the page itself, with what it will do in a sentence,
// and shows its call as curl.

import { useId, useState, type ReactElement, type ReactNode } from 'react';
import { whyNot } from '@/api/access';
import { useAsk } from '@/api/ask_once';
import { call, type Call } from '@/api/call';
import { asCurl } from '@/api/curl';
import { violationsOf } from '@/api/errors';
import { NodeStatus_Phase as Phase, type Node } from '@/gen/Quantixkvm/compute/v1/node_pb';
import { NodeService, type DrainNodeResponse } from '@/gen/Quantixkvm/compute/v1/node_service_pb';
import { copy } from '@/ui/CopyText';
import { FormField } from '@/ui/FormField';
import { PlainButton } from '@/ui/PlainButton';
import { ProblemNote } from '@/ui/ProblemNote';
import { note } from '@/ui/toasts';

export type Asking = 'disable' | 'drain' | null;

const method = NodeService.method;

export function takesVms(node: Node): boolean {
  return node.status?.phase !== Phase.MAINTENANCE && node.spec?.scheduling?.schedulable === true;
}

export function NodeButtons({ node, onAsk }: { node: Node; onAsk: (asking: Asking) => void }): ReactElement {
  const { asked, problem, ask } = useAsk();
  return (
    <>
      {problem === null ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
      {takesVms(node) ? (
        <PlainButton reason={whyNot(method.disableNode)} aria-label={`Disable ${node.hostname}`} onClick={() => onAsk('disable')}>Disable…</PlainButton>
      ) : (
        <PlainButton reason={whyNot(method.enableNode)} className="q-button q-primary" aria-label={`Enable ${node.hostname}`} aria-disabled={asked} onClick={() => ask(call(method.enableNode, { id: node.id }), () => undefined)}>Enable</PlainButton>
      )}
      <PlainButton reason={whyNot(method.drainNode)} aria-label={`Drain ${node.hostname}`} onClick={() => onAsk('drain')}>Drain…</PlainButton>
    </>
  );
}

interface PanelProps {
  readonly title: string;
  readonly what: Call;
  readonly word: string;
  readonly asked: boolean;
  readonly danger?: boolean;
  readonly onRun: () => void;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

function AskPanel({ title, what, word, asked, danger = false, onRun, onClose, children }: PanelProps): ReactElement {
  return (
    <form className="q-node-ask" aria-label={title} onSubmit={(event) => { event.preventDefault(); onRun(); }}>
      <h2>{title}</h2>
      {children}
      <div className="q-node-buttons">
        <button type="submit" className={`q-button ${danger ? 'q-danger' : 'q-primary'}`} aria-disabled={asked}>{word}</button>
        <button type="button" className="q-button" onClick={onClose}>Close</button>
        <span className="q-grow" />
        <button
          type="button"
          className="q-link"
          onClick={() => void copy(asCurl(what, location.origin)).then((done) => note(done ? 'The call is copied.' : 'The browser did not let it be copied.'))}
        >
          Copy as curl
        </button>
      </div>
    </form>
  );
}

export function DisablePanel({ node, onClose }: { node: Node; onClose: () => void }): ReactElement {
  const [reason, setReason] = useState('');
  const { asked, problem, ask } = useAsk();
  const what = call(method.disableNode, { id: node.id, reason: reason.trim() });
  return (
    <AskPanel title={`Disable ${node.hostname}`} what={what as unknown as Call} word="Disable" asked={asked} onRun={() => ask(what, onClose)} onClose={onClose}>
      <p>Its VMs run on; none is made or started here until it is enabled again.</p>
      <FormField label="Reason" help="Shown to whoever looks at this node." violations={violationsOf(problem, 'reason')}>
        {(input) => <input {...input} className="q-input" maxLength={1000} autoFocus value={reason} onChange={(event) => setReason(event.target.value)} />}
      </FormField>
      {problem === null || problem.fieldViolations.length > 0 ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
    </AskPanel>
  );
}

interface DrainProps {
  readonly node: Node;
  readonly running: number;
  readonly onClose: () => void;
  readonly onResult: (result: DrainNodeResponse) => void;
}

export function DrainPanel({ node, running, onClose, onResult }: DrainProps): ReactElement {
  const [grace, setGrace] = useState('60');
  const [force, setForce] = useState(false);
  const { asked, problem, ask } = useAsk();
  const tick = useId();
  const what = call(method.drainNode, { id: node.id, gracePeriodSec: Number(grace) || 0, force });
  const vms = running === 0 ? 'No VM runs on it' : running === 1 ? 'The VM that runs on it is stopped' : `The ${running} VMs that run on it are stopped, four at a time`;
  return (
    <AskPanel title={`Drain ${node.hostname}`} what={what as unknown as Call} word={asked ? 'Draining' : 'Drain'} danger asked={asked} onRun={() => ask(what, (answer) => { onResult(answer); onClose(); })} onClose={onClose}>
      <p>{vms}; then the node is in maintenance, and takes no VMs until it is enabled again.</p>
      <FormField label="Time for each VM to power off, in seconds" violations={violationsOf(problem, 'grace_period_sec')}>
        {(input) => <input {...input} className="q-input" type="number" min={1} max={3600} value={grace} onChange={(event) => setGrace(event.target.value)} />}
      </FormField>
      <label className="q-tick" htmlFor={tick}>
        <input id={tick} type="checkbox" checked={force} onChange={(event) => setForce(event.target.checked)} />
        Cut the power of those that do not make it in time
      </label>
      {problem === null || problem.fieldViolations.length > 0 ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
    </AskPanel>
  );
}
