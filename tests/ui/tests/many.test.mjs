// A thousand VMs and ten thousand: how soon the first row is there, how little is sent and drawn, that
// all can be reached, and that scrolling does not stutter.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { isLive, suite } from "../lib/browser.mjs";
import { hostOf } from "../lib/many.mjs";
import { FEW, FIRST_LOAD_LIMIT, LIST_DATA_LIMIT, MANY, NODES_LIMIT, firstLoadNamed, firstRowLimit, firstRowOf, firstRows, loadOfList } from "../lib/p11.mjs";
import { eventually } from "../lib/wait.mjs";

const KIB = 1024;
const home = mkdtempSync(join(tmpdir(), "qk-ui-hosts-"));
after(() => rmSync(home, { recursive: true, force: true }));

/**
 * Scrolls by a wheel's steps for a while and answers how long each frame took, in milliseconds,
 * sorted.
 */
const framesWhileScrolling = (page, selector, millis, inside = "body") =>
  page.evaluate(
    ([selector, millis, inside]) =>
      new Promise((resolve) => {
        const box = document.querySelector(`${inside} ${selector}`);
        const frames = [];
        const begun = performance.now();
        let last = begun;
        let step = 240;
        const frame = (now) => {
          frames.push(now - last);
          last = now;
          const before = box.scrollTop;
          box.scrollTop += step;
          if (box.scrollTop === before) step = -step;
          if (now - begun < millis) requestAnimationFrame(frame);
          else resolve(frames.slice(1).sort((a, b) => a - b));
        };
        requestAnimationFrame(frame);
      }),
    [selector, millis, inside],
  );

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

test("the first load of the list is within its budget", (context) => {
  const bytes = firstLoadNamed();
  context.diagnostic(`P11 what index.html names, compressed: ${(bytes / KIB).toFixed(0)} KiB`);
  assert.ok(bytes <= FIRST_LOAD_LIMIT, `${bytes} bytes`);
});

describe("a thousand", () => {
  const { onPage } = suite(() => hostOf(MANY, home));

  onPage("a thousand VMs: first row, what is drawn, what is sent, all reachable", { timeout: 180_000 }, async ({ page, browser, server, context }) => {
    const small = await hostOf(FEW, home);
    const { few, many } = await firstRows(browser, small, server).finally(() => small.end());
    const limit = firstRowLimit(few);
    context.diagnostic(`P11 first row at ${FEW} VMs: ${few.toFixed(0)} ms; at ${MANY}: ${many.toFixed(0)} ms; limit ${limit.toFixed(0)} ms`);
    const { nodes, listData, firstLoad } = await loadOfList(page, MANY);
    context.diagnostic(`P11 DOM nodes: ${nodes}; list data: ${(listData / KIB).toFixed(0)} KiB; everything else of the first load: ${(firstLoad / KIB).toFixed(0)} KiB`);
    assert.ok(nodes <= NODES_LIMIT, `${nodes} DOM nodes`);
    assert.ok(listData <= LIST_DATA_LIMIT, `${listData} bytes of list data`);
    assert.ok(firstLoad <= FIRST_LOAD_LIMIT, `${firstLoad} bytes of first load`);

    await firstRowOf(page).focus();
    await page.keyboard.press("End");
    await page.locator('[role=row][aria-rowindex="1001"]').waitFor();
    await page.keyboard.press("Home");
    await page.locator('[role=row][aria-rowindex="2"]').waitFor();
    // Both are from one run, yet what else the machine does may fall on one of them: a gross miss fails.
    assert.ok(many <= 2 * limit, `the first row came after ${many.toFixed(0)} ms`);
  });
});

