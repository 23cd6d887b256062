// NodeService: the demo's three nodes are read; what changes a node is tried on a host of the
// run's own, which is decommissioned at the end.

import assert from "node:assert/strict";
import { it } from "node:test";
import { Code } from "@connectrpc/connect";
import { NodeStatus_Phase as Phase } from "../gen/Quantixkvm/compute/v1/node_pb.js";
import { NodeUpdate_UpdateType as Update } from "../gen/Quantixkvm/compute/v1/node_service_pb.js";
import { refused } from "../lib/expect.mjs";
import { unique } from "../lib/names.mjs";
import { watch } from "../lib/watch.mjs";

const DEMO_NODES = ["hypervisor-01", "hypervisor-02", "hypervisor-03"];
const GIB = 1n << 30n;

function is(node, phase, what) {
  assert.equal(Phase[node.status?.phase], Phase[phase], what);
}

export function nodeScenarios({ nodes, slug }) {
  it("lists and gets the demo's nodes", async () => {
    const all = await nodes.listNodes({});
    const names = all.nodes.map((node) => node.hostname);
    assert.deepEqual(names, names.toSorted(), "not by hostname");
    assert.deepEqual(DEMO_NODES.filter((name) => names.includes(name)), DEMO_NODES);
    const page = await nodes.listNodes({ pageSize: 1 });
    assert.equal(page.nodes.length, 1);
    assert.equal(page.totalCount, all.totalCount);
    const next = await nodes.listNodes({ pageSize: 1, pageToken: page.nextPageToken });
    assert.equal(next.nodes[0].id, all.nodes[1].id);
    await refused(Code.InvalidArgument, nodes.listNodes({ pageToken: "not-ours" }));

    const { id } = all.nodes.find((node) => node.hostname === "hypervisor-01");
    const node = await nodes.getNode({ id });
    assert.equal(node.hostname, "hypervisor-01");
    is(node, Phase.READY, "hypervisor-01");
    assert.match(node.spec.cpu.model, /Xeon/);
    assert.equal(node.spec.memory.totalBytes, 256n * GIB);
    assert.ok(node.status.vmIds.length >= 4, "the demo's VMs are not on it");
    assert.ok(node.status.conditions.some((condition) => condition.type === "Ready"));
    await refused(Code.NotFound, nodes.getNode({ id: "99999999-9999-4999-8999-999999999999" }));
    await refused(Code.InvalidArgument, nodes.getNode({ id: "hypervisor-01" }));
  });

  it("answers and streams measured metrics, under both spellings of the id", async () => {
    const { nodes: all } = await nodes.listNodes({});
    const { id } = all.find((node) => node.hostname === "hypervisor-01");
    const byId = await nodes.getNodeMetrics({ id });
    const byNodeId = await nodes.getNodeMetrics({ nodeId: id });
    assert.deepEqual([byId.nodeId, byNodeId.nodeId], [id, id]);
    assert.equal(byId.memoryTotalBytes, 256n * GIB);
    assert.ok(byId.cpuUsagePercent >= 0 && byId.cpuUsagePercent <= 100, `${byId.cpuUsagePercent} %`);
    assert.ok(byId.vmCount >= 4 && byId.vmRunningCount >= 3, "the demo's VMs are not counted");
    await refused(Code.InvalidArgument, nodes.getNodeMetrics({}));
    const call = (options) => nodes.streamNodeMetrics({ nodeId: id, intervalSec: 1 }, options);
    await watch(call, async (stream) => {
      assert.equal((await stream.until("metrics at once", () => true)).nodeId, id);
      assert.equal((await stream.until("metrics again", () => true)).nodeId, id);
    });
  });

  it("takes a host from registration to decommission, and watches it", async () => {
    const hostname = unique(slug, "host");
    const labels = { client: slug };
    await watch((options) => nodes.watchNodes({ labels }, options), async (stream) => {
      await stream.until("SYNCED", (update) => update.type === Update.SYNCED);
      const registered = await nodes.registerNode({
        hostname,
        managementIp: "192.0.2.7:9443",
        labels,
        cpuInfo: { model: "Test CPU", totalThreads: 8 },
        memoryInfo: { totalBytes: 16n * GIB },
      });
      const { id } = registered;
      try {
        assert.equal(registered.managementIp, "192.0.2.7", "the port is stripped");
        const of = (type) => (update) => update.type === type && update.node?.id === id;
        await stream.until("ADDED", of(Update.ADDED));
        await hostLife(nodes, id, { hostname, labels });
        await stream.until("MAINTENANCE", (update) =>
          of(Update.MODIFIED)(update) && update.node.status.phase === Phase.MAINTENANCE);
        await nodes.decommissionNode({ id });
        await stream.until("DELETED", of(Update.DELETED));
        await refused(Code.NotFound, nodes.getNode({ id }));
      } finally {
        await nodes.decommissionNode({ id, force: true }).catch((error) => {
          if (error.code !== Code.NotFound) throw error;
        });
      }
    });
    await refused(Code.InvalidArgument, nodes.registerNode({ hostname }));
  });
}

