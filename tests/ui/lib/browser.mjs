// Chromium as a test has it: a page that keeps what went wrong in it, and that is photographed when
// its test fails.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

export const SCREENSHOTS = new URL("../../../target/screenshots/", import.meta.url).pathname;
const EXECUTABLE = process.env.QKVM_CHROMIUM ?? "/usr/bin/chromium";
/** What a page does on a machine that does other things, too. */
const PATIENCE_MS = 20_000;

/** Nothing but the page: a browser of its own has much to tell the world. */
const QUIET = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
];

/** A desk and a telephone. */
export const WIDE = { width: 1440, height: 900 };
export const NARROW = { width: 390, height: 844 };

/** Complaints that the browser makes about a lost connection, which the page shows itself. */
const OF_THE_NETWORK = /WebSocket connection to|Failed to load resource: net::|ERR_CONNECTION/;

/** What went wrong in a page that no test asked for. */
export class Complaints {
  #said = [];

  constructor(page) {
    page.on("pageerror", (error) => this.#said.push(`thrown: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error") this.#said.push(message.text());
    });
  }

  /** All but what is expected. */
  other(expected = /^$/) {
    return this.#said.filter((line) => !expected.test(line));
  }
}

/** A browser with a profile of its own, which goes with it. */
export async function openBrowser() {
  const profile = mkdtempSync(join(tmpdir(), "qk-ui-browser-"));
  const browser = await chromium.launch({
    executablePath: EXECUTABLE,
    headless: true,
    args: QUIET,
    env: { ...process.env, HOME: profile, XDG_CONFIG_HOME: profile, XDG_CACHE_HOME: profile },
  });
  const close = async () => {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { browser, close };
}

/** A window on a server: pages of one window share its storage. */
export async function openWindow(browser, { url: baseURL, cookies = [] }, { size = WIDE, theme = "light" } = {}) {
  const window = await browser.newContext({
    viewport: size,
    colorScheme: theme,
    reducedMotion: "reduce",
    timezoneId: "UTC",
    baseURL,
    // A new host's certificate is its own.
    ignoreHTTPSErrors: true,
    hasTouch: size.width < 640,
  });
  window.setDefaultTimeout(PATIENCE_MS);
  if (cookies.length > 0) await window.addCookies(cookies);
  return window;
}

/**
 * A file of tests: one server and one browser for all of them. `start` makes the server; each test
 * gets what opens pages.
 */
export function suite(start) {
  const held = {};
  let close;
  before(async () => {
    mkdirSync(SCREENSHOTS, { recursive: true });
    held.server = await start();
    ({ browser: held.browser, close } = await openBrowser());
  }, { timeout: 120_000 });
  after(async () => {
    await close?.();
    await held.server?.end();
  });

  const newWindow = (options) => openWindow(held.browser, held.server, options);

  /** One test, with a page. A failure shows the page and the end of the server's log. */
  const onPage = (name, options, body) => {
    if (typeof options === "function") [body, options] = [options, {}];
    test(name, { timeout: options.timeout ?? 120_000 }, async (context) => {
      const window = await newWindow(options);
      const page = await window.newPage();
      const complaints = new Complaints(page);
      try {
        await body({ page, window, newWindow, server: held.server, browser: held.browser, context });
        assert.deepEqual(complaints.other(options.expected), [], "the browser's console has complaints");
      } catch (error) {
        const file = join(SCREENSHOTS, `failed-${name.replaceAll(/[^a-z0-9]+/gi, "-")}.png`);
        await page.screenshot({ path: file }).catch(() => undefined);
        context.diagnostic(`at ${page.url()}; screenshot: ${file}`);
        context.diagnostic(`the browser's console: ${complaints.other().join(" | ") || "nothing"}`);
        context.diagnostic(`the server's last lines:\n${held.server.log.split("\n").slice(-25).join("\n")}`);
        throw error;
      } finally {
        await window.close();
      }
    });
  };
  return { onPage, held };
}

/** For tests that take the connection away. */
export const EXPECT_LOSS = OF_THE_NETWORK;

/** The page has heard from the server and has drawn. */
export async function isLive(page) {
  await page.getByRole("main").waitFor();
  await page.locator("[data-connection=open]").first().waitFor({ state: "attached" });
}
