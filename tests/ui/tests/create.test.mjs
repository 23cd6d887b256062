// A new VM, from the page: made, refused as it is typed, failed when it was sent, left.

import assert from "node:assert/strict";
import { isLive, suite } from "../lib/browser.mjs";
import { RUNNING } from "../lib/pages.mjs";
import { Server } from "../lib/server.mjs";
import { eventually } from "../lib/wait.mjs";

const { onPage } = suite(() => Server.demo());
const REFUSED = { expected: /status of 4\d\d/ };

/** The form of a VM with an empty disk, by this name. */
async function formOf(page, name) {
  await page.goto("/vms/new");
  await isLive(page);
  const form = page.getByRole("form", { name: "New VM" });
  await form.getByRole("radio", { name: /Nothing yet/ }).check();
  await form.getByLabel("Name", { exact: true }).fill(name);
  return form;
}

const createIn = (form) => form.getByRole("button", { name: /^Create/ });

/** The plan is known, and nothing stands in the way. */
const isFree = (form) =>
  eventually("nothing stands in the way", async () =>
    (await form.getByText("Nothing stands in the way").isVisible()) && (await createIn(form).getAttribute("aria-disabled")) !== "true");

onPage("a VM is made as the form says, and its page is gone to", async ({ page, server }) => {
  const form = await formOf(page, "made-here");
  await form.getByLabel("Description").fill("made by a test");
  await form.getByLabel("Labels").fill("env=test");
  await form.getByLabel("vCPUs").fill("1");
  await form.getByLabel("Memory", { exact: true }).fill("512");
  await form.getByLabel("Unit of memory").selectOption("MiB");
  await form.getByLabel("Memory", { exact: true }).fill("512");
  await form.getByLabel("Start it", { exact: true }).check();
  await isFree(form);
  await createIn(form).click();
  await page.getByRole("heading", { level: 1, name: "made-here" }).waitFor();
  const made = await server.vm("made-here");
  assert.equal(made.description, "made by a test");
  assert.deepEqual(made.labels, { env: "test" });
  assert.equal(made.spec.cpu.cores, 1);
  assert.equal(made.spec.memory.sizeMib, "512");
  assert.equal(made.spec.disks.length, 1, "it has the disk that was proposed");
  assert.equal(made.status.state, "RUNNING");
  assert.ok(page.url().includes(made.id));
});

onPage("what is refused as it is typed stands beside its field", REFUSED, async ({ page, server }) => {
  const form = await formOf(page, RUNNING);
  await form.getByLabel("Description").fill("what was typed stays");
  const name = form.getByLabel("Name", { exact: true });
  await eventually("the name is marked", async () => (await name.getAttribute("aria-invalid")) === "true");
  await form.getByRole("alert").filter({ hasText: RUNNING }).first().waitFor();
  assert.equal(await createIn(form).getAttribute("aria-disabled"), "true");
  assert.equal(await name.inputValue(), RUNNING);
  assert.equal(await form.getByLabel("Description").inputValue(), "what was typed stays");
  const { vms } = await server.ask("VMService/ListVMs");
  assert.equal(vms.filter((vm) => vm.name === RUNNING).length, 1);

  await name.fill("another");
  await isFree(form);
});

onPage("a creation that fails keeps the form, and can be asked for again", REFUSED, async ({ page, server }) => {
  const form = await formOf(page, "taken-meanwhile");
  await form.getByLabel("Description").fill("what was typed stays");
  await isFree(form);
  // Another takes the name after the form was looked at.
  await server.ask("VMService/CreateVM", { name: "taken-meanwhile", spec: { cpu: { cores: 1 }, memory: { sizeMib: "256" } } });
  await createIn(form).click();
  await form.getByText(/^It was not created/).waitFor();
  const name = form.getByLabel("Name", { exact: true });
  assert.equal(await name.inputValue(), "taken-meanwhile");
  assert.equal(await form.getByLabel("Description").inputValue(), "what was typed stays");
  assert.equal(await name.getAttribute("aria-invalid"), "true");

  await name.fill("free-name");
  await isFree(form);
  await createIn(form).click();
  await page.getByRole("heading", { level: 1, name: "free-name" }).waitFor();
  assert.equal((await server.vm("free-name")).description, "what was typed stays");
});

onPage("a form that was filled in is not left by mistake", async ({ page }) => {
  const form = await formOf(page, "half-done");
  const away = page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: /^Events/ });
  await away.click();
  const asks = page.getByRole("dialog", { name: "Leave this page" });
  await asks.getByRole("button", { name: "Stay" }).click();
  assert.equal(await form.getByLabel("Name", { exact: true }).inputValue(), "half-done");
  await away.click();
  await asks.getByRole("button", { name: "Leave" }).click();
  await page.getByRole("heading", { level: 1, name: "Events" }).waitFor();
});
