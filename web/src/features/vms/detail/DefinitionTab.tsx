import type { ReactElement } from 'react';
import { useParams } from 'react-router';
import { useVm } from '@/api/hooks';

export default function DefinitionTab(): ReactElement | null {
  const { id = '' } = useParams();
  const vm = useVm(id);
  return vm === undefined ? null : <section aria-label="Definition">{vm.name}</section>;
}
