// Waiting for a level: it is looked for until it is there, or the deadline has passed.

import assert from "node:assert/strict";

/** The first thing that `look` finds. What it throws counts as not found, and is told at the end. */
export async function eventually(what, look, deadlineMs = 15_000) {
  const deadline = Date.now() + deadlineMs;
  let last = "";
  for (;;) {
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      last = `: ${error.message}`;
    }
    if (Date.now() > deadline) assert.fail(`${what} did not come about within ${deadlineMs} ms${last}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
