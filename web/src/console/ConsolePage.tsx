// A console in a window of its own.

import { useEffect, type ReactElement } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { useVm, useVmsKnown } from '@/api/hooks';
import { ConnectionBanner } from '@/app/ConnectionBanner';
import { paths } from '@/app/paths';
import { vmState } from '@/features/vms/vm_state';
import { EmptyState } from '@/ui/EmptyState';
import { StateBadge } from '@/ui/StateBadge';
import { Toasts } from '@/ui/toasts';
import { ConsoleView } from './ConsoleView';
import { KindChoice } from './KindChoice';

export default function ConsolePage(): ReactElement {
  const { id = '', kind: asked } = useParams();
  const kind = asked === 'serial' ? 'serial' : 'vnc';
  const vm = useVm(id);
  const known = useVmsKnown();
  const navigate = useNavigate();
  const title = vm === undefined ? 'Console' : `${vm.name} ${kind === 'vnc' ? 'screen' : 'serial'}`;
  useEffect(() => {
    document.title = title;
  }, [title]);
  if (vm === undefined) {
    return <main className="q-con-window">{known ? <EmptyState title="There is no VM with this id"><Link to={paths.vms()}>All VMs</Link></EmptyState> : null}</main>;
  }
  const { tone, word, why } = vmState(vm);
  return (
    <main className="q-con-window">
      <ConnectionBanner />
      <h1 className="q-offscreen">{title}</h1>
      <ConsoleView
        key={kind}
        vm={vm}
        kind={kind}
        own
        lead={
          <>
            <Link to={paths.vm(id)} className="q-con-name">{vm.name}</Link>
            <StateBadge tone={tone} word={word} title={why} />
            <KindChoice kind={kind} onKind={(next) => void navigate(paths.console(id, next), { replace: true })} />
          </>
        }
      />
      <Toasts />
    </main>
  );
}
