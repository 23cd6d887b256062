// At the end of a row: the action most likely wanted, and the menu of all. The menu costs more than
// the row: it is made when it is asked for.

import { lazy, Suspense, useState, type ReactElement } from 'react';
import { roleAllows, type Verb } from '@/api/verbs';
import { paths } from '@/app/paths';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { Icon } from '@/ui/icons';
import { firstAction } from './first_action';

const VerbMenu = lazy(() => import('../actions/VerbMenu').then(({ VerbMenu: component }) => ({ default: component })));

interface Props {
  readonly vm: VirtualMachine;
  readonly onRun: (verb: Verb, vm: VirtualMachine) => void;
}

export function openConsole(id: string, kind: 'vnc' | 'serial'): void {
  window.open(paths.console(id, kind), `console-${id}`, 'width=1060,height=860');
}

export function RowActions({ vm, onRun }: Props): ReactElement {
  const [menu, setMenu] = useState(false);
  const action = firstAction(vm);
  const seen = roleAllows('console');
  const dots = (
    <button type="button" className="q-icon-button" tabIndex={-1} aria-label={`Actions of ${vm.name}`} aria-haspopup="menu" onClick={() => setMenu(true)}>
      <Icon name="more" />
    </button>
  );
  return (
    <>
      {action === null ? null : action.kind === 'verb' ? (
        <button type="button" className="q-button q-first" tabIndex={-1} aria-label={`${action.verb.word} ${vm.name}`} onClick={() => onRun(action.verb, vm)}>
          {action.verb.word}
        </button>
      ) : (
        <button type="button" className="q-button q-first" tabIndex={-1} aria-label={`Console of ${vm.name}`} aria-disabled={!seen.allowed} title={seen.reason || undefined} onClick={() => { if (seen.allowed) openConsole(vm.id, action.console); }}>
          Console <Icon name="external" size={12} />
        </button>
      )}
      {menu ? (
        <Suspense fallback={dots}>
          <VerbMenu vm={vm} startsOpen onRun={(verb) => onRun(verb, vm)} />
        </Suspense>
      ) : (
        dots
      )}
    </>
  );
}
