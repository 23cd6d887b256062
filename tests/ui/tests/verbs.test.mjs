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

onPage("every verb from the list, and the row tells what came of it", async ({ page, server }) => {
  await page.goto("/vms");
  await isLive(page);
  const row = page.getByRole("row", { name: RUNNING });
  for (const [word, state, shown] of WALK) {
    const answered = page.waitForResponse((answer) => /VMService\/(Start|Stop|Reboot|Pause|Resume|Suspend)VM$/.test(answer.url()));
    await item(await menuOf(page, RUNNING), word).click();
    const confirm = page.getByRole("dialog").getByRole("button", { name: word });
    await Promise.race([answered, confirm.waitFor().then(() => confirm.click())]);
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

onPage("a deletion names what goes, asks for the name, and takes it away", async ({ page, server }) => {
  await server.ask("VMService/CreateVM", { name: "short-lived", spec: { cpu: { cores: 1 }, memory: { sizeMib: "256" } } });
  await page.goto("/vms");
  await isLive(page);
  await item(await menuOf(page, "short-lived"), "Delete").click();
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  const remove = dialog.getByRole("button", { name: /^(Power off and )?[Dd]elete$/ });
  // The name is asked for where data would go.
  const name = dialog.getByRole("textbox");
  await eventually("what would go", async () => (await name.count()) > 0 || (await remove.getAttribute("aria-disabled")) !== "true");
  if ((await name.count()) > 0) await name.first().fill("short-lived");
  await remove.click();
  await page.getByRole("row", { name: "short-lived" }).waitFor({ state: "detached" });
  const { vms } = await server.ask("VMService/ListVMs");
  assert.ok(!vms.some((vm) => vm.name === "short-lived"));
});

onPage("a creation that fails keeps the form, and stands beside its field", { expected: /status of 4\d\d/ }, async ({ page, server }) => {
  await page.goto("/vms/new");
  const form = page.getByRole("form", { name: "New VM" });
  await form.getByLabel("Name", { exact: true }).fill(RUNNING);
  await form.getByLabel("Description").fill("what was typed stays");
  await page.getByText(/already|in use|exists|taken/i).first().waitFor();
  assert.equal(await form.getByLabel("Name", { exact: true }).inputValue(), RUNNING);
  assert.equal(await form.getByLabel("Description").inputValue(), "what was typed stays");
  const { vms } = await server.ask("VMService/ListVMs");
  assert.equal(vms.filter((vm) => vm.name === RUNNING).length, 1);
});
