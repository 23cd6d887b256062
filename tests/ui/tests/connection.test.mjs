// The page and its one connection: lost and found, many tabs, and silence when nothing happens.

import assert from "node:assert/strict";
import { EXPECT_LOSS, Complaints, isLive, suite } from "../lib/browser.mjs";
import { RUNNING, STOPPED, idsOf } from "../lib/pages.mjs";
import { Server } from "../lib/server.mjs";

const TABS = 8;
const IDLE_MS = 5_000;

const { onPage } = suite(() => Server.demo());

onPage("the connection is lost and found, and the page repairs itself", { expected: EXPECT_LOSS }, async ({ page, server }) => {
  await page.goto("/vms");
  await isLive(page);
  const row = page.getByRole("row", { name: RUNNING });
  await row.getByText("running", { exact: false }).first().waitFor();
  await page.evaluate(() => (globalThis.notReloaded = true));

  await server.kill();
  await page.getByText(/No connection for/).waitFor();
  await page.locator("[data-connection=lost]").waitFor();
  // What was known is still there, and is marked as old.
  await row.waitFor();

  await server.launch();
  // Another state than before: what the page shows then, it has heard anew.
  await server.ask("VMService/PauseVM", { id: (await server.vm(RUNNING)).id });
  await page.getByText(/No connection for/).waitFor({ state: "detached", timeout: 30_000 });
  await row.getByText("paused", { exact: false }).first().waitFor();
  assert.equal(await page.evaluate(() => globalThis.notReloaded), true, "the page was reloaded");
});

onPage(`${TABS} tabs at once over plain HTTP`, async ({ window, page, server }) => {
  const tabs = [page];
  while (tabs.length < TABS) tabs.push(await window.newPage());
  const complaints = tabs.slice(1).map((tab) => new Complaints(tab));
  const { stopped } = await idsOf(server);
  for (const tab of tabs) await tab.goto("/vms");
  for (const tab of tabs) await isLive(tab);
  // Each hears of a change, and each can still ask for one.
  await server.ask("VMService/StartVM", { id: stopped });
  for (const tab of tabs) await tab.getByRole("row", { name: STOPPED }).getByText("running", { exact: false }).first().waitFor();
  for (const tab of tabs) {
    const answered = await tab.evaluate(async (id) => {
      const answer = await fetch("/Quantixkvm.compute.v1.VMService/GetVM", {
        method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ id }),
        signal: AbortSignal.timeout(5000),
      });
      return answer.status;
    }, stopped);
    assert.equal(answered, 200);
  }
  assert.deepEqual(complaints.flatMap((one) => one.other()), []);
});

for (const address of ["/", "/vms", "/events", "/operations", "/nodes"]) {
  onPage(`a page that is looked at asks nothing: ${address}`, async ({ page }) => {
    await page.goto(address);
    await isLive(page);
    await page.waitForLoadState("networkidle");
    const asked = [];
    page.on("request", (request) => asked.push(`${request.method()} ${request.url()}`));
    page.on("websocket", (socket) => asked.push(`socket ${socket.url()}`));
    await page.waitForEvent("request", { timeout: IDLE_MS }).catch(() => null);
    assert.deepEqual(asked, []);
  });
}
