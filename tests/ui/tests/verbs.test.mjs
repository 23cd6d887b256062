// What can be done to a VM, done from the page: every verb, what is refused and why, what fails and
// what is kept of it then, and what is gone for good.

import assert from "node:assert/strict";
import { isLive, suite } from "../lib/browser.mjs";
import { RUNNING, STOPPED } from "../lib/pages.mjs";
import { Server } from "../lib/server.mjs";
import { eventually } from "../lib/wait.mjs";

const { onPage } = suite(() => Server.demo());

/** The row's menu, open. */
async function menuOf(page, name) {
  const row = page.getByRole("row", { name });
  await row.getByRole("button", { name: `Actions of ${name}` }).click();
  const menu = page.getByRole("menu").first();
  await menu.waitFor();
  return menu;
}

const item = (menu, word) => menu.getByRole("menuitem", { name: new RegExp(`^${word}`) }).first();

const reaches = (server, name, state) =>
  eventually(`${name} is ${state}`, async () => (await server.vm(name)).status.state === state);

/** A VM of no account. */
const SMALL = { cpu: { cores: 1 }, memory: { sizeMib: "256" } };

/** Each verb with the state that it leads to, in an order in which each is allowed. */
const WALK = [
  ["Pause", "PAUSED", "paused"],
  ["Resume", "RUNNING", "running"],
  ["Reboot", "RUNNING", "running"],
  ["Reset", "RUNNING", "running"],
  ["Suspend", "SUSPENDED", "suspended"],
  ["Start", "RUNNING", "running"],
  ["Stop", "STOPPED", "stopped"],
  ["Start", "RUNNING", "running"],
  ["Power off now", "STOPPED", "stopped"],
];

/** Those by which a guest loses what it has not written. */
const LOSES = new Set(["Reset", "Power off now"]);

/** The dialog before a loss: it does nothing until the name is typed. */
async function confirmIn(page, typed, word) {
  const dialog = page.getByRole("dialog", { name: `${word}: ${typed}` });
  const button = dialog.getByRole("button", { name: word });
  const name = dialog.getByRole("textbox");
  await button.waitFor();
  assert.equal(await button.getAttribute("aria-disabled"), "true", "nothing is typed yet");
  await name.fill(`${typed}x`);
  assert.equal(await button.getAttribute("aria-disabled"), "true", "another name is typed");
  await name.fill(typed);
  await button.click();
  await dialog.waitFor({ state: "detached" });
}

onPage("every verb from the list, and the row tells what came of it", async ({ page, server }) => {
  await page.goto("/vms");
  await isLive(page);
  const row = page.getByRole("row", { name: RUNNING });
  for (const [word, state, shown] of WALK) {
    const answered = page.waitForResponse((answer) => /VMService\/(Start|Stop|Reboot|Pause|Resume|Suspend)VM$/.test(answer.url()));
    await item(await menuOf(page, RUNNING), word).click();
    if (LOSES.has(word)) await confirmIn(page, RUNNING, word);
    assert.equal((await answered).status(), 200, word);
    await reaches(server, RUNNING, state);
    await row.getByText(shown, { exact: false }).first().waitFor();
  }
});

onPage("a verb that is not allowed says why, and asks nothing", async ({ page, server }) => {
  await page.goto("/vms");
  await isLive(page);
  const { reason } = (await server.vm(STOPPED)).allowedActions.find(({ verb }) => verb === "pause");
  assert.ok(reason, "the server gives a reason");
  const pause = item(await menuOf(page, STOPPED), "Pause");
  assert.equal(await pause.getAttribute("aria-disabled"), "true");
  await page.getByRole("menu").first().getByText(reason).first().waitFor();
});

onPage("a verb that is refused tells the server's sentence", { expected: /status of 4\d\d/ }, async ({ page, server }) => {
  // Whether a node takes VMs is looked at when one is started, not in each VM's list of verbs.
  const { nodes } = await server.ask("NodeService/ListNodes");
  const { id } = nodes.find((node) => node.hostname === "hypervisor-01");
  await server.ask("NodeService/DisableNode", { id, reason: "a test looks at it" });
  try {
    await page.goto("/vms");
    await isLive(page);
    const refused = page.waitForResponse((answer) => answer.url().endsWith("VMService/StartVM"));
    await item(await menuOf(page, STOPPED), "Start").click();
    const { code, message } = await (await refused).json();
    assert.equal(code, "failed_precondition");
    await page.getByText(message).first().waitFor();
    assert.equal((await server.vm(STOPPED)).status.state, "STOPPED");
  } finally {
    await server.ask("NodeService/EnableNode", { id });
  }
});

onPage("what loses data can be left alone", async ({ page, server }) => {
  await server.ask("VMService/CreateVM", { name: "spared", startOnCreate: true, spec: SMALL });
  await page.goto("/vms");
  await isLive(page);
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await item(await menuOf(page, "spared"), "Reset").click();
  await page.getByRole("dialog", { name: "Reset: spared" }).getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.deepEqual(asked.filter((url) => url.includes("VMService/")), [], "it was asked for");
  assert.equal((await server.vm("spared")).status.state, "RUNNING");
});

