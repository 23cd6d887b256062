// One key for one request, kept while it is not known what became of it: sent again, the server
// does it once. What was answered has been decided: asked again, it is another request.

import { newKey } from './call';

const UNDECIDED = new Set(['unavailable', 'deadline_exceeded', 'canceled', 'unknown']);

export class RetryKey {
  private body: string | null = null;
  private key = '';

  of(body: string): string {
    if (this.body !== body) {
      this.body = body;
      this.key = newKey();
    }
    return this.key;
  }

  /** What it failed with, by code. */
  failed(code: string): void {
    if (!UNDECIDED.has(code)) this.body = null;
  }
}
