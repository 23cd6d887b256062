// Search or run: to any VM or page, and any verb of any VM, by keyboard alone.

import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent, type ReactElement } from 'react';
import { useNavigate } from 'react-router';
import { toProblem } from '@/api/errors';
import { useVms } from '@/api/hooks';
import { runVm } from '@/api/verbs';
import { askDelete, confirmed } from '@/features/vms/actions/ask';
import { vmState } from '@/features/vms/vm_state';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { Icon } from '@/ui/icons';
import { KeyHint } from '@/ui/KeyHint';
import { StateBadge } from '@/ui/StateBadge';
import { problem } from '@/ui/toasts';
import { paletteItems, whyNotItem, type Item } from './palette_items';
import { paths } from './paths';

const HEADS: Record<Item['kind'], string> = { verb: 'Run', vm: 'VMs', page: 'Pages' };

function Line({ item }: { item: Item }): ReactElement {
  const why = whyNotItem(item);
  if (item.kind === 'page') return <><Icon name="external" size={13} /><span className="q-pal-text">{item.text}</span>{why === '' ? null : <span className="q-pal-reason">{why}</span>}</>;
  const { tone, word } = vmState(item.vm);
  if (item.kind === 'vm') {
    return (
      <>
        <span className="q-pal-text">{item.text}</span>
        <span className="q-mono q-dim">{item.vm.status?.ipAddresses[0]}</span>
        <span className="q-grow" />
        <StateBadge tone={tone} word={word} />
      </>
    );
  }
  return (
    <>
      <span className="q-pal-text">{item.text}</span>
      {item.allowed ? <span className="q-grow" /> : <span className="q-pal-reason">{why}</span>}
      {item.allowed ? <StateBadge tone={tone} word={word} /> : null}
    </>
  );
}

export function Palette({ onClose }: { onClose: () => void }): ReactElement {
  const vms = useVms();
  const navigate = useNavigate();
  const dialog = useRef<HTMLDialogElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const [query, setQuery] = useState('');
  const [only, setOnly] = useState<VirtualMachine | null>(null);
  const [at, setAt] = useState(0);
  const id = useId();
  const items = useMemo(() => paletteItems(query, vms, only), [query, vms, only]);
  const index = Math.min(at, Math.max(0, items.length - 1));
  const current = items[index];

  useEffect(() => {
    // Taken off the page, it is closed; closing it here would tell of a close that nobody asked for.
    if (dialog.current?.open === false) dialog.current.showModal();
  }, []);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' });
  }, [index, items]);

  const choose = (item: Item | undefined): void => {
    if (item === undefined || whyNotItem(item) !== '') return;
    onClose();
    if (item.kind === 'page') void navigate(item.to);
    else if (item.kind === 'vm') void navigate(paths.vm(item.vm.id));
    // The VM's row tells how it goes; an error has no row here.
    else if (item.verb === null) askDelete([item.vm]);
    else {
      const { verb, vm } = item;
      void confirmed(verb, [vm]).then((yes) => {
        if (yes) runVm(verb.call(vm.id)).catch((thrown: unknown) => problem(toProblem(thrown)));
      });
    }
  };
  const narrow = (vm: VirtualMachine | null): void => {
    setOnly(vm);
    setQuery('');
    setAt(0);
  };
  const onKey = (event: KeyboardEvent): void => {
    const { key } = event;
    if (key === 'ArrowDown' || (event.ctrlKey && key === 'n')) setAt((index + 1) % Math.max(1, items.length));
    else if (key === 'ArrowUp' || (event.ctrlKey && key === 'p')) setAt((index - 1 + items.length) % Math.max(1, items.length));
    else if (key === 'Enter') choose(current);
    else if (key === 'Tab' && !event.shiftKey && only === null && current?.kind === 'vm') narrow(current.vm);
    else if (only !== null && (key === 'Escape' || (key === 'Backspace' && query === ''))) narrow(null);
    else if (key !== 'Tab') return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <dialog ref={dialog} className="q-palette" aria-label="Search or run" onCancel={onClose} onClose={onClose} onClick={(event) => { if (event.target === dialog.current) onClose(); }}>
      <div className="q-pal-head">
        <Icon name="search" />
        {only === null ? null : <span className="q-pal-only">{only.name}</span>}
        <input
          autoFocus
          role="combobox"
          aria-expanded
          aria-controls={`${id}-list`}
          aria-activedescendant={current === undefined ? undefined : `${id}-${index}`}
          aria-label={only === null ? 'A VM, a page, or a verb and a VM' : `A verb of ${only.name}`}
          placeholder={only === null ? 'A VM, a page, or “stop web”' : 'What to do with it'}
          value={query}
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => { setQuery(event.target.value); setAt(0); }}
          onKeyDown={onKey}
        />
      </div>
      <div ref={list} id={`${id}-list`} role="listbox" aria-label="Found" className="q-pal-list">
        {items.map((item, place) => (
          <div key={item.key}>
            {items[place - 1]?.kind === item.kind ? null : <p className="q-pal-group" aria-hidden="true">{HEADS[item.kind]}</p>}
            <div
              id={`${id}-${place}`}
              role="option"
              aria-selected={place === index}
              aria-disabled={whyNotItem(item) !== ''}
              className="q-pal-line"
              onMouseMove={() => { if (place !== index) setAt(place); }}
              onClick={() => choose(item)}
            >
              <Line item={item} />
            </div>
          </div>
        ))}
        {items.length === 0 ? <p className="q-pal-none">Nothing is called “{query}”.</p> : null}
      </div>
      <footer className="q-pal-foot q-dim">
        <span><KeyHint keys="↑↓" /> move</span>
        <span><KeyHint keys="Enter" /> {current?.kind === 'verb' ? 'run' : 'open'}</span>
        {current?.kind === 'vm' ? <span><KeyHint keys="Tab" /> its verbs</span> : null}
        <span><KeyHint keys="Esc" /> {only === null ? 'close' : 'back'}</span>
      </footer>
    </dialog>
  );
}