const names = async (server) => (await server.ask("VMService/ListVMs", { pageSize: 1000 })).vms.map((vm) => vm.name);

onPage("a deletion names what goes, asks for the name of what runs, and takes it away", async ({ page, server }) => {
  await server.ask("VMService/CreateVM", { name: "short-lived", startOnCreate: true, spec: SMALL });
  await page.goto("/vms");
  await isLive(page);
  await item(await menuOf(page, "short-lived"), "Delete").click();
  const dialog = page.getByRole("dialog", { name: "Delete short-lived" });
  await dialog.getByRole("region", { name: "Goes" }).getByText("definition").first().waitFor();
  const remove = dialog.getByRole("button", { name: "Power off and delete" });
  assert.equal(await remove.getAttribute("aria-disabled"), "true", "its name is not typed yet");
  await dialog.getByRole("textbox").fill("short-lived");
  await remove.click();
  await page.getByRole("row", { name: "short-lived" }).waitFor({ state: "detached" });
  await dialog.waitFor({ state: "detached" });
  assert.ok(!(await names(server)).includes("short-lived"));
});

onPage("several are deleted at once, each with what goes", async ({ page, server }) => {
  for (const name of ["bulk-1", "bulk-2"]) await server.ask("VMService/CreateVM", { name, startOnCreate: name === "bulk-1", spec: SMALL });
  await page.goto("/vms");
  await isLive(page);
  for (const name of ["bulk-1", "bulk-2"]) await page.getByRole("checkbox", { name: `Select ${name}` }).check();
  await page.getByRole("group", { name: "Verbs for what is selected" }).getByRole("button", { name: /^Delete/ }).click();
  const dialog = page.getByRole("dialog", { name: "Delete 2 VMs" });
  const rows = dialog.getByRole("list", { name: "What goes with each" }).getByRole("listitem");
  await rows.filter({ hasText: "bulk-1" }).getByText("Its power is cut first").waitFor();
  assert.equal(await rows.count(), 2);
  // One of them runs.
  await dialog.getByRole("textbox").fill("2 VMs");
  await dialog.getByRole("button", { name: "Delete 2 VMs" }).click();
  await dialog.getByText("2 deleted.").waitFor();
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await page.getByRole("row", { name: "bulk-1" }).waitFor({ state: "detached" });
  assert.deepEqual((await names(server)).filter((name) => name.startsWith("bulk-")), []);
});

onPage("a verb from the palette, by keyboard alone", async ({ page, server }) => {
  await page.goto("/events");
  await isLive(page);
  await page.keyboard.press("Control+k");
  const palette = page.getByRole("dialog", { name: "Search or run" });
  await palette.waitFor();
  await page.keyboard.type(`start ${STOPPED}`);
  await palette.getByRole("option", { name: new RegExp(`^Start ${STOPPED}`), selected: true }).waitFor();
  await page.keyboard.press("Enter");
  await palette.waitFor({ state: "detached" });
  await reaches(server, STOPPED, "RUNNING");

  // Of what runs, it asks for the name before it cuts the power.
  await page.keyboard.press("Control+k");
  await page.keyboard.type(`power off now ${STOPPED}`);
  await palette.getByRole("option", { name: new RegExp(`^Power off now ${STOPPED}`), selected: true }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: `Power off now: ${STOPPED}` }).waitFor();
  await page.keyboard.type(STOPPED);
  await page.keyboard.press("Enter");
  await reaches(server, STOPPED, "STOPPED");

  // To a VM by a part of its name.
  await page.keyboard.press("Control+k");
  await page.keyboard.type("workst");
  await palette.getByRole("option", { name: STOPPED, selected: true }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: STOPPED }).waitFor();
});

onPage("the list by keyboard: move, select, search, open", async ({ page }) => {
  await page.goto("/vms");
  await isLive(page);
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-rowindex"));
  const at = (index) => eventually(`the focus is in row ${index}`, async () => (await focused()) === `${index}`);
  await page.getByRole("row", { name: RUNNING }).waitFor();
  await page.keyboard.press("j");
  await at(2);
  await page.keyboard.press("j");
  await at(3);
  await page.keyboard.press("k");
  await at(2);
  await page.keyboard.press("End");
  const last = Number(await page.getByRole("grid").getAttribute("aria-rowcount"));
  await at(last);
  await page.keyboard.press("Home");
  await at(2);
  await page.keyboard.press("x");
  await page.getByRole("group", { name: "Verbs for what is selected" }).getByText("1 VM", { exact: true }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("group", { name: "Verbs for what is selected" }).waitFor({ state: "detached" });
  await page.keyboard.press("/");
  await page.keyboard.type(STOPPED);
  await page.getByRole("row", { name: RUNNING }).waitFor({ state: "detached" });
  await page.keyboard.press("Enter");
  await at(2);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: STOPPED }).waitFor();
  await page.keyboard.press("g");
  await page.keyboard.press("e");
  await page.getByRole("heading", { level: 1, name: "Events" }).waitFor();
});
