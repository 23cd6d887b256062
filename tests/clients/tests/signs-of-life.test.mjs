// A watch on which nothing happens still says every 15 seconds that it lives, or proxies and users
// would take a dead link for a quiet one. In a file of its own because it has to wait.

import assert from "node:assert/strict";
import { after, it } from "node:test";
import { createClient } from "@connectrpc/connect";
import { NodeUpdate_UpdateType } from "../gen/Quantixkvm/compute/v1/node_service_pb.js";
import { VMUpdate_UpdateType } from "../gen/Quantixkvm/compute/v1/vm_service_pb.js";
import { OperationUpdate_UpdateType } from "../gen/Quantixkvm/operation/v1/operation_service_pb.js";
import { service } from "../lib/contract.mjs";
import { TRANSPORTS } from "../lib/transports.mjs";
import { watch } from "../lib/watch.mjs";

const PATIENCE_MS = 20_000;
const DEV_WORKSTATION = "11111111-1111-1111-1111-111111111111";
const NOTHING = { labels: { client: "nobody" } };

const { transport, close } = TRANSPORTS.find(({ slug }) => slug === "connect-json-h2c").open([]);
after(close);
const vms = createClient(service("VMService"), transport);
const nodes = createClient(service("NodeService"), transport);
const operations = createClient(service("OperationService"), transport);

it("every watch gives a sign of life", { timeout: 60_000 }, async () => {
  const beats = (call, type) => watch(call, async (stream) => {
    const beat = await stream.until("HEARTBEAT", (update) => update.type === type, PATIENCE_MS);
    assert.equal(beat.vm ?? beat.node ?? beat.operation, undefined, "a HEARTBEAT carries nothing");
  });
  await Promise.all([
    beats((options) => vms.watchVMs(NOTHING, options), VMUpdate_UpdateType.HEARTBEAT),
    beats((options) => nodes.watchNodes(NOTHING, options), NodeUpdate_UpdateType.HEARTBEAT),
    beats((options) => operations.watchOperations({ resourceId: DEV_WORKSTATION }, options),
      OperationUpdate_UpdateType.HEARTBEAT),
    watch((options) => vms.watchVM({ vmId: DEV_WORKSTATION }, options), async (stream) => {
      await stream.until("the VM", () => true, PATIENCE_MS);
      await stream.until("the VM again", () => true, PATIENCE_MS);
    }),
  ]);
});
