// OperationService: a verb is seen while it goes and after it ended.

import assert from "node:assert/strict";
import { it } from "node:test";
import { Code } from "@connectrpc/connect";
import { Operation_State as State } from "../gen/Quantixkvm/operation/v1/operation_pb.js";
import { OperationUpdate_UpdateType as Update } from "../gen/Quantixkvm/operation/v1/operation_service_pb.js";
import { refused } from "../lib/expect.mjs";
import { watch } from "../lib/watch.mjs";
import { withVm } from "./vms.mjs";

export function operationScenarios(context) {
  const { vms, operations } = context;

  it("watches, lists and gets the operations of a VM", async () => {
    await withVm(context, "operations", async ({ id }) => {
      const call = (options) => operations.watchOperations({ resourceId: id }, options);
      await watch(call, async (stream) => {
        await stream.until("SYNCED", (update) => update.type === Update.SYNCED);
        await vms.startVM({ id });
        const ended = await stream.until("the start's end", ({ operation }) =>
          operation?.verb === "start" && operation.state === State.SUCCEEDED);
        assert.equal(ended.operation.resourceId, id);
        assert.equal(ended.operation.errorCode, "");
      });

      const all = await operations.listOperations({ resourceId: id });
      assert.equal(all.totalCount, all.operations.length);
      const verbs = all.operations.map((operation) => operation.verb);
      assert.deepEqual(verbs.slice(0, 2), ["start", "create"], "newest first");
      const page = await operations.listOperations({ resourceId: id, pageSize: 1 });
      assert.equal(page.operations.length, 1);
      const next = { resourceId: id, pageSize: 1, pageToken: page.nextPageToken };
      const [second] = (await operations.listOperations(next)).operations;
      assert.equal(second.verb, "create");
      const failed = await operations.listOperations({ resourceId: id, states: [State.FAILED] });
      assert.equal(failed.totalCount, 0);

      const start = all.operations[0];
      const got = await operations.getOperation({ id: start.id });
      assert.equal(got.verb, "start");
      assert.equal(State[got.state], "SUCCEEDED");
      assert.ok(got.createdAt.seconds > 0n);
      assert.equal(got.cancellable, false);
      await refused(Code.FailedPrecondition, operations.cancelOperation({ id: start.id }));
      const unknown = { id: "99999999-9999-4999-8999-999999999999" };
      await refused(Code.NotFound, operations.getOperation(unknown));
      await refused(Code.InvalidArgument, operations.getOperation({ id: "nonsense" }));
    });
  });
}
