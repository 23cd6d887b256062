// A VM's first serial port in a terminal. It scrolls back, is copied from, and after a lost
// connection goes on where it ended.

import '@xterm/xterm/css/xterm.css';
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import { useEffect, useRef, useState, type ReactElement } from 'react';
import { bytes } from '@/ui/format';
import { copy } from '@/ui/CopyText';
import { ConsoleFrame, type ConsoleProps } from './ConsoleFrame';
import { runs } from './runs';
import { SerialWire } from './serial_wire';
import { useSession, type Attached } from './useSession';

const SCROLL_BACK = 10_000;
const THEME = { background: '#0d1014', foreground: '#e6e9ed', cursor: '#6db3ff', selectionBackground: '#2f4a6b' };
const NOTE = (text: string): string => `\r\n\x1b[2m[${text}]\x1b[0m\r\n`;

interface Held {
  readonly terminal: Terminal;
  readonly viewer: Attached;
  readonly send: (text: string) => void;
}

function hold(element: HTMLElement, onHeard: () => void): Held & { end: () => void } {
  const terminal = new Terminal({
    scrollback: SCROLL_BACK,
    fontFamily: getComputedStyle(element).fontFamily,
    fontSize: 13,
    theme: THEME,
    screenReaderMode: false,
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(element);
  fit.fit();
  const resized = new ResizeObserver(() => fit.fit());
  resized.observe(element);
  let socket: WebSocket | null = null;
  const encoder = new TextEncoder();
  const send = (text: string): void => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(encoder.encode(text));
  };
  terminal.onData(send);
  terminal.onBinary((data) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(Uint8Array.from(data, (letter) => letter.charCodeAt(0)));
  });
  const wire = new SerialWire({
    write: (data) => {
      onHeard();
      terminal.write(data);
    },
    lost: (count) => terminal.write(NOTE(`${bytes(count)} were not kept`)),
    anew: () => terminal.write(NOTE('begins anew')),
  });
  const viewer: Attached = {
    from: wire.from,
    attach: (opened) => {
      socket = opened;
      opened.addEventListener('message', (event) => {
        if (socket === opened) wire.hear(event.data);
      });
    },
  };
  const end = (): void => {
    resized.disconnect();
    terminal.dispose();
  };
  return { terminal, viewer, send, end };
}

/** What is chosen, else all that the terminal holds. */
function textOf(terminal: Terminal): string {
  if (terminal.hasSelection()) return terminal.getSelection();
  terminal.selectAll();
  const all = terminal.getSelection();
  terminal.clearSelection();
  return all.trimEnd();
}

export default function SerialConsole({ vm, own, lead }: ConsoleProps): ReactElement {
  const element = useRef<HTMLDivElement>(null);
  const [held, setHeld] = useState<Held | null>(null);
  const [said, setSaid] = useState('');
  const [heard, setHeard] = useState(false);
  useEffect(() => {
    if (element.current === null) return undefined;
    const made = hold(element.current, () => setHeard(true));
    setHeld(made);
    made.terminal.focus();
    return () => {
      setHeld(null);
      made.end();
    };
  }, []);
  useEffect(() => {
    if (said === '') return undefined;
    const timer = setTimeout(() => setSaid(''), 2000);
    return () => clearTimeout(timer);
  }, [said]);
  const session = useSession(vm.id, 'serial', runs(vm), held?.viewer ?? null);
  const off = session.state.kind !== 'open';
  const doCopy = (): void => {
    if (held === null) return;
    const chosen = held.terminal.hasSelection();
    void copy(textOf(held.terminal)).then((done) => setSaid(!done ? 'The browser did not let it be copied' : chosen ? 'Selection copied' : 'All copied'));
  };
  const tellSize = (): void => {
    if (held === null) return;
    held.send(`stty rows ${held.terminal.rows} cols ${held.terminal.cols}\r`);
    held.terminal.focus();
  };
  return (
    <ConsoleFrame
      vm={vm}
      kind="serial"
      own={own}
      lead={lead}
      session={session}
      tools={
        <>
          <button type="button" className="q-con-tool" onClick={doCopy}>Copy</button>
          <button type="button" className="q-con-tool" onClick={() => held?.terminal.clear()}>Clear</button>
          <button type="button" className="q-con-tool" disabled={off} onClick={tellSize} title="A serial port has no size: types an stty command that tells a shell this window's">
            Tell size
          </button>
          <span className="q-small" role="status">{said}</span>
        </>
      }
    >
      <div className="q-con-terminal" ref={element} data-testid="terminal" />
      {off || heard ? null : <p className="q-con-quiet">Nothing was said on this port yet. Where a login runs on it, Enter brings it up.</p>}
    </ConsoleFrame>
  );
}
