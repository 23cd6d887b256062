// P11 of the list: how soon its first row is there at ten VMs and at a thousand, what is drawn and what
// is sent. Measured here, for the tests that judge it and for the bench that prints it.

import { readFileSync, readdirSync } from "node:fs";
import { isLive, openWindow } from "./browser.mjs";
import { eventually } from "./wait.mjs";

export const FEW = 10;
export const MANY = 1000;
/** The goals. Milliseconds, nodes, bytes. */
export const firstRowLimit = (few) => few * 1.3 + 300;
export const NODES_LIMIT = 10_000;
export const FIRST_LOAD_LIMIT = 350 * 1024;
export const LIST_DATA_LIMIT = 80 * 1024;

const DIST = new URL("../../../web/dist/", import.meta.url);
const ROUNDS = 5;

const firstRow = (page) => page.getByRole("row", { name: /^vm-\d+$/ }).first();

/** Bytes of what the page's own file names, as they are sent. What the list needs beyond it is measured. */
export function firstLoadNamed() {
  const assets = new Set(readdirSync(new URL("assets/", DIST)));
  const html = readFileSync(new URL("index.html", DIST), "utf8");
  const named = [...html.matchAll(/\/assets\/([^"]+)/g)].map((match) => match[1]);
  if (named.length === 0) throw new Error("index.html names no assets");
  return named.reduce((sum, name) => sum + readFileSync(new URL(`assets/${assets.has(`${name}.br`) ? `${name}.br` : name}`, DIST)).length, 0);
}

/** Milliseconds from asking for the page to its first row, as its user waits. */
async function timeToFirstRow(browser, server) {
  const window = await openWindow(browser, server);
  try {
    const page = await window.newPage();
    const begun = performance.now();
    await page.goto("/vms", { waitUntil: "commit" });
    await firstRow(page).waitFor();
    return performance.now() - begun;
  } finally {
    await window.close();
  }
}

/** The best of each of both, in turn: what else the machine does counts for both or for neither. */
export async function firstRows(browser, small, big) {
  let few = Infinity;
  let many = Infinity;
  for (let round = 0; round < ROUNDS; round += 1) {
    few = Math.min(few, await timeToFirstRow(browser, small));
    many = Math.min(many, await timeToFirstRow(browser, big));
  }
  return { few, many };
}

/** Opens the list of so many in a new page, and answers what was drawn and, packed, sent for it. */
export async function loadOfList(page, count) {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  let listData = 0;
  let firstLoad = 0;
  session.on("Network.webSocketFrameReceived", ({ response }) => (listData += Buffer.from(response.payloadData, "base64").length));
  session.on("Network.loadingFinished", ({ encodedDataLength }) => (firstLoad += encodedDataLength));
  await page.goto("/vms");
  await isLive(page);
  const grid = page.getByRole("grid", { name: /^VMs/ });
  await eventually("all VMs", async () => (await grid.getAttribute("aria-rowcount")) === `${count + 1}`, 30_000);
  const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
  return { nodes, listData, firstLoad };
}

export const firstRowOf = firstRow;
