// What comes over a serial console's socket, counted, so that the next socket goes on where this one
// ended.

export interface SerialSink {
  readonly write: (bytes: Uint8Array) => void;
  /** So many bytes that the port said were not kept. */
  readonly lost: (bytes: number) => void;
  /** What the port said before is not what it says now: it counts anew. */
  readonly anew: () => void;
}

export class SerialWire {
  private position: number | undefined;

  constructor(private readonly sink: SerialSink) {}

  /** Where to go on. Undefined: nothing was heard yet. */
  readonly from = (): number | undefined => this.position;

  readonly hear = (data: unknown): void => {
    if (data instanceof ArrayBuffer) {
      this.position = (this.position ?? 0) + data.byteLength;
      this.sink.write(new Uint8Array(data));
    } else if (typeof data === 'string') {
      this.told(data);
    }
  };

  private told(text: string): void {
    let from: unknown;
    try {
      from = (JSON.parse(text) as { from?: unknown } | null)?.from;
    } catch {
      return;
    }
    if (typeof from !== 'number' || !Number.isSafeInteger(from) || from < 0) return;
    if (this.position !== undefined) {
      if (from > this.position) this.sink.lost(from - this.position);
      else if (from < this.position) this.sink.anew();
    }
    this.position = from;
  }
}
