// A button that opens a list to tick: filters and columns.

import { useEffect, useId, useRef, useState, type KeyboardEvent, type ReactElement, type ReactNode } from 'react';
import { Icon, type IconName } from './icons';

export interface CheckOption {
  readonly id: string;
  readonly word: ReactNode;
  /** What is searched, where the word is not a text. */
  readonly text: string;
  readonly count?: number | undefined;
  readonly on: boolean;
  /** Ticked for good. */
  readonly fixed?: boolean;
}

interface Props {
  readonly word: string;
  readonly icon?: IconName;
  /** Asked for when it opens: counting thousands of things is not done for nothing. */
  readonly options: () => readonly CheckOption[];
  /** How many are ticked, where that narrows something down. */
  readonly chosen?: number;
  readonly onToggle: (id: string) => void;
  readonly align?: 'end';
}

/** More than these get a box to search in. */
const MANY = 12;

export function CheckMenu({ word, icon, options, chosen = 0, onToggle, align }: Props): ReactElement {
  const [open, setOpen] = useState(false);
  const [query, setQuery] = useState('');
  const root = useRef<HTMLDivElement>(null);
  const id = useId();
  useEffect(() => {
    if (!open) return undefined;
    const outside = (event: PointerEvent): void => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [open]);
  const onKey = (event: KeyboardEvent): void => {
    const inputs = [...(root.current?.querySelectorAll<HTMLInputElement>('.q-menu input') ?? [])];
    const at = inputs.indexOf(document.activeElement as HTMLInputElement);
    if (event.key === 'Escape' && open) {
      setOpen(false);
      root.current?.querySelector('button')?.focus();
    } else if (event.key === 'ArrowDown' && open) inputs[Math.min(inputs.length - 1, at + 1)]?.focus();
    else if (event.key === 'ArrowUp' && open) inputs[Math.max(0, at - 1)]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const all = open ? options() : [];
  const found = all.filter((option) => option.text.toLowerCase().includes(query.toLowerCase()));
  return (
    <div className="q-menu-root" ref={root} onKeyDown={onKey}>
      <button type="button" className="q-button" aria-expanded={open} aria-controls={id} data-chosen={chosen > 0 ? '' : undefined} onClick={() => setOpen(!open)}>
        {icon === undefined ? null : <Icon name={icon} size={14} />}
        {word}
        {chosen > 0 ? <span className="q-num">{chosen}</span> : null}
        <Icon name="down" size={12} />
      </button>
      {open ? (
        <div className={`q-menu ${align === 'end' ? 'q-menu-end' : ''}`} id={id} role="group" aria-label={word}>
          {all.length > MANY ? <input className="q-input" type="search" aria-label={`Search ${word.toLowerCase()}`} placeholder="Search" value={query} onChange={(event) => setQuery(event.target.value)} /> : null}
          <div className="q-menu-list">
            {found.map((option) => (
              <label key={option.id} className="q-menu-line">
                <input type="checkbox" checked={option.on} disabled={option.fixed} onChange={() => onToggle(option.id)} />
                <span className="q-menu-word">{option.word}</span>
                {option.count === undefined ? null : <span className="q-num q-dim">{option.count}</span>}
              </label>
            ))}
            {found.length === 0 ? <p className="q-dim q-menu-line">None.</p> : null}
          </div>
        </div>
      ) : null}
    </div>
  );
}
