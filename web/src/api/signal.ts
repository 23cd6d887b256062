// Who wants to know that something changed. Changes of one frame are told once.

export type Unsubscribe = () => void;
export type Schedule = (tell: () => void) => void;

/** A hidden page draws no frames, but its facts go on. */
export const onNextFrame: Schedule = (tell) => {
  if (typeof document === 'undefined' || document.hidden) setTimeout(tell, 200);
  else requestAnimationFrame(tell);
};

export class Signal {
  private readonly listeners = new Set<() => void>();
  private pending = false;

  constructor(private readonly schedule: Schedule = onNextFrame) {}

  /** Bound, as `useSyncExternalStore` calls it alone. */
  readonly subscribe = (listener: () => void): Unsubscribe => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };

  emit(): void {
    if (this.pending) return;
    this.pending = true;
    this.schedule(() => {
      this.pending = false;
      for (const listener of [...this.listeners]) listener();
    });
  }
}
