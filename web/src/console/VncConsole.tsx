// A VM's screen: noVNC's core on the session's socket, with a bar of our own.

import RFB from '@novnc/novnc';
import { useCallback, useEffect, useMemo, useRef, useState, type ReactElement } from 'react';
import { ConsoleFrame, type ConsoleProps } from './ConsoleFrame';
import { KeysMenu } from './KeysMenu';
import { runs } from './runs';
import { TypeText } from './TypeText';
import { CTRL_ALT_DEL, press, type Combination } from './typing';
import { useSession, type Attached } from './useSession';

function download(picture: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(picture);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** noVNC is told by setting. */
function scale(screen: RFB, on: boolean): void {
  screen.scaleViewport = on;
}

function useScreen(scaled: boolean): { hold: (element: HTMLDivElement | null) => void; viewer: Attached | null; screen: RFB | null } {
  const [element, hold] = useState<HTMLDivElement | null>(null);
  const [screen, setScreen] = useState<RFB | null>(null);
  const wanted = useRef(scaled);
  const viewer = useMemo<Attached | null>(() => {
    if (element === null) return null;
    return {
      attach: (socket) => {
        // What is left of the one before: its socket is closed, its picture may still stand.
        element.replaceChildren();
        const made = new RFB(element, socket, { shared: true });
        made.background = 'transparent';
        made.scaleViewport = wanted.current;
        made.showDotCursor = true;
        made.addEventListener('connect', () => {
          setScreen(made);
          if (document.activeElement === document.body) made.focus({ preventScroll: true });
        });
        made.addEventListener('disconnect', () => setScreen((shown) => (shown === made ? null : shown)));
      },
    };
  }, [element]);
  useEffect(() => {
    wanted.current = scaled;
    if (screen !== null) scale(screen, scaled);
  }, [screen, scaled]);
  return { hold, viewer, screen };
}

export default function VncConsole({ vm, own, lead }: ConsoleProps): ReactElement {
  const [scaled, setScaled] = useState(true);
  const [typing, setTyping] = useState(false);
  const { hold, viewer, screen } = useScreen(scaled);
  const session = useSession(vm.id, 'vnc', runs(vm), viewer);
  const send = useCallback((combination: Combination) => {
    if (screen === null) return;
    press(screen, combination);
    screen.focus();
  }, [screen]);
  const closeTyping = useCallback(() => {
    setTyping(false);
    screen?.focus();
  }, [screen]);
  const shoot = (): void => {
    const at = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
    screen?.toBlob((picture) => {
      if (picture !== null) download(picture, `${vm.name}-${at}.png`);
    }, 'image/png');
  };
  const off = screen === null;
  return (
    <ConsoleFrame
      vm={vm}
      kind="vnc"
      own={own}
      lead={lead}
      session={session}
      tools={
        <>
          <button type="button" className="q-con-tool" disabled={off} onClick={() => send(CTRL_ALT_DEL)}>Ctrl-Alt-Del</button>
          <KeysMenu disabled={off} onPress={send} />
          <button type="button" className="q-con-tool" disabled={off} aria-expanded={typing} onClick={() => setTyping(!typing)}>Type text</button>
          <button type="button" className="q-con-tool" aria-pressed={!scaled} onClick={() => setScaled(!scaled)} title="Show each of the guest's pixels as one">1:1</button>
          <button type="button" className="q-con-tool" disabled={off} onClick={shoot}>Screenshot</button>
        </>
      }
      under={typing ? <TypeText keyboard={screen} onClose={closeTyping} /> : null}
    >
      <div className={scaled ? 'q-con-screen' : 'q-con-screen q-con-real'} ref={hold} data-testid="screen" />
    </ConsoleFrame>
  );
}
