// Assertions about answers and refusals.

import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";

/** The call must be refused with this code; answers the error, to look at its details. */
export async function refused(code, call) {
  let answer;
  try {
    answer = await call;
  } catch (error) {
    const refusal = ConnectError.from(error);
    assert.equal(Code[refusal.code], Code[code], `refused for another reason: ${refusal.message}`);
    assert.notEqual(refusal.rawMessage, "", "a refusal without a sentence");
    return refusal;
  }
  assert.fail(`expected ${Code[code]}, but it was answered: ${answer.$typeName}`);
}

/** Calls `look` until it answers something, for what the server does in its own time. */
export async function eventually(what, look, deadlineMs = 10_000) {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) assert.fail(`${what} did not come about within ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
