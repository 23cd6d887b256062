// Reading a server stream in a test: wait for the message that matters, with a deadline, and
// always let the stream go.

import { Code, ConnectError } from "@connectrpc/connect";

const DEADLINE_MS = 10_000;

/** A stream that is being read. Make it with `watch`. */
class Watch {
  #abort;
  #seen = [];
  #next = 0;
  #wake = () => {};
  #end;
  #reading;

  constructor(call) {
    this.#abort = new AbortController();
    // No time-out of its own: how long a watch lives is the test's affair.
    const stream = call({ signal: this.#abort.signal, timeoutMs: 0 });
    this.#reading = this.#read(stream);
  }

  async #read(stream) {
    try {
      for await (const message of stream) {
        this.#seen.push(message);
        this.#wake();
      }
      this.#end = { error: undefined };
    } catch (error) {
      this.#end = { error: ConnectError.from(error) };
    }
    this.#wake();
  }

  /** All messages so far. */
  get seen() {
    return this.#seen;
  }

  /** The next message, after those already handed out, that `matches`. */
  async until(what, matches, deadlineMs = DEADLINE_MS) {
    const found = await this.#wait(deadlineMs, () => {
      while (this.#next < this.#seen.length) {
        const message = this.#seen[this.#next++];
        if (matches(message)) return message;
      }
      return undefined;
    });
    if (found) return found;
    const how = this.#end ? `the stream ended (${this.#end.error ?? "without an error"})` : "time ran out";
    throw new Error(`${how} while waiting for ${what}; ${this.#seen.length} messages came`);
  }

  /** How the stream ends by itself: `{ error }`, undefined for a clean end. */
  async end(deadlineMs = DEADLINE_MS) {
    const ended = await this.#wait(deadlineMs, () => this.#end);
    if (!ended) throw new Error("the stream goes on although its end was due");
    return ended;
  }

  /** What `look` finds, looked for again after each message until the end or the deadline. */
  async #wait(deadlineMs, look) {
    const deadline = Date.now() + deadlineMs;
    for (;;) {
      const found = look();
      if (found !== undefined || this.#end) return found;
      const left = deadline - Date.now();
      if (left <= 0) return undefined;
      let timer;
      await new Promise((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }

  /** Lets the stream go; the error by which it had ended before, if it had. */
  async close() {
    this.#abort.abort();
    await this.#reading;
    const error = this.#end?.error;
    return error?.code === Code.Canceled ? undefined : error;
  }
}

/**
 * Opens a stream, hands it to `use`, and lets it go whatever happens:
 * `await watch((options) => vms.watchVM({ vmId }, options), async (stream) => { … })`.
 */
export async function watch(call, use) {
  const stream = new Watch(call);
  let result;
  try {
    result = await use(stream);
  } catch (error) {
    await stream.close();
    throw error;
  }
  const broken = await stream.close();
  if (broken) throw broken;
  return result;
}
