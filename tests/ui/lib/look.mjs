// Looking at a page as its users do: at a desk and on a telephone, with nothing that keeps people out
// and nothing that sticks out. Leaves a photograph of each.

import assert from "node:assert/strict";
import { join } from "node:path";
import { findings } from "./axe.mjs";
import { NARROW, SCREENSHOTS, WIDE } from "./browser.mjs";

/** Wider than the window, or than the frame that the page stands in: something sticks out at the side. */
const sticksOut = (page) =>
  page.evaluate(() => [document.documentElement, ...document.querySelectorAll("main, [role=dialog]")].some((box) => box.scrollWidth > box.clientWidth));

/** `shows` waits until what is to be looked at is there. */
export async function look(page, name, theme, shows = async () => undefined) {
  for (const size of [WIDE, NARROW]) {
    await page.setViewportSize(size);
    await shows();
    await page.evaluate(() => document.fonts.ready);
    await page.screenshot({ path: join(SCREENSHOTS, `${name}-${theme}-${size.width}.png`) });
    assert.deepEqual(await findings(page), [], `axe at ${size.width}`);
    assert.equal(await sticksOut(page), false, `it is wider than the window at ${size.width}`);
  }
}
