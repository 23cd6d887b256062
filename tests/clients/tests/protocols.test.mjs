// Every RPC of the contract over every protocol and encoding, with the official clients; an RPC
// that a protocol's run did not get its answer from fails that run.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createClient } from "@connectrpc/connect";
import { service } from "../lib/contract.mjs";
import { Coverage } from "../lib/coverage.mjs";
import { TRANSPORTS } from "../lib/transports.mjs";
import { authScenarios } from "../scenarios/auth.mjs";
import { consoleScenarios } from "../scenarios/consoles.mjs";
import { nodeScenarios } from "../scenarios/nodes.mjs";
import { operationScenarios } from "../scenarios/operations.mjs";
import { pastScenarios } from "../scenarios/past.mjs";
import { stateScenarios } from "../scenarios/state.mjs";
import { DEV_WORKSTATION, vmScenarios } from "../scenarios/vms.mjs";

before(async () => {
  // Whoever used this demo before may have left its one stopped VM on.
  const { transport, close } = TRANSPORTS[0].open([]);
  const vms = createClient(service("VMService"), transport);
  const vm = await vms.getVM({ id: DEV_WORKSTATION });
  if (vm.allowedActions.find((action) => action.verb === "force_stop")?.allowed) {
    await vms.stopVM({ id: DEV_WORKSTATION, force: true });
  }
  close();
});

for (const { title, slug, open } of TRANSPORTS) {
  describe(title, () => {
    const coverage = new Coverage();
    const { transport, close } = open([coverage.interceptor]);
    after(close);
    const context = {
      slug,
      auth: createClient(service("AuthService"), transport),
      vms: createClient(service("VMService"), transport),
      nodes: createClient(service("NodeService"), transport),
      operations: createClient(service("OperationService"), transport),
      events: createClient(service("EventService"), transport),
      metrics: createClient(service("MetricService"), transport),
      state: createClient(service("StateService"), transport),
    };

    authScenarios(context);
    vmScenarios(context);
    consoleScenarios(context);
    nodeScenarios(context);
    operationScenarios(context);
    pastScenarios(context);
    stateScenarios(context);

    it("left no RPC out", () => {
      assert.deepEqual(coverage.missing(), []);
    });
  });
}
