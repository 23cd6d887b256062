// What people do without a client library: curl and JSON. The seed's four lines, both spellings of
// keys, numbers as strings, unknown keys, and wrong addresses.

import assert from "node:assert/strict";
import { request } from "node:http";
import { it } from "node:test";
import { services } from "../lib/contract.mjs";
import { unique } from "../lib/names.mjs";
import { post, SERVER } from "../lib/server.mjs";

const VMS = "/Quantixkvm.compute.v1.VMService";
const NODES = "/Quantixkvm.compute.v1.NodeService";
const DEV_WORKSTATION = "11111111-1111-1111-1111-111111111111";
const PROJECT = "00000000-0000-0000-0000-000000000001";

async function ok(path, body) {
  const answer = await post(path, body);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}

it("answers the seed's four requests", async () => {
  const before = await ok(`${VMS}/GetVM`, { id: DEV_WORKSTATION });
  if (before.status.state !== "STOPPED") await ok(`${VMS}/StopVM`, { id: DEV_WORKSTATION, force: true });

  const listed = await ok(`${VMS}/ListVMs`, "{}");
  assert.ok(listed.vms.length >= 4);
  const created = await ok(`${VMS}/CreateVM`, {
    name: unique("curl", "vm"),
    projectId: PROJECT,
    spec: { cpu: { cores: 2 }, memory: { sizeMib: 4096 } },
  });
  await ok(`${VMS}/DeleteVM`, { id: created.id });
  const started = await ok(`${VMS}/StartVM`, { id: DEV_WORKSTATION });
  assert.equal(started.status.state, "RUNNING");
  await ok(`${VMS}/StopVM`, { id: DEV_WORKSTATION, force: true });
  const nodes = await ok(`${NODES}/ListNodes`, "{}");
  assert.ok(nodes.nodes.length >= 3);
});

it("reads both spellings, numbers either way, enums either way, and ignores unknown keys", async () => {
  const vm = await ok(`${VMS}/CreateVM`, {
    name: unique("json", "vm"),
    project_id: "default",
    spec: { cpu: { cores: "1" }, memory: { size_mib: "300" }, guestOs: { family: 2 } },
    somethingElse: { nested: [1, 2, 3] },
  });
  try {
    assert.equal(vm.projectId, PROJECT);
    assert.equal(vm.spec.memory.sizeMib, "300", "64-bit integers leave as strings");
    assert.equal(vm.spec.cpu.cores, 1);
    assert.equal(vm.spec.guestOs.family, "GUEST_OS_FAMILY_DEBIAN", "enums leave by name");
    assert.equal("description" in vm, false, "defaults are left out");
    assert.match(vm.createdAt, /^\d{4}-\d\d-\d\dT.*Z$/);
    const masked = await ok(`${VMS}/UpdateVM`, {
      id: vm.id, updateMask: "spec.memory.sizeMib", spec: { memory: { sizeMib: 512 } },
    });
    assert.equal(masked.spec.memory.sizeMib, "512");
    const stopped = await ok(`${VMS}/ListVMs`, { states: [2], pageSize: 1000 });
    assert.ok(stopped.vms.some(({ id }) => id === vm.id), "enums enter by number");
    const [node] = (await ok(`${NODES}/ListNodes`, {})).nodes;
    assert.equal((await ok(`${NODES}/GetNodeMetrics`, { node_id: node.id })).nodeId, node.id);
  } finally {
    await ok(`${VMS}/DeleteVM`, { id: vm.id });
  }
});

it("says what is wrong in Connect's shape, with details", async () => {
  const refusal = await post(`${VMS}/CreateVM`, { name: "" });
  assert.equal(refusal.status, 400);
  assert.equal(refusal.json.code, "invalid_argument");
  assert.ok(refusal.json.details.some((detail) => detail.type === "google.rpc.BadRequest"));
  assert.ok(refusal.headers.get("x-request-id"), "no request id to ask about");
  const missing = await post(`${VMS}/GetVM`, { id: "99999999-9999-4999-8999-999999999999" });
  assert.equal(missing.status, 404);
  assert.equal(missing.json.code, "not_found");
  const broken = await post(`${VMS}/GetVM`, "{");
  assert.equal(broken.status, 400);
  assert.equal(broken.json.code, "invalid_argument");
});

it("answers a POST to nowhere as Connect does, never with a page", async () => {
  const nowhere = [
    `${VMS}/NoSuchMethod`,
    "/Quantixkvm.compute.v1.NoSuchService/ListVMs",
    "/quantixkvm.compute.v1.VMService/ListVMs",
    "/nowhere",
    "/",
  ];
  for (const path of nowhere) {
    const answer = await post(path, {});
    assert.ok([404, 501].includes(answer.status), `${path}: ${answer.status} ${answer.text}`);
    assert.match(answer.type, /^application\/json/, `${path} is answered as ${answer.type}`);
    assert.equal(answer.json.code, "unimplemented", path);
  }
});

it("answers idempotent methods to GET, and no other", async () => {
  const query = "?connect=v1&encoding=json&message=%7B%7D";
  for (const service of services) {
    for (const method of service.methods.filter((candidate) => candidate.methodKind === "unary")) {
      const path = `/${service.typeName}/${method.name}`;
      const answer = await fetch(`${SERVER}${path}${query}`);
      const body = await answer.text();
      if (method.idempotency === 1) {
        // An empty request may be refused, but as an RPC and not as a wrong verb.
        assert.notEqual(answer.status, 405, path);
      } else {
        assert.equal(answer.status, 405, `${path}: ${body}`);
      }
    }
  }
});

it("is alive", async () => {
  for (const path of ["/healthz", "/health"]) {
    const answer = await fetch(`${SERVER}${path}`);
    assert.equal(answer.status, 200, path);
    await answer.text();
  }
});

it("answers only under its own name, and only to its own pages", async () => {
  assert.equal(await statusWith({ Host: "rebound.example" }), 421);
  const foreign = await statusWith({ Origin: "https://elsewhere.example" });
  assert.ok(foreign >= 400 && foreign < 500, `a foreign Origin got ${foreign}`);
  assert.equal(await statusWith({ Origin: new URL(SERVER).origin }), 200);
});

/** Status of a ListVMs with headers that fetch does not let one set. */
function statusWith(headers) {
  return new Promise((resolve, reject) => {
    const call = request(`${SERVER}${VMS}/ListVMs`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
    }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    });
    call.on("error", reject);
    call.end("{}");
  });
}
