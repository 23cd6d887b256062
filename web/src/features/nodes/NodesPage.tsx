import type { ReactElement } from 'react';
import { Link } from 'react-router';
import { useNodes } from '@/api/hooks';
import { Page } from '@/app/Page';
import { paths } from '@/app/paths';

export default function NodesPage(): ReactElement {
  const nodes = useNodes();
  return (
    <Page title="Nodes">
      <ul>
        {nodes.map((node) => (
          <li key={node.id}>
            <Link to={paths.node(node.id)}>{node.hostname}</Link>
          </li>
        ))}
      </ul>
    </Page>
  );
}
