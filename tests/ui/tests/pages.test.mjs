// Every route: it is drawn, in both themes, at a desk and on a telephone; nothing that the policy of
// the page forbids, nothing that keeps people out. Leaves a photograph of each.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { findings } from "../lib/axe.mjs";
import { SCREENSHOTS, WIDE, isLive, suite } from "../lib/browser.mjs";
import { look } from "../lib/look.mjs";
import { NO_CONSOLES, PAGES, RUNNING, idsOf, routedModules } from "../lib/pages.mjs";
import { Server } from "../lib/server.mjs";

const FAILED = /This part of the page failed|This page could not be drawn/;

test("every route has a test", () => {
  const tested = new Set(PAGES.map((page) => page.module));
  assert.deepEqual(routedModules().filter((module) => !tested.has(module)), []);
});

const { onPage } = suite(async () => {
  const server = await Server.demo();
  // A past for the pages that tell of it.
  const { id } = await server.vm(RUNNING);
  await server.ask("VMService/PauseVM", { id });
  await server.ask("VMService/ResumeVM", { id });
  return server;
});

for (const one of PAGES) {
  for (const theme of ["light", "dark"]) {
    onPage(`${one.module}, ${theme}`, { theme, size: WIDE, expected: NO_CONSOLES }, async ({ page, server }) => {
      const address = one.address(await idsOf(server));
      await page.goto(address);
      if (!one.module.startsWith("console/")) await isLive(page);
      await one.shows(page).waitFor();
      assert.doesNotMatch(await page.locator("body").innerText(), FAILED);
      await look(page, one.name, theme, () => one.shows(page).waitFor());
    });
  }
}

for (const theme of ["light", "dark"]) {
  onPage(`the drawer of operations and the palette, ${theme}`, { theme }, async ({ page }) => {
    await page.goto("/vms");
    await isLive(page);
    await page.getByRole("banner").getByRole("button", { name: /operations|running/i }).click();
    await page.getByRole("complementary", { name: "Operations" }).waitFor();
    await page.screenshot({ path: join(SCREENSHOTS, `drawer-${theme}-1440.png`) });
    assert.deepEqual(await findings(page), [], "axe");
    await page.keyboard.press("Control+k");
    await page.getByRole("dialog").waitFor();
    await page.screenshot({ path: join(SCREENSHOTS, `palette-${theme}-1440.png`) });
    assert.deepEqual(await findings(page), [], "axe");
  });
}
