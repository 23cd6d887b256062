// Asks again as what is asked changes: after a pause, the one before dropped, the newest answer
// alone heard.

export type Heard<T> = { readonly answer: T } | { readonly thrown: unknown };

export class Latest {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private controller: AbortController | null = null;

  constructor(private readonly delayMs: number) {}

  ask<T>(work: (signal: AbortSignal) => Promise<T>, hear: (heard: Heard<T>) => void): void {
    this.drop();
    const controller = new AbortController();
    this.controller = controller;
    const tell = (heard: Heard<T>): void => {
      if (!controller.signal.aborted) hear(heard);
    };
    this.timer = setTimeout(() => {
      work(controller.signal).then(
        (answer) => tell({ answer }),
        (thrown: unknown) => tell({ thrown }),
      );
    }, this.delayMs);
  }

  /** Nothing that was asked is heard any more. */
  drop(): void {
    clearTimeout(this.timer);
    this.controller?.abort();
    this.controller = null;
  }
}
