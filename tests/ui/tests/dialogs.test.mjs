// What is asked before something is done, and what opens on a page: in both themes, at a desk and on a
// telephone.

import assert from "node:assert/strict";
import { WIDE, isLive, suite } from "../lib/browser.mjs";
import { look } from "../lib/look.mjs";
import { RUNNING, idsOf } from "../lib/pages.mjs";
import { Server } from "../lib/server.mjs";
import { eventually } from "../lib/wait.mjs";

const SMALL = { cpu: { cores: 1 }, memory: { sizeMib: "256" } };
const ISO = "/var/lib/libvirt/images/debian-12.iso";
const HOST = "hypervisor-01";

const { onPage } = suite(async () => {
  const server = await Server.demo();
  const disks = [{ sizeGib: 1 }];
  await server.ask("VMService/CreateVM", { name: "build-agent-1", startOnCreate: true, spec: { ...SMALL, disks } });
  await server.ask("VMService/CreateVM", { name: "build-agent-2", spec: { ...SMALL, disks } });
  await server.ask("VMService/CreateVM", { name: "reads-media", startOnCreate: true, spec: { ...SMALL, cdroms: [{ isoPath: ISO }, {}] } });
  await server.ask("VMService/CreateVM", { name: "sleeps", startOnCreate: true, spec: SMALL });
  await server.ask("VMService/SuspendVM", { id: (await server.vm("sleeps")).id });
  return server;
});

/** A test for each theme. */
function inBoth(name, body) {
  for (const theme of ["light", "dark"]) onPage(`${name}, ${theme}`, { theme, size: WIDE }, (given) => body({ ...given, theme }));
}

async function openMenu(page, name) {
  await page.getByRole("row", { name }).getByRole("button", { name: `Actions of ${name}` }).click();
  const menu = page.getByRole("menu").first();
  await menu.waitFor();
  return menu;
}

async function onVm(page, server, name, tab = "") {
  await page.goto(`/vms/${(await server.vm(name)).id}${tab}`);
  await isLive(page);
  await page.getByRole("heading", { level: 1, name }).waitFor();
}

inBoth("deleting several", async ({ page, theme }) => {
  await page.goto("/vms");
  await isLive(page);
  for (const name of ["build-agent-1", "build-agent-2", "sleeps"]) await page.getByRole("checkbox", { name: `Select ${name}` }).check();
  await page.getByRole("group", { name: "Verbs for what is selected" }).getByRole("button", { name: /^Delete/ }).click();
  const dialog = page.getByRole("dialog", { name: "Delete 3 VMs" });
  await dialog.getByText(/3 of 3 can be deleted/).waitFor();
  await eventually("each has its plan", async () => (await dialog.getByText("Goes:").count()) === 3);
  await look(page, "dialog-delete-several", theme, () => dialog.waitFor());
});

inBoth("deleting one whose memory is saved", async ({ page, server, theme }) => {
  await onVm(page, server, "sleeps");
  await page.getByRole("button", { name: "Actions of sleeps" }).click();
  await page.getByRole("menuitem", { name: /^Delete/ }).click();
  const dialog = page.getByRole("dialog", { name: "Delete sleeps" });
  await dialog.getByRole("region", { name: "Goes" }).getByText("size not known").waitFor();
  await dialog.getByText(/what saved memory takes is not known/).waitFor();
  await look(page, "dialog-delete-saved", theme, () => dialog.waitFor());
});

inBoth("cutting the power", async ({ page, theme }) => {
  await page.goto("/vms");
  await isLive(page);
  await (await openMenu(page, "build-agent-1")).getByRole("menuitem", { name: /^Power off now/ }).first().click();
  const dialog = page.getByRole("dialog", { name: "Power off now: build-agent-1" });
  await look(page, "dialog-power-off", theme, () => dialog.waitFor());
});

inBoth("putting a medium in", async ({ page, server, theme }) => {
  await onVm(page, server, "reads-media", "/devices");
  const drives = page.getByRole("region", { name: "CD-ROM drives" });
  await drives.getByRole("button", { name: /^Eject/ }).waitFor();
  await drives.scrollIntoViewIfNeeded();
  await look(page, "drives", theme, () => drives.getByText(ISO).first().waitFor());
  await drives.getByRole("button", { name: /^Change/ }).click();
  const dialog = page.getByRole("dialog");
  await look(page, "dialog-mount", theme, () => dialog.getByLabel("Path on the host").waitFor());
});

inBoth("taking a node out of use, and draining it", async ({ page, server, theme }) => {
  await page.goto(`/nodes/${(await idsOf(server)).node}`);
  await isLive(page);
  for (const word of ["Disable", "Drain"]) {
    await page.getByRole("button", { name: `${word} ${HOST}` }).click();
    const form = page.getByRole("form", { name: `${word} ${HOST}` });
    await look(page, `node-${word.toLowerCase()}`, theme, () => form.waitFor());
    await page.setViewportSize(WIDE);
    await form.getByRole("button", { name: "Close" }).click();
  }
});

inBoth("giving a VM another name", async ({ page, server, theme }) => {
  await onVm(page, server, "build-agent-2");
  await page.getByRole("button", { name: "Edit name of build-agent-2" }).click();
  const form = page.getByRole("form", { name: "Name of build-agent-2" });
  await look(page, "rename", theme, () => form.getByRole("textbox").waitFor());
});

inBoth("the past of a node, a range at a time", async ({ page, server, theme }) => {
  const { node } = await idsOf(server);
  await page.goto(`/nodes/${node}`);
  await isLive(page);
  const ranges = page.getByRole("group", { name: "Range" });
  await ranges.getByRole("button", { name: "24 h" }).click();
  assert.equal(new URL(page.url()).searchParams.get("range"), "24h");
  const asked = page.getByText(/^Averages of /);
  await look(page, "node-past", theme, () => asked.waitFor());
  await ranges.getByRole("button", { name: "Live" }).click();
  await asked.waitFor({ state: "detached" });
  assert.equal(new URL(page.url()).searchParams.get("range"), null);
});

inBoth("the facts of an event, of the host's and of one VM's", async ({ page, server, theme }) => {
  await page.goto("/events");
  await isLive(page);
  const first = page.getByRole("list", { name: "Events, newest first" }).getByRole("listitem").first();
  await first.getByRole("button", { name: /^Facts of/ }).click();
  await look(page, "event-facts", theme, () => first.getByText("id", { exact: true }).waitFor());
  await page.setViewportSize(WIDE);
  await onVm(page, server, "sleeps", "/events");
  await first.getByRole("button", { name: /^Facts of/ }).click();
  await look(page, "vm-event-facts", theme, () => first.getByText("id", { exact: true }).waitFor());
});

inBoth("the VM as the API gives it", async ({ page, server, theme }) => {
  await onVm(page, server, RUNNING, "/definition");
  const choice = page.getByRole("group", { name: "Which definition" });
  await choice.getByRole("button", { name: "JSON" }).click();
  await look(page, "vm-json", theme, async () => {
    await page.getByRole("region", { name: "JSON" }).waitFor();
    const tops = await choice.getByRole("button").evaluateAll((all) => all.map((one) => one.offsetTop));
    assert.equal(new Set(tops).size, 1, "the choice is in one line");
  });
});
