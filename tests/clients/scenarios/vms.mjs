// VMService: a VM's whole life, its refusals, its lists and its watches. What is made here is
// deleted here, so that the next protocol finds the demo as it was.

import assert from "node:assert/strict";
import { it } from "node:test";
import { Code } from "@connectrpc/connect";
import { BadRequestSchema } from "../gen/google/rpc/error_details_pb.js";
import { VmStatus_PowerState as State } from "../gen/Quantixkvm/compute/v1/vm_pb.js";
import {
  PausedReason,
  PreflightCheck_Outcome as Outcome,
} from "../gen/Quantixkvm/compute/v1/vm_pb.js";
import { VMUpdate_UpdateType as Update } from "../gen/Quantixkvm/compute/v1/vm_service_pb.js";
import { refused } from "../lib/expect.mjs";
import { unique } from "../lib/names.mjs";
import { watch } from "../lib/watch.mjs";

export const DEV_WORKSTATION = "11111111-1111-1111-1111-111111111111";
const DEMO_VMS = ["cache-server", "db-server-01", "dev-workstation", "web-server-01"];
const UNKNOWN = "99999999-9999-4999-8999-999999999999";

/** A VM of the smallest size for one test, deleted after it whatever happened. */
export async function withVm({ vms, slug }, what, use) {
  const vm = await vms.createVM({
    name: unique(slug, what),
    labels: { client: slug, test: what },
    spec: { cpu: { cores: 1 }, memory: { sizeMib: 256n } },
  });
  try {
    return await use(vm);
  } finally {
    await vms.deleteVM({ id: vm.id, force: true, deleteVolumes: true }).catch((error) => {
      if (error.code !== Code.NotFound) throw error;
    });
  }
}

function is(vm, state, what) {
  assert.equal(State[vm.status?.state], State[state], what);
}

function action(vm, verb) {
  const found = vm.allowedActions.find((candidate) => candidate.verb === verb);
  assert.ok(found, `allowed_actions leaves out ${verb}`);
  return found;
}

