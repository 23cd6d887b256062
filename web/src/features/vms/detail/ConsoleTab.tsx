// The console of a VM; which one is in the address.

import type { ReactElement } from 'react';
import { useParams, useSearchParams } from 'react-router';
import { useVm } from '@/api/hooks';
import { ConsoleView } from '@/console/ConsoleView';
import { KindChoice } from '@/console/KindChoice';
import { firstKind } from '@/console/runs';

export default function ConsoleTab(): ReactElement | null {
  const { id = '' } = useParams();
  const vm = useVm(id);
  const [search, setSearch] = useSearchParams();
  if (vm === undefined) return null;
  const asked = search.get('kind');
  const kind = asked === 'serial' || asked === 'vnc' ? asked : firstKind(vm);
  return (
    <section className="q-vm-console" aria-label="Console">
      <ConsoleView vm={vm} kind={kind} own={false} lead={<KindChoice kind={kind} onKind={(next) => setSearch({ kind: next }, { replace: true })} />} />
    </section>
  );
}
