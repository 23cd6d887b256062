import type { ReactElement } from 'react';
import { useParams } from 'react-router';
import { useVm } from '@/api/hooks';

export default function OverviewTab(): ReactElement | null {
  const { id = '' } = useParams();
  const vm = useVm(id);
  return vm === undefined ? null : <section aria-label="Overview">{vm.name}</section>;
}
