// Dark, light, or what the system says. PatternFly goes by a class on the root.

import { useSyncExternalStore } from 'react';

export type Theme = 'system' | 'light' | 'dark';
const KEY = 'qkvm.theme';
const THEMES: readonly Theme[] = ['system', 'light', 'dark'];
const dark = matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === value) ?? 'system';
  } catch {
    // Storage may be forbidden: the page goes by the system.
    return 'system';
  }
}

let theme: Theme = stored();

export function isDark(): boolean {
  return theme === 'dark' || (theme === 'system' && dark.matches);
}

function show(): void {
  document.documentElement.classList.toggle('pf-v6-theme-dark', isDark());
  for (const tell of listeners) tell();
}

export function applyTheme(): void {
  show();
  dark.addEventListener('change', show);
}

export function setTheme(next: Theme): void {
  theme = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Kept for this visit alone.
  }
  show();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, () => theme);
}

/** For what draws on a canvas. */
export function useIsDark(): boolean {
  return useSyncExternalStore(subscribe, isDark);
}
