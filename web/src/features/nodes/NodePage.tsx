// One node: whether it is well, what it does, what of it is promised, what it is made of.

import { useState, type ReactElement } from 'react';
import { Link, useParams } from 'react-router';
import { useNode, useNodesKnown, useOperations, useThisNode, useVms } from '@/api/hooks';
import { nodeHealth } from '@/app/node_health';
import { Page } from '@/app/Page';
import { paths } from '@/app/paths';
import { isRunning } from '@/features/operations/operation_state';
import { OperationLine } from '@/features/operations/OperationLine';
import { Capacity } from '@/features/overview/Capacity';
import { Conditions } from '@/features/overview/Conditions';
import { NodeCharts } from '@/features/overview/NodeCharts';
import '@/features/overview/overview.css';
import { VmStatus_PowerState } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import type { DrainNodeResponse } from '@/gen/Quantixkvm/compute/v1/node_service_pb';
import { CopyText } from '@/ui/CopyText';
import { EmptyState } from '@/ui/EmptyState';
import { StateBadge } from '@/ui/StateBadge';
import { RelativeTime } from '@/ui/time';
import { DrainResult } from './DrainResult';
import { Devices, Hardware, Software } from './Facts';
import { Labels } from './Labels';
import { DisablePanel, DrainPanel, NodeButtons, type Asking } from './NodeActions';
import './nodes.css';
import { Scheduling } from './Scheduling';

export default function NodePage(): ReactElement | null {
  const { id = '' } = useParams();
  const node = useNode(id);
  const known = useNodesKnown();
  const own = useThisNode()?.id === id;
  const drain = useOperations().find((one) => one.resourceId === id && isRunning(one));
  const vms = useVms().filter((vm) => vm.status?.nodeId === id);
  const [asking, setAsking] = useState<Asking>(null);
  const [result, setResult] = useState<DrainNodeResponse | null>(null);
  if (node === undefined) return known ? <EmptyState title="There is no node with this id"><p><Link to={paths.nodes()}>All nodes</Link></p></EmptyState> : null;
  const { tone, word, why } = nodeHealth(node);
  const running = vms.filter((vm) => vm.status?.state === VmStatus_PowerState.RUNNING || vm.status?.state === VmStatus_PowerState.PAUSED).length;
  const close = (): void => setAsking(null);
  return (
    <Page
      title={node.hostname}
      aside={
        <span className="q-facts-line">
          <StateBadge tone={tone} word={word} title={why} />
          {node.managementIp === '' ? null : <CopyText text={node.managementIp} what="address" />}
          <Link to={paths.vms()} className="q-dim">{running} of {vms.length} VMs run</Link>
          {own ? null : <span className="q-dim">heard of <RelativeTime at={node.status?.lastHeartbeat} /></span>}
          <Link to={paths.events(`?resource=${id}`)}>Events</Link>
        </span>
      }
      actions={<NodeButtons node={node} onAsk={setAsking} />}
    >
      {why === '' ? null : <p className="q-node-why">{why}</p>}
      {asking === 'disable' ? <DisablePanel node={node} onClose={close} /> : null}
      {asking === 'drain' ? <DrainPanel node={node} running={running} onClose={close} onResult={setResult} /> : null}
      {drain === undefined ? null : <ul className="q-ops q-node-ask"><OperationLine operation={drain} /></ul>}
      {result === null ? null : <DrainResult result={result} onClose={() => setResult(null)} />}
      <Conditions node={node} />
      {own ? <NodeCharts nodeId={id} /> : null}
      <div className="q-node-columns">
        <div>
          <Capacity node={node} />
          <Scheduling node={node} />
          <Software node={node} />
          <Labels node={node} />
        </div>
        <div>
          <Hardware node={node} />
          <Devices node={node} />
        </div>
      </div>
    </Page>
  );
}
