// The nodes: whether each is well, what it offers, what of that is promised.

import type { ReactElement } from 'react';
import { Link } from 'react-router';
import { useNodes, useNodesKnown } from '@/api/hooks';
import { nodeHealth } from '@/app/node_health';
import { Page } from '@/app/Page';
import { paths } from '@/app/paths';
import type { Node } from '@/gen/Quantixkvm/compute/v1/node_pb';
import { bytes } from '@/ui/format';
import { StateBadge } from '@/ui/StateBadge';
import { RelativeTime } from '@/ui/time';
import './nodes.css';

function Row({ node }: { node: Node }): ReactElement {
  const { tone, word, why } = nodeHealth(node);
  const { spec, status } = node;
  const cpu = status?.resources?.cpu;
  const memory = status?.resources?.memory;
  return (
    <tr>
      <td>
        <Link to={paths.node(node.id)} className="q-name">{node.hostname}</Link>{' '}
        {spec?.role?.controlPlane === true ? <span className="q-tag">this host</span> : null}
        {why === '' ? null : <span className="q-why">{why}</span>}
      </td>
      <td><StateBadge tone={tone} word={word} /></td>
      <td className="q-mono">{node.managementIp}</td>
      <td className="q-num-col q-num" data-head="VMs">{status?.vmIds.length ?? 0}</td>
      <td className="q-num-col q-num" data-head="vCPUs promised">{cpu === undefined ? '—' : `${cpu.allocatedVcpus} of ${cpu.allocatableVcpus}`}</td>
      <td className="q-num-col q-num" data-head="Memory promised">{memory === undefined ? '—' : `${bytes(memory.allocatedBytes)} of ${bytes(memory.allocatableBytes)}`}</td>
      <td className="q-dim">{spec?.role?.controlPlane === true ? 'live' : <RelativeTime at={status?.lastHeartbeat} never="never" />}</td>
    </tr>
  );
}

export default function NodesPage(): ReactElement | null {
  const nodes = useNodes();
  const known = useNodesKnown();
  if (!known && nodes.length === 0) return null;
  const sorted = [...nodes].sort((a, b) => a.hostname.localeCompare(b.hostname, undefined, { numeric: true }));
  return (
    <Page title="Nodes" aside={<span className="q-num q-dim" role="status">{nodes.length}</span>}>
      <table className="q-nodes">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">State</th>
            <th scope="col">Address</th>
            <th scope="col" className="q-num-col">VMs</th>
            <th scope="col" className="q-num-col">vCPUs promised</th>
            <th scope="col" className="q-num-col">Memory promised</th>
            <th scope="col">Heard of</th>
          </tr>
        </thead>
        <tbody>{sorted.map((node) => <Row key={node.id} node={node} />)}</tbody>
      </table>
    </Page>
  );
}
