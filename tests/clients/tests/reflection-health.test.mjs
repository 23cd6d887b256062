// gRPC's own services: server reflection, tried with a tool that knows nothing of our contract but
// what the server tells it, and health.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, it } from "node:test";
import { promisify } from "node:util";
import { Code, createClient } from "@connectrpc/connect";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "../gen/grpc/health/v1/health_pb.js";
import { rpcs, services } from "../lib/contract.mjs";
import { refused } from "../lib/expect.mjs";
import { post, SERVER } from "../lib/server.mjs";
import { TRANSPORTS } from "../lib/transports.mjs";
import { watch } from "../lib/watch.mjs";

const run = promisify(execFile);
const ARCHITECTURE = { x64: "x64", arm64: "aarch64" }[process.arch];
// buf's package for this processor, and not the one over them all: that one also wants those for
// systems on which KVM does not exist.
const BUF = new URL(
  `../node_modules/@bufbuild/buf-linux-${ARCHITECTURE}/bin/buf`,
  import.meta.url,
).pathname;

it("tells a stranger every service and method by reflection", async () => {
  const { stdout } = await run(BUF, ["curl", "--http2-prior-knowledge", "--list-methods", SERVER]);
  const told = stdout.split("\n").map((line) => line.trim());
  assert.deepEqual(rpcs.filter((rpc) => !told.includes(rpc)), []);
});

for (const protocol of ["connect", "grpc", "grpcweb"]) {
  it(`answers a stranger over ${protocol}`, async () => {
    const url = `${SERVER}/Quantixkvm.compute.v1.VMService/ListVMs`;
    const arguments_ = ["curl", "--http2-prior-knowledge", "--protocol", protocol, "-d", "{}", url];
    const { stdout } = await run(BUF, arguments_);
    assert.ok(JSON.parse(stdout).vms.length >= 4);
  });
}

for (const { title, open } of TRANSPORTS) {
  it(`tells its health over ${title}`, async () => {
    const { transport, close } = open([]);
    after(close);
    const health = createClient(Health, transport);
    for (const service of ["", ...services.map((candidate) => candidate.typeName)]) {
      const { status } = await health.check({ service });
      assert.equal(Serving[status], "SERVING", service || "the server");
    }
    await refused(Code.NotFound, health.check({ service: "no.such.Service" }));
    await watch((options) => health.watch({ service: "" }, options), async (stream) => {
      const { status } = await stream.until("the present status", () => true);
      assert.equal(Serving[status], "SERVING");
    });
  });
}

it("tells its health to curl", async () => {
  const answer = await post("/grpc.health.v1.Health/Check", {});
  assert.equal(answer.json?.status, "SERVING", answer.text);
});
