// A thousand VMs and ten thousand: how soon the first row is there, how little is sent and drawn, that
// all can be reached, and that scrolling does not stutter.

import assert from "node:assert/strict";
import { readFileSync, readdirSync, rmSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { isLive, suite } from "../lib/browser.mjs";
import { writeHost } from "../lib/many.mjs";
import { Server } from "../lib/server.mjs";
import { eventually } from "../lib/wait.mjs";

const KB = 1024;
const DIST = new URL("../../../web/dist/", import.meta.url);
const home = mkdtempSync(join(tmpdir(), "qk-ui-hosts-"));
after(() => rmSync(home, { recursive: true, force: true }));

/** A server whose libvirt has this many VMs, all of which it knows. */
async function hostOf(count) {
  const file = join(home, `${count}.xml`);
  writeHost(file, count);
  const server = await Server.on(`test://${file}`);
  await eventually(`${count} VMs`, async () => (await server.ask("VMService/ListVMs", { pageSize: 1 })).totalCount === count, 60_000);
  return server;
}

const firstRow = (page) => page.getByRole("row", { name: /^vm-\d+$/ }).first();

/** Milliseconds from asking for the page to its first row, as its user waits. */
async function timeToFirstRow(newWindow, url) {
  const window = await newWindow();
  try {
    const page = await window.newPage();
    const begun = performance.now();
    await page.goto(`${url}/vms`, { waitUntil: "commit" });
    await firstRow(page).waitFor();
    return performance.now() - begun;
  } finally {
    await window.close();
  }
}

/**
 * Scrolls by a wheel's steps for a while and answers how long each frame took, in milliseconds,
 * sorted.
 */
const framesWhileScrolling = (page, selector, millis) =>
  page.evaluate(
    ([selector, millis]) =>
      new Promise((resolve) => {
        const box = document.querySelector(selector);
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
    [selector, millis],
  );

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

test("the first load of the list is within its budget", (context) => {
  const assets = readdirSync(new URL("assets/", DIST));
  const html = readFileSync(new URL("index.html", DIST), "utf8");
  // What the page's own file names; what the list needs beyond it is held by the build's budget.
  const named = [...html.matchAll(/\/assets\/([^"]+)/g)].map((match) => match[1]);
  assert.ok(named.length > 0, "index.html names no assets");
  const bytes = named.reduce((sum, name) => sum + readFileSync(new URL(`assets/${assets.includes(`${name}.br`) ? `${name}.br` : name}`, DIST)).length, 0);
  context.diagnostic(`P11 what index.html names, compressed: ${(bytes / KB).toFixed(0)} KiB`);
  assert.ok(bytes <= 350 * KB, `${bytes} bytes`);
});

describe("a thousand", () => {
  const { onPage } = suite(() => hostOf(1000));

  onPage("a thousand VMs: first row, what is drawn, what is sent, all reachable", { timeout: 180_000 }, async ({ page, newWindow, server, context }) => {
    const small = await hostOf(10);
    // In turn, and the best of each: what else the machine does counts for both or for neither.
    let few = Infinity;
    let many = Infinity;
    try {
      for (let round = 0; round < 5; round += 1) {
        few = Math.min(few, await timeToFirstRow(newWindow, small.url));
        many = Math.min(many, await timeToFirstRow(newWindow, server.url));
      }
    } finally {
      await small.end();
    }
    context.diagnostic(`P11 first row at 10 VMs: ${few.toFixed(0)} ms; at 1,000: ${many.toFixed(0)} ms; limit ${(few * 1.3 + 300).toFixed(0)} ms`);

    // What the browser received of the live connection until all were known, packed as it was sent.
    const session = await page.context().newCDPSession(page);
    await session.send("Network.enable");
    let received = 0;
    let asked = 0;
    session.on("Network.webSocketFrameReceived", ({ response }) => (received += Buffer.from(response.payloadData, "base64").length));
    session.on("Network.loadingFinished", ({ encodedDataLength }) => (asked += encodedDataLength));
    await page.goto("/vms");
    await isLive(page);
    const grid = page.getByRole("grid", { name: /^VMs/ });
    await eventually("all VMs", async () => (await grid.getAttribute("aria-rowcount")) === "1001", 30_000);
    const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
    context.diagnostic(`P11 DOM nodes: ${nodes}; list data: ${(received / KB).toFixed(0)} KiB; everything else of the first load: ${(asked / KB).toFixed(0)} KiB`);
    assert.ok(nodes <= 10_000, `${nodes} DOM nodes`);
    assert.ok(received <= 80 * KB, `${received} bytes of list data`);
    assert.ok(asked <= 350 * KB, `${asked} bytes of first load`);

    await firstRow(page).focus();
    await page.keyboard.press("End");
    await page.locator('[role=row][aria-rowindex="1001"]').waitFor();
    await page.keyboard.press("Home");
    await page.locator('[role=row][aria-rowindex="2"]').waitFor();
    // Both are from one run, yet what else the machine does may fall on one of them: a gross miss fails.
    assert.ok(many <= 2 * (few * 1.3 + 300), `the first row came after ${many.toFixed(0)} ms`);
  });
});

describe("ten thousand", () => {
  const { onPage } = suite(() => hostOf(10_000));

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
