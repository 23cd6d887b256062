import type { ReactElement } from 'react';
import { useParams } from 'react-router';
import { useNode, useNodesKnown } from '@/api/hooks';
import { Page } from '@/app/Page';
import { EmptyState } from '@/ui/EmptyState';

export default function NodePage(): ReactElement | null {
  const { id = '' } = useParams();
  const node = useNode(id);
  const known = useNodesKnown();
  if (node === undefined) return known ? <EmptyState title="There is no node with this id" /> : null;
  return <Page title={node.hostname}>{null}</Page>;
}
