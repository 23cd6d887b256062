// Consoles of the page as a test reads and uses them.

import { eventually } from "./wait.mjs";
import { BOOT_MS } from "./host.mjs";

/** A console is connected: the guest's "screen", or the "terminal" of its serial port. */
export const opens = (page, which) => page.locator(`.q-con-body[data-open]:has([data-testid=${which}])`).waitFor({ timeout: 60_000 });

/** What the terminal shows. */
export async function shown(page) {
  const rows = await page.locator("[data-testid=terminal] .xterm-rows > div").allTextContents();
  return rows.map((row) => row.replaceAll("\u00a0", " ").trimEnd()).join("\n");
}

/** The terminal shows it; else the failure tells what it shows. */
export function shows(page, what, deadlineMs = BOOT_MS) {
  return eventually(`${what} on the serial console`, async () => {
    const text = await shown(page);
    if (!what.test(text)) throw new Error(`it shows:\n${text.trim()}`);
    return true;
  }, deadlineMs);
}

export async function type(page, text) {
  await page.locator("[data-testid=terminal] .xterm-helper-textarea").focus();
  await page.keyboard.type(text);
}

/** On the serial console that is open: from the boot to a shell. */
export async function logIn(page) {
  await shows(page, /TINY-UP[^]*login:/);
  await type(page, "root\n");
  await shows(page, /^~ # *$/m);
}

/** The guest's screen: how many of its dots are lit, and a number that tells one picture from another. */
export function picture(page) {
  return page.locator("[data-testid=screen] canvas").evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let lit = 0;
    let sum = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (data[at] + data[at + 1] + data[at + 2] < 96) continue;
      lit += 1;
      sum = (sum * 31 + at) >>> 0;
    }
    return { lit, sum };
  });
}

/** "Type text" of the screen's bar, until all of it is typed. */
export async function typeText(page, text) {
  await page.getByRole("button", { name: "Type text" }).click();
  await page.getByLabel(/^Text to type/).fill(text);
  await page.getByRole("button", { name: "Type it" }).click();
  await page.locator(".q-con-type").waitFor({ state: "detached", timeout: 60_000 });
}