/** What happens to a registered host between its arrival and its end. */
async function hostLife(nodes, id, { hostname, labels }) {
  const again = await nodes.registerNode({ hostname, managementIp: "192.0.2.8", labels });
  assert.equal(again.id, id, "the hostname decides which node it is");
  assert.equal(again.managementIp, "192.0.2.8");

  const beat = await nodes.updateHeartbeat({
    nodeId: id, cpuUsagePercent: 12.5, memoryUsedMib: 1024n, memoryTotalMib: 16384n, load1m: 0.5,
  });
  assert.equal(beat.acknowledged, true);
  assert.ok(Math.abs(Number(beat.serverTimeUnix) - Date.now() / 1000) < 60, "the server's clock");
  assert.ok(beat.heartbeatIntervalSecs > 0 && beat.heartbeatIntervalSecs <= 30, "the interval");
  is(await nodes.getNode({ id }), Phase.READY, "after a heartbeat");
  assert.equal((await nodes.getNodeMetrics({ id })).cpuUsagePercent, 12.5, "as it reported");

  const labelled = await nodes.updateLabels({
    nodeId: id, addLabels: { rack: "7" }, removeLabels: ["nothing-of-the-sort"],
  });
  assert.deepEqual(labelled.labels, { ...labels, rack: "7" });
  const updated = await nodes.updateNode({
    id,
    updateMask: { paths: ["scheduling.overcommit.cpu_ratio"] },
    scheduling: { overcommit: { cpuRatio: 2.5, memoryRatio: 7 } },
  });
  assert.equal(updated.spec.scheduling.overcommit.cpuRatio, 2.5);
  assert.notEqual(updated.spec.scheduling.overcommit.memoryRatio, 7, "a path left out of the mask");

  is(await nodes.disableNode({ id, reason: "new fans" }), Phase.MAINTENANCE, "disabled");
  await nodes.updateHeartbeat({ nodeId: id, cpuUsagePercent: 1 });
  is(await nodes.getNode({ id }), Phase.MAINTENANCE, "a heartbeat does not lift it");
  is(await nodes.enableNode({ id }), Phase.READY, "enabled");
  const drained = await nodes.drainNode({ id, gracePeriodSec: 5 });
  is(drained.node, Phase.MAINTENANCE, "drained");
  assert.deepEqual([drained.migratedVmIds, drained.failures], [[], []]);
  const elsewhere = { id, targetNodeId: "99999999-9999-4999-8999-999999999999" };
  await refused(Code.Unimplemented, nodes.drainNode(elsewhere));

  const { events } = await nodes.listNodeEvents({ nodeId: id });
  assert.ok(events.length >= 3, `only ${events.length} events`);
  const times = events.map((event) => event.timestamp.seconds);
  assert.deepEqual(times, times.toSorted((a, b) => Number(b - a)), "events are not newest first");
  assert.equal((await nodes.listNodeEvents({ nodeId: id, limit: 1 })).events.length, 1);
}
