// What happened and what was used: EventService, MetricService, and the use of VMs as it is
// measured.

import assert from "node:assert/strict";
import { it } from "node:test";
import { Code } from "@connectrpc/connect";
import {
  Event_Subject as Subject,
  EventUpdate_UpdateType as Update,
} from "../gen/Quantixkvm/compute/v1/event_service_pb.js";
import { refused } from "../lib/expect.mjs";
import { watch } from "../lib/watch.mjs";
import { withVm } from "./vms.mjs";

const UNKNOWN = "99999999-9999-4999-8999-999999999999";
const COLUMNS = [
  "cpu_percent",
  "memory_used_bytes",
  "disk_read_bytes_sec",
  "disk_write_bytes_sec",
  "network_rx_bytes_sec",
  "network_tx_bytes_sec",
];

export function pastScenarios(context) {
  const { vms, nodes, events, metrics } = context;

  it("hears of events and lists them, newest first, a page at a time", async () => {
    await withVm(context, "events", async ({ id }) => {
      await watch((options) => events.watchEvents({ resourceId: id }, options), async (stream) => {
        await stream.until("SYNCED", (update) => update.type === Update.SYNCED);
        await vms.startVM({ id });
        const started = await stream.until("vm.started", ({ event }) => event?.type === "vm.started");
        assert.equal(started.type, Update.ADDED);
        assert.equal(started.event.resourceId, id);
        assert.equal(Subject[started.event.subject], "VM");
        assert.ok(started.event.createdAt.seconds > 0n);

        const all = await events.listEvents({ resourceId: id });
        assert.deepEqual(all.events[0], started.event, "what was heard is what is listed");
        const ids = all.events.map((event) => Number(event.id));
        assert.deepEqual(ids, ids.toSorted((one, other) => other - one), "newest first");
        const page = await events.listEvents({ resourceId: id, pageSize: 1 });
        assert.equal(page.events.length, 1);
        const next = await events.listEvents({ resourceId: id, pageSize: 1, pageToken: page.nextPageToken });
        assert.equal(next.events[0].id, all.events[1].id);
        const other = { pageSize: 1, pageToken: page.nextPageToken };
        await refused(Code.InvalidArgument, events.listEvents(other));
        const none = await events.listEvents({ resourceId: id, search: "no such words" });
        assert.deepEqual(none.events, []);
      });
    });
    await refused(Code.InvalidArgument, events.listEvents({ severity: "loud" }));
  });

  it("streams the measured use of the VMs that run", async () => {
    await withVm(context, "usage", async ({ id }) => {
      await watch((options) => vms.watchVMUsage({ vmIds: [id] }, options), async (stream) => {
        const off = await stream.until("that it is off", () => true);
        assert.deepEqual(off.vms, []);
        await vms.startVM({ id });
        const on = await stream.until("its use", (update) => update.vms.length === 1);
        assert.equal(on.vms[0].vmId, id);
        assert.ok(on.vms[0].usage.memoryAllocatedBytes > 0n);
        assert.ok(on.measuredAt.seconds > 0n);
      });
    });
  });

  it("answers the past of a VM and of a node in columns", async () => {
    const now = BigInt(Math.floor(Date.now() / 1000));
    const ago = (seconds) => ({ seconds: now - BigInt(seconds), nanos: 0 });
    const { nodes: all } = await nodes.listNodes({});
    const node = all.find(({ hostname }) => hostname === "hypervisor-01");
    const [vmId] = node.status.vmIds;
    for (const past of [
      await metrics.getVMMetricHistory({ vmId }),
      await metrics.getNodeMetricHistory({ nodeId: node.id }),
    ]) {
      assert.equal(past.stepSec, 10);
      assert.ok(past.count >= 360 && past.count <= 361, `${past.count} values`);
      assert.deepEqual(past.columns.map((column) => column.name), COLUMNS);
      for (const column of past.columns) assert.equal(column.values.length, past.count);
      assert.equal(past.start.seconds % 10n, 0n);
    }
    const day = await metrics.getVMMetricHistory({ vmId, start: ago(86_400) });
    assert.equal(day.stepSec, 60);
    const week = await metrics.getVMMetricHistory({ vmId, start: ago(400_000), end: ago(200_000) });
    assert.equal(week.stepSec, 900);
    await refused(Code.InvalidArgument, metrics.getVMMetricHistory({ vmId, start: ago(1), end: ago(2) }));
    await refused(Code.NotFound, metrics.getVMMetricHistory({ vmId: UNKNOWN }));
    await refused(Code.NotFound, metrics.getNodeMetricHistory({ nodeId: UNKNOWN }));
    await refused(Code.InvalidArgument, metrics.getNodeMetricHistory({ nodeId: "hypervisor-01" }));
  });
}
