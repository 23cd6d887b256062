// The thin bar over a console, and the console under it. Of a window of its own it is all there is.

import { useRef, type ReactElement, type ReactNode } from 'react';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { paths } from '@/app/paths';
import { Icon } from '@/ui/icons';
import { ConsoleNotice } from './ConsoleNotice';
import type { ConsoleKind } from './open';
import { useFullScreen } from './useFullScreen';
import type { Session } from './useSession';

export interface ConsoleProps {
  readonly vm: VirtualMachine;
  /** It fills a window of its own. */
  readonly own: boolean;
  /** At the left of the bar. */
  readonly lead?: ReactNode;
}

interface Props extends ConsoleProps {
  readonly kind: ConsoleKind;
  readonly session: Session;
  readonly tools: ReactNode;
  /** Under the bar: a text to type, a note. */
  readonly under?: ReactNode;
  readonly children: ReactNode;
}

export function ConsoleFrame({ vm, kind, own, lead, session, tools, under, children }: Props): ReactElement {
  const frame = useRef<HTMLDivElement>(null);
  const [full, toggleFull] = useFullScreen(frame);
  const openOwn = (): void => {
    window.open(paths.console(vm.id, kind), `console-${kind}-${vm.id}`, 'popup,width=1060,height=860');
  };
  return (
    <div className={own ? 'q-con q-con-own' : 'q-con'} ref={frame}>
      <div className="q-con-bar" role="toolbar" aria-label={`Console of ${vm.name}`}>
        {lead}
        {tools}
        <span className="q-grow" />
        {own ? null : (
          <button type="button" className="q-con-tool" onClick={openOwn} title="Open in a window of its own">
            <Icon name="external" /> <span className="q-wide">Own window</span>
          </button>
        )}
        <button type="button" className="q-con-tool" onClick={toggleFull} aria-pressed={full}>
          {full ? 'Leave full screen' : 'Full screen'}
        </button>
      </div>
      {under}
      <div className="q-con-body" data-open={session.state.kind === 'open' ? '' : undefined}>
        {children}
        <ConsoleNotice vm={vm} kind={kind} session={session} />
      </div>
    </div>
  );
}
