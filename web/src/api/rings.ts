// The last measurements of each thing, for the small charts: a ring of numbers per column.

export const POINTS = 60;

export class Ring {
  private readonly values: Float64Array;
  private next = 0;
  private filled = 0;

  constructor(readonly size: number = POINTS) {
    this.values = new Float64Array(size);
  }

  push(value: number): void {
    this.values[this.next] = value;
    this.next = (this.next + 1) % this.size;
    this.filled = Math.min(this.size, this.filled + 1);
  }

  get length(): number {
    return this.filled;
  }

  /** Oldest first. */
  toArray(): number[] {
    const from = (this.next - this.filled + this.size) % this.size;
    return Array.from({ length: this.filled }, (_, index) => this.values[(from + index) % this.size] ?? 0);
  }
}
