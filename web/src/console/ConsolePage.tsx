// A console in a window of its own.

import type { ReactElement } from 'react';
import { useParams } from 'react-router';
import { useVm } from '@/api/hooks';

export default function ConsolePage(): ReactElement {
  const { id = '' } = useParams();
  const vm = useVm(id);
  return <main>{vm?.name}</main>;
}
