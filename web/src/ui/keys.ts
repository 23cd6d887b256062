// Keys of a whole page. While text is being typed, only those with Ctrl or Command count.

import { useEffect, useRef } from 'react';

export type Keys = Readonly<Record<string, (event: KeyboardEvent) => void>>;

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !['checkbox', 'radio', 'button'].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || target.isContentEditable;
}

/** `ctrl+k`, `/`, `j`: what `event.key` says, in lower case. */
export function nameOfKey(event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey'>): string {
  const control = event.ctrlKey || event.metaKey ? 'ctrl+' : '';
  return `${control}${event.altKey ? 'alt+' : ''}${event.key.length === 1 ? event.key.toLowerCase() : event.key}`;
}

export function useKeys(keys: Keys): void {
  const latest = useRef(keys);
  useEffect(() => {
    latest.current = keys;
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const name = nameOfKey(event);
      const act = latest.current[name];
      if (act === undefined || event.defaultPrevented) return;
      if (!name.startsWith('ctrl+') && (typing(event.target) || document.querySelector('dialog[open], [role="dialog"]') !== null)) return;
      act(event);
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
}
