import type { ReactElement } from 'react';
import { useThisNode } from '@/api/hooks';
import { Page } from '@/app/Page';

export default function OverviewPage(): ReactElement {
  const node = useThisNode();
  return <Page title="Overview">{node?.hostname}</Page>;
}
