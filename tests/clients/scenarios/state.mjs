// StateService: the demo keeps its state in memory, so there is nothing to back up and it says so.

import assert from "node:assert/strict";
import { it } from "node:test";
import { Code } from "@connectrpc/connect";
import { refused } from "../lib/expect.mjs";

export function stateScenarios({ state }) {
  it("lists backups, and says why the demo makes none", async () => {
    const { backups, lastError } = await state.listBackups({});
    assert.deepEqual(backups, []);
    assert.equal(lastError, "");
    await refused(Code.FailedPrecondition, state.backupState({}));
  });
}
