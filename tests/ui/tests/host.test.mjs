// The host from the page: its node taken out of use and back, drained, labelled, its promises
// changed; what runs, and what happened.

import assert from "node:assert/strict";
import { isLive, suite } from "../lib/browser.mjs";
import { RUNNING, STOPPED, idsOf } from "../lib/pages.mjs";
import { Server } from "../lib/server.mjs";
import { eventually } from "../lib/wait.mjs";

const { onPage } = suite(() => Server.demo());
const HOST = "hypervisor-01";

/** The page of this host, and what the server says of it. */
async function onHost(page, server) {
  const { node: id } = await idsOf(server);
  await page.goto(`/nodes/${id}`);
  await isLive(page);
  await page.getByRole("heading", { level: 1, name: HOST }).waitFor();
  return { id, now: () => server.ask("NodeService/GetNode", { id }) };
}

onPage("a node is disabled with a reason, and enabled", async ({ page, server }) => {
  const { now } = await onHost(page, server);
  await page.getByRole("button", { name: `Disable ${HOST}` }).click();
  const form = page.getByRole("form", { name: `Disable ${HOST}` });
  await form.getByLabel("Reason").fill("its fan is loud");
  await form.getByRole("button", { name: "Disable" }).click();
  await form.waitFor({ state: "detached" });
  await page.getByText("its fan is loud").first().waitFor();
  assert.notEqual((await now()).spec.scheduling.schedulable, true);

  await page.getByRole("button", { name: `Enable ${HOST}` }).click();
  await page.getByRole("button", { name: `Disable ${HOST}` }).waitFor();
  assert.equal((await now()).spec.scheduling.schedulable, true);
});

onPage("a drain stops what runs and tells what became of each", async ({ page, server }) => {
  const before = await server.vm(RUNNING);
  assert.equal(before.status.state, "RUNNING");
  await onHost(page, server);
  await page.getByRole("button", { name: `Drain ${HOST}` }).click();
  const form = page.getByRole("form", { name: `Drain ${HOST}` });
  await form.getByLabel(/Time for each VM/).fill("5");
  await form.getByRole("checkbox", { name: /Cut the power/ }).check();
  await form.getByRole("button", { name: "Drain", exact: true }).click();
  const result = page.getByRole("status", { name: "Result of the drain" });
  await result.getByText("Drained", { exact: true }).waitFor();
  await result.getByRole("listitem").filter({ hasText: RUNNING }).getByText("stopped").waitFor();
  assert.equal((await server.vm(RUNNING)).status.state, "STOPPED");
  await result.getByRole("button", { name: "Put away" }).click();
  await result.waitFor({ state: "detached" });

  await page.getByRole("button", { name: `Enable ${HOST}` }).click();
  await page.getByRole("button", { name: `Disable ${HOST}` }).waitFor();
  await server.ask("VMService/StartVM", { id: before.id });
});

onPage("labels of a node are added and taken away", async ({ page, server }) => {
  const { now } = await onHost(page, server);
  const labels = page.getByRole("region", { name: "Labels" });
  await labels.getByLabel("New label").fill("rack=a7");
  await labels.getByRole("button", { name: "Add" }).click();
  await labels.getByText("rack=a7").waitFor();
  assert.equal((await now()).labels.rack, "a7");
  await labels.getByRole("button", { name: "Remove the label rack" }).click();
  await labels.getByText("rack=a7").waitFor({ state: "detached" });
  assert.equal((await now()).labels?.rack, undefined);
});

onPage("what a node may promise is changed, and refused beside its field", { expected: /status of 4\d\d/ }, async ({ page, server }) => {
  const { now } = await onHost(page, server);
  const section = page.getByRole("region", { name: "Scheduling" });
  await section.getByRole("button", { name: `Edit scheduling of ${HOST}` }).click();
  const ratio = section.getByLabel("vCPUs a host thread");
  await ratio.fill("100");
  await section.getByRole("button", { name: "Save" }).click();
  await section.getByRole("alert").first().waitFor();
  assert.equal(await ratio.inputValue(), "100", "what was typed stays");
  await ratio.fill("6");
  await section.getByRole("button", { name: "Save" }).click();
  await section.getByText("6 for each host thread").waitFor();
  assert.equal((await now()).spec.scheduling.overcommit.cpuRatio, 6);
});

onPage("the drawer of operations tells what was done, and closes", async ({ page, server }) => {
  const { id } = await server.vm(STOPPED);
  await page.goto("/events");
  await isLive(page);
  const button = page.getByRole("banner").getByRole("button", { name: /^Operations/ });
  await button.click();
  const drawer = page.getByRole("complementary", { name: "Operations" });
  await drawer.waitFor();
  assert.equal(await button.getAttribute("aria-expanded"), "true");
  // What ends while it is looked at comes in by itself.
  await server.ask("VMService/StartVM", { id });
  const started = drawer.getByRole("listitem").filter({ hasText: `Start ${STOPPED}` });
  await started.getByText("Done").first().waitFor();
  await started.first().getByRole("link", { name: STOPPED }).click();
  await page.getByRole("heading", { level: 1, name: STOPPED }).waitFor();
  await drawer.getByRole("link", { name: "All operations" }).click();
  await page.getByRole("heading", { level: 1, name: "Operations" }).waitFor();
  await drawer.waitFor({ state: "detached" });
  await page.getByRole("region", { name: "Ended" }).getByText(STOPPED).first().waitFor();
  await server.ask("VMService/StopVM", { id, force: true });
});

onPage("events are filtered, the filters are in the address, and new ones come in on top", async ({ page, server }) => {
  const { running, stopped } = await idsOf(server);
  await server.ask("VMService/PauseVM", { id: running });
  await server.ask("VMService/ResumeVM", { id: running });
  await server.ask("VMService/StartVM", { id: stopped });
  await page.goto("/events");
  await isLive(page);
  const events = page.getByRole("list", { name: "Events, newest first" }).getByRole("listitem");
  const only = (text) =>
    eventually(`each event tells of ${text}`, async () => {
      const lines = await events.allInnerTexts();
      return lines.length > 0 && lines.every((line) => line.includes(text));
    });

  await events.filter({ hasText: RUNNING }).first().getByRole("button", { name: `Only events of ${RUNNING}` }).click();
  await only(RUNNING);
  assert.equal(new URL(page.url()).searchParams.get("resource"), running);
  await page.reload();
  await isLive(page);
  await only(RUNNING);
  // It goes on by itself, and what does not fit stays out.
  const first = await events.first().innerText();
  await server.ask("VMService/StopVM", { id: stopped, force: true });
  await server.ask("VMService/PauseVM", { id: running });
  await eventually("a new event is on top", async () => (await events.first().innerText()) !== first);
  await only(RUNNING);
  await server.ask("VMService/ResumeVM", { id: running });

  await page.getByRole("button", { name: "Clear", exact: true }).click();
  await eventually("all are shown", async () => (await events.filter({ hasText: STOPPED }).count()) > 0);
  await page.getByLabel("Search events").fill(STOPPED);
  await page.keyboard.press("Enter");
  await only(STOPPED);
  await page.getByLabel("Search events").fill("no event says this");
  await page.keyboard.press("Enter");
  await page.getByText("No event fits").waitFor();
  await page.getByRole("button", { name: "Show all" }).click();
  await page.getByLabel("Severity").selectOption("ERROR");
  await eventually("the address names it", () => new URL(page.url()).searchParams.get("severity") === "error");
});
