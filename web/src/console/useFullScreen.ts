import { useCallback, useSyncExternalStore, type RefObject } from 'react';

function subscribe(listener: () => void): () => void {
  document.addEventListener('fullscreenchange', listener);
  return () => document.removeEventListener('fullscreenchange', listener);
}

/** Whether an element fills the screen, and what changes that. */
export function useFullScreen(target: RefObject<HTMLElement | null>): readonly [boolean, () => void] {
  const full = useSyncExternalStore(subscribe, () => document.fullscreenElement !== null && document.fullscreenElement === target.current);
  const toggle = useCallback(() => {
    // A browser that refuses leaves things as they are.
    if (document.fullscreenElement !== null) document.exitFullscreen().catch(() => undefined);
    else target.current?.requestFullscreen().catch(() => undefined);
  }, [target]);
  return [full, toggle];
}
