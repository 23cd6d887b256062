// What the screen shows: taken when it is looked at, when the VM's state changes, and when asked.

import { useCallback, useEffect, useRef, useState, type ReactElement } from 'react';
import { Link } from 'react-router';
import { may } from '@/api/access';
import { call, run } from '@/api/call';
import { toProblem, type Problem } from '@/api/errors';
import { paths } from '@/app/paths';
import { runs } from '@/console/runs';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { VMService, type Screenshot } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { Icon } from '@/ui/icons';
import { RelativeTime } from '@/ui/time';
import { vmState } from '../vm_state';

interface Shot {
  readonly url: string;
  readonly at: Screenshot['takenAt'];
}

function useShot(vm: VirtualMachine): { shot: Shot | null; problem: Problem | null; take: () => void; shown: boolean; notShown: () => void } {
  const [shot, setShot] = useState<Shot | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [shown, setShown] = useState(true);
  const asking = useRef<AbortController | null>(null);
  const take = useCallback(() => {
    asking.current?.abort();
    const mine = new AbortController();
    asking.current = mine;
    run(call(VMService.method.getScreenshot, { vmId: vm.id }), { signal: mine.signal }).then(
      ({ image, mimeType, takenAt }) => {
        if (mine.signal.aborted) return;
        setProblem(null);
        setShown(true);
        setShot({ url: URL.createObjectURL(new Blob([image as Uint8Array<ArrayBuffer>], { type: mimeType })), at: takenAt });
      },
      (thrown: unknown) => {
        if (!mine.signal.aborted) setProblem(toProblem(thrown));
      },
    );
  }, [vm.id]);
  const on = runs(vm) && may(VMService.method.getScreenshot).allowed;
  const state = vm.status?.state;
  useEffect(() => {
    if (!on) return undefined;
    const look = (): void => {
      if (document.visibilityState === 'visible') take();
    };
    look();
    document.addEventListener('visibilitychange', look);
    return () => {
      document.removeEventListener('visibilitychange', look);
      asking.current?.abort();
    };
  }, [on, state, take]);
  useEffect(() => () => (shot === null ? undefined : URL.revokeObjectURL(shot.url)), [shot]);
  return { shot: on ? shot : null, problem: on ? problem : null, take, shown, notShown: () => setShown(false) };
}

export function Thumbnail({ vm }: { vm: VirtualMachine }): ReactElement {
  const { shot, problem, take, shown, notShown } = useShot(vm);
  const { allowed, reason } = may(VMService.method.getScreenshot);
  const on = runs(vm);
  return (
    <figure className="q-thumb">
      <Link to={paths.vm(vm.id, 'console')} className="q-thumb-screen">
        <span className="q-offscreen">Open the console of {vm.name}. </span>
        {shot === null ? <span className="q-thumb-words">{problem?.message ?? (on ? (allowed ? 'Looking' : reason) : `${vmState(vm).word}: the screen is dark`)}</span> : shown ? <img src={shot.url} alt={`Screen of ${vm.name}`} onError={notShown} /> : <span className="q-thumb-words">This picture is of a kind that the browser does not show; the console does.</span>}
      </Link>
      <figcaption>
        <span className="q-small">{shot === null ? 'Screen' : <>Screen, <RelativeTime at={shot.at} /></>}</span>
        {on && allowed && problem?.code !== 'unimplemented' ? (
          <button type="button" className="q-icon-button" aria-label={`Look again at the screen of ${vm.name}`} title="Look again" onClick={take}>
            <Icon name="operations" size={14} />
          </button>
        ) : null}
      </figcaption>
    </figure>
  );
}
