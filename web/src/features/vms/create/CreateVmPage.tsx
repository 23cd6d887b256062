import type { ReactElement } from 'react';
import { Page } from '@/app/Page';

export default function CreateVmPage(): ReactElement {
  return <Page title="New VM">{null}</Page>;
}