export function vmScenarios(context) {
  const { vms, slug } = context;

  it("lists the demo's VMs, page by page, in the order asked for", async () => {
    const all = await vms.listVMs({ pageSize: 1000, orderBy: "name" });
    const names = all.vms.map((vm) => vm.name);
    assert.deepEqual(DEMO_VMS.filter((name) => names.includes(name)), DEMO_VMS);
    assert.equal(all.totalCount, all.vms.length);
    assert.equal(all.nextPageToken, "");

    const paged = [];
    let pageToken = "";
    do {
      const page = await vms.listVMs({ pageSize: 2, pageToken, orderBy: "name" });
      assert.ok(page.vms.length <= 2, `a page of 2 has ${page.vms.length}`);
      assert.equal(page.totalCount, all.totalCount);
      paged.push(...page.vms.map((vm) => vm.name));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    assert.deepEqual(paged, names);

    const reversed = await vms.listVMs({ pageSize: 1000, orderBy: "name desc" });
    assert.deepEqual(reversed.vms.map((vm) => vm.name), names.toReversed());
    const running = await vms.listVMs({ states: [State.RUNNING] });
    for (const vm of running.vms) is(vm, State.RUNNING, vm.name);
    assert.ok(running.vms.some((vm) => vm.name === "web-server-01"), "web-server-01 does not run");
    const none = await vms.listVMs({ labels: { client: "nobody" } });
    assert.deepEqual([none.vms.length, none.totalCount], [0, 0]);

    await refused(Code.InvalidArgument, vms.listVMs({ orderBy: "colour" }));
    await refused(Code.InvalidArgument, vms.listVMs({ pageToken: "not-ours" }));
    const first = await vms.listVMs({ pageSize: 1 });
    const other = { pageSize: 1, pageToken: first.nextPageToken, states: [State.RUNNING] };
    await refused(Code.InvalidArgument, vms.listVMs(other));
  });

  it("gets one VM with its 64-bit numbers and the verbs that fit", async () => {
    const vm = await vms.getVM({ id: DEV_WORKSTATION });
    assert.equal(vm.name, "dev-workstation");
    assert.equal(vm.spec.cpu.cores, 2);
    assert.equal(vm.spec.memory.sizeMib, 4096n);
    assert.ok(vm.createdAt.seconds > 0n);
    assert.notEqual(vm.resourceVersion, "");
    for (const { verb, allowed, reason } of vm.allowedActions) {
      assert.equal(reason === "", allowed, `${verb}: allowed ${allowed}, reason "${reason}"`);
    }
    is(vm, State.STOPPED, "the demo's stopped VM");
    assert.equal(action(vm, "start").allowed, true);
    assert.equal(action(vm, "pause").allowed, false);
  });

  it("takes a VM through its life", async () => {
    await withVm(context, "life", async ({ id }) => {
      is(await vms.getVM({ id }), State.STOPPED, "created");
      is(await vms.startVM({ id }), State.RUNNING, "started");
      await refused(Code.FailedPrecondition, vms.startVM({ id }));
      const paused = await vms.pauseVM({ id });
      is(paused, State.PAUSED, "paused");
      assert.equal(PausedReason[paused.status.pausedReason], "USER");
      is(await vms.resumeVM({ id }), State.RUNNING, "resumed");
      is(await vms.rebootVM({ id }), State.RUNNING, "rebooted");
      is(await vms.rebootVM({ id, force: true }), State.RUNNING, "reset");
      is(await vms.suspendVM({ id }), State.SUSPENDED, "suspended");
      is(await vms.resumeVM({ id }), State.RUNNING, "restored");
      is(await vms.stopVM({ id, timeoutSec: 20 }), State.STOPPED, "stopped");
      is(await vms.startVM({ id }), State.RUNNING, "started again");
      is(await vms.stopVM({ id, force: true }), State.STOPPED, "powered off");
      await refused(Code.FailedPrecondition, vms.pauseVM({ id }));
      await refused(Code.FailedPrecondition, vms.adoptVM({ id }));
      await refused(Code.FailedPrecondition, vms.redefineVM({ id }));
      await vms.deleteVM({ id });
      await refused(Code.NotFound, vms.getVM({ id }));

      const { events } = await vms.listVMEvents({ vmId: id });
      assert.ok(events.length >= 10, `only ${events.length} events of ten verbs`);
      const times = events.map((event) => Date.parse(event.createdAt));
      assert.deepEqual(times, times.toSorted((a, b) => b - a), "events are not newest first");
      assert.equal((await vms.listVMEvents({ vmId: id, limit: 1 })).events[0].id, events[0].id);
    });
  });

  it("starts a VM on creation", async () => {
    const vm = await vms.createVM({
      name: unique(slug, "started"),
      spec: { cpu: { cores: 1 }, memory: { sizeMib: 256n } },
      startOnCreate: true,
    });
    try {
      is(vm, State.RUNNING, "started on creation");
      await refused(Code.FailedPrecondition, vms.deleteVM({ id: vm.id }));
    } finally {
      await vms.deleteVM({ id: vm.id, force: true });
    }
  });

  it("keeps an explicit false apart from unset", async () => {
    const vm = await vms.createVM({
      name: unique(slug, "presence"),
      spec: {
        cpu: { cores: 1 },
        memory: { sizeMib: 256n, ballooningEnabled: false },
        rng: { enabled: false },
        agent: { enabled: false },
      },
    });
    try {
      const { spec } = await vms.getVM({ id: vm.id });
      assert.equal(spec.memory.ballooningEnabled, false, "memory.ballooning_enabled");
      assert.notEqual(spec.rng?.enabled, true, "rng.enabled");
      assert.notEqual(spec.agent?.enabled, true, "agent.enabled");
    } finally {
      await vms.deleteVM({ id: vm.id });
    }
    await withVm(context, "defaults", async ({ id }) => {
      const { spec } = await vms.getVM({ id });
      assert.notEqual(spec.memory.ballooningEnabled, false, "a balloon is the default");
    });
  });

  it("updates what the mask names, and only on top of what was seen", async () => {
    await withVm(context, "update", async (vm) => {
      const { id } = vm;
      const described = await vms.updateVM({
        id,
        description: "Ümlauts and\na second line",
        name: `${vm.name}-renamed`,
        resourceVersion: vm.resourceVersion,
      });
      assert.equal(described.description, "Ümlauts and\na second line");
      assert.equal(described.name, `${vm.name}-renamed`);
      assert.deepEqual(described.labels, vm.labels, "labels that were not sent");
      assert.notEqual(described.resourceVersion, vm.resourceVersion);
      await refused(Code.Aborted,
        vms.updateVM({ id, description: "late", resourceVersion: vm.resourceVersion }));

      const changed = await vms.updateVM({
        id,
        updateMask: { paths: ["description", "spec.memory.size_mib", "autostart", "start_order"] },
        spec: { memory: { sizeMib: 512n }, cpu: { cores: 7 } },
        autostart: true,
        startOrder: 0,
      });
      assert.equal(changed.description, "", "an empty value in the mask clears");
      assert.equal(changed.spec.memory.sizeMib, 512n);
      assert.equal(changed.spec.cpu.cores, 1, "a path that the mask leaves out");
      assert.equal(changed.autostart, true);
      assert.equal(changed.startOrder, 0, "an explicit zero");
      await refused(Code.InvalidArgument,
        vms.updateVM({ id, updateMask: { paths: ["spec.colour"] } }));
      const quiet = await vms.updateVM({ id, autostart: false });
      assert.equal(quiet.autostart, false, "an explicit false");
    });
  });

  it("refuses a wrong request with every violation beside its field", async () => {
    const refusal = await refused(Code.InvalidArgument, vms.createVM({
      name: "-starts with a dash",
      labels: { ["k".repeat(64)]: "v" },
      spec: { cpu: { cores: 257 }, memory: { sizeMib: 255n } },
    }));
    const [details] = refusal.findDetails(BadRequestSchema);
    assert.ok(details, "no google.rpc.BadRequest among the details");
    const fields = details.fieldViolations.map((violation) => violation.field);
    for (const field of ["name", "spec.cpu.cores", "spec.memory.size_mib"]) {
      assert.ok(fields.includes(field), `${field} is not among ${fields}`);
    }
    assert.ok(fields.some((field) => field.startsWith("labels")), `labels are not among ${fields}`);
    for (const violation of details.fieldViolations) assert.notEqual(violation.description, "");

    await refused(Code.InvalidArgument, vms.getVM({ id: "nonsense" }));
    await refused(Code.NotFound, vms.getVM({ id: UNKNOWN }));
    await refused(Code.NotFound, vms.startVM({ id: UNKNOWN }));
    await withVm(context, "taken", async ({ name }) => {
      const spec = { cpu: { cores: 1 }, memory: { sizeMib: 256n } };
      await refused(Code.AlreadyExists, vms.createVM({ name, spec }));
      const unhonoured = await refused(Code.Unimplemented, vms.createVM({
        name: unique(slug, "unhonoured"),
        spec: { ...spec, migration: { allowMigration: true } },
      }));
      assert.match(unhonoured.rawMessage, /spec\.migration/);
    });
  });

  it("plans a creation and a deletion without doing either", async () => {
    const before = (await vms.listVMs({ pageSize: 1000 })).totalCount;
    const request = {
      name: unique(slug, "planned"),
      spec: { cpu: { cores: 1 }, memory: { sizeMib: 256n }, disks: [{ sizeGib: 1n }], nics: [{}] },
    };
    const plan = await vms.createVM({ ...request, validateOnly: true });
    is(plan, State.PROVISIONING, "as it would be");
    assert.equal(plan.id, "");
    assert.ok(plan.preflight.some((check) => check.name === "pool" && check.outcome === Outcome.PASSED));
    assert.ok(plan.preflight.every((check) => check.message !== ""), "a check that says nothing");
    assert.equal((await vms.listVMs({ pageSize: 1000 })).totalCount, before);

    // Of two kinds at once the gravest decides, and each is beside its field.
    const refusal = await refused(Code.NotFound, vms.createVM({
      ...request,
      spec: { ...request.spec, cpu: { cores: 250 }, nics: [{ networkId: "nowhere" }] },
      startOnCreate: true,
      validateOnly: true,
    }));
    const [details] = refusal.findDetails(BadRequestSchema);
    const fields = details.fieldViolations.map((violation) => violation.field);
    assert.deepEqual(fields.toSorted(), ["spec.cpu.cores", "spec.nics[0].network_id"]);

    const made = await vms.createVM(request);
    try {
      const going = await vms.deleteVM({ id: made.id, deleteVolumes: true, validateOnly: true });
      assert.deepEqual(going.gone.map((item) => item.kind), ["definition", "volume"]);
      const staying = await vms.deleteVM({ id: made.id, validateOnly: true });
      assert.match(staying.kept[0].reason, /not asked for/);
      assert.equal(staying.reclaimedBytes, 0n);
      is(await vms.getVM({ id: made.id }), State.STOPPED, "still there");
    } finally {
      await vms.deleteVM({ id: made.id, deleteVolumes: true });
    }
  });

  it("tells what a VM can be made of", async () => {
    const options = await vms.getCreateOptions({});
    assert.ok(options.pools.some((pool) => pool.name === "default" && pool.active));
    assert.ok(options.networks.some((network) => network.name === "default" && network.active));
    assert.ok(options.memoryFreeMib > 0n && options.maxCores >= 1, "no room at all");
    assert.ok(options.media.some((medium) => medium.usedBy === "dev-workstation"));
    assert.ok(options.osProfiles.some((profile) => profile.id === "debian-13" && profile.diskGib > 0n));
  });

  it("shows libvirt's definition", async () => {
    const { persistentXml, liveXml } = await vms.getVMDefinition({ id: DEV_WORKSTATION });
    assert.match(persistentXml, /<name>dev-workstation<\/name>/);
    assert.equal(liveXml, "");
    await refused(Code.NotFound, vms.getVMDefinition({ id: UNKNOWN }));
  });

  it("does a retried creation once", async () => {
    const request = {
      name: unique(slug, "retried"),
      spec: { cpu: { cores: 1 }, memory: { sizeMib: 256n } },
    };
    const headers = { "Idempotency-Key": unique(slug, "key") };
    const first = await vms.createVM(request, { headers });
    try {
      const second = await vms.createVM(request, { headers });
      assert.equal(second.id, first.id);
      await refused(Code.InvalidArgument,
        vms.createVM({ ...request, description: "another body" }, { headers }));
    } finally {
      await vms.deleteVM({ id: first.id });
    }
  });

  it("watches one VM", async () => {
    await withVm(context, "watched", async ({ id }) => {
      await watch((options) => vms.watchVM({ vmId: id }, options), async (stream) => {
        const present = await stream.until("the VM as it is", () => true);
        assert.equal(present.id, id);
        is(present, State.STOPPED, "as it is");
        await vms.startVM({ id });
        await stream.until("RUNNING", (vm) => vm.status.state === State.RUNNING);
        await vms.deleteVM({ id, force: true });
        const { error } = await stream.end();
        assert.equal(Code[error?.code], "NotFound", "how a watch of a deleted VM ends");
      }).catch((error) => {
        if (error.code !== Code.NotFound) throw error;
      });
    });
    await refused(Code.NotFound, (async () => {
      for await (const vm of vms.watchVM({ vmId: UNKNOWN })) return vm;
    })());
  });

  it("watches all VMs that match", async () => {
    const labels = { client: slug, test: "watch-all" };
    await withVm(context, "watch-all", async (present) => {
      await watch((options) => vms.watchVMs({ labels }, options), async (stream) => {
        const synced = await stream.until("SYNCED", (update) => update.type === Update.SYNCED);
        const before = stream.seen.filter((update) => update.type === Update.ADDED);
        assert.deepEqual(before.map((update) => update.vm.id), [present.id]);
        assert.equal(synced.vm, undefined);

        const made = await vms.createVM({
          name: unique(slug, "watch-all-late"),
          labels,
          spec: { cpu: { cores: 1 }, memory: { sizeMib: 256n } },
        });
        const of = (type) => (update) => update.type === type && update.vm.id === made.id;
        await stream.until("ADDED", of(Update.ADDED));
        await vms.startVM({ id: made.id });
        await stream.until("a MODIFIED that runs", (update) =>
          of(Update.MODIFIED)(update) && update.vm.status.state === State.RUNNING);
        await vms.deleteVM({ id: made.id, force: true });
        await stream.until("DELETED", of(Update.DELETED));
        const versions = stream.seen.filter((update) => update.vm).map((update) => update.version);
        assert.deepEqual(versions, versions.toSorted((a, b) => Number(a - b)), "versions shrink");
      });
    });
  });

  it("ends a stream at the client's deadline", async () => {
    await refused(Code.DeadlineExceeded, (async () => {
      for await (const update of vms.watchVMs({}, { timeoutMs: 500 })) void update;
      return { $typeName: "a clean end" };
    })());
  });
}