describe("two thousand", () => {
  const { onPage } = suite(() => hostOf(2000, home));

  onPage("two thousand are deleted at once, and only what is in view is drawn", { timeout: 300_000 }, async ({ page, server, context }) => {
    await page.goto("/vms");
    await isLive(page);
    const grid = page.getByRole("grid", { name: /^VMs/ });
    await eventually("all VMs", async () => (await grid.getAttribute("aria-rowcount")) === "2001", 60_000);
    await grid.getByRole("checkbox", { name: "Select all" }).check();
    await page.getByRole("group", { name: "Verbs for what is selected" }).getByRole("button", { name: /^Delete/ }).click();
    const dialog = page.getByRole("dialog", { name: "Delete 2000 VMs" });
    const rows = dialog.getByRole("list", { name: "What goes with each" }).getByRole("listitem");
    await rows.first().getByText(/Goes:/).waitFor();
    const drawn = () => page.evaluate(() => document.querySelectorAll("*").length);
    assert.ok((await drawn()) <= 5000, `${await drawn()} DOM nodes`);
    assert.ok((await rows.count()) < 60, `${await rows.count()} rows are drawn`);
    // The last is reached at once, while the others are still asked for.
    const box = dialog.locator(".q-list-scroll");
    await box.evaluate((one) => one.scrollTo(0, one.scrollHeight));
    await dialog.locator('[role=listitem][aria-posinset="2000"]').waitFor();
    const remove = dialog.getByRole("button", { name: "Delete 2000 VMs" });
    await dialog.getByRole("textbox").fill("2000 VMs");
    await eventually("all plans are known", async () => (await remove.getAttribute("aria-disabled")) !== "true", 120_000);
    await remove.click();
    const frames = await framesWhileScrolling(page, ".q-list-scroll", 3000, "[role=dialog]");
    context.diagnostic(`frames while scrolling 2,000 results as they come in: median ${at(frames, 0.5).toFixed(0)}, p99 ${at(frames, 0.99).toFixed(0)}, longest ${at(frames, 1).toFixed(0)} ms`);
    assert.ok(at(frames, 0.5) <= 100, "the list is not quick");
    await dialog.getByText("2000 deleted.").waitFor({ timeout: 200_000 });
    assert.ok((await drawn()) <= 5000, `${await drawn()} DOM nodes`);
    assert.equal((await server.ask("VMService/ListVMs", { pageSize: 1 })).totalCount ?? 0, 0);
  });
});

describe("ten thousand", () => {
  const { onPage } = suite(() => hostOf(10_000, home));

  onPage("scrolling ten thousand VMs keeps its frames", { timeout: 240_000 }, async ({ page, context }) => {
    await page.goto("/vms");
    await isLive(page);
    const grid = page.getByRole("grid", { name: /^VMs/ });
    await eventually("all VMs", async () => (await grid.getAttribute("aria-rowcount")) === "10001", 60_000);
    // What this machine can do now: the same scroll of an empty box.
    await page.evaluate(() => {
      const box = document.createElement("div");
      box.id = "blank";
      box.style.cssText = "position:fixed;inset:0;overflow:auto;z-index:-1;opacity:0";
      box.innerHTML = '<div style="height:380000px"></div>';
      document.body.append(box);
    });
    let told = "";
    let gross = true;
    // A machine that does something else for a moment is not the page's fault: the best of three counts.
    for (let round = 0; round < 3; round += 1) {
      const blank = await framesWhileScrolling(page, "#blank", 2000);
      const list = await framesWhileScrolling(page, ".q-table-scroll", 3000);
      const limit = Math.max(50, at(blank, 1) * 1.5);
      told = `frames while scrolling 10,000 VMs: median ${at(list, 0.5).toFixed(0)}, p99 ${at(list, 0.99).toFixed(0)}, longest ${at(list, 1).toFixed(0)} ms; of an empty box: median ${at(blank, 0.5).toFixed(0)}, longest ${at(blank, 1).toFixed(0)} ms`;
      context.diagnostic(told);
      if (at(list, 1) <= limit) return;
      if (at(list, 1) <= 2 * limit) gross = false;
    }
    if (gross) assert.fail(told);
    context.diagnostic("the goal was missed, not by much");
  });
});
