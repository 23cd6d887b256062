// Measures P11 with the program that QKVM_PROGRAM names and prints the figures, as JSON in one line:
// tests/bench reads them.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBrowser, openWindow } from "./lib/browser.mjs";
import { hostOf } from "./lib/many.mjs";
import { FEW, FIRST_LOAD_LIMIT, LIST_DATA_LIMIT, MANY, NODES_LIMIT, firstRowLimit, firstRows, loadOfList } from "./lib/p11.mjs";

const home = mkdtempSync(join(tmpdir(), "qk-ui-hosts-"));
const ends = [() => rmSync(home, { recursive: true, force: true })];
try {
  const small = await hostOf(FEW, home);
  ends.unshift(() => small.end());
  const big = await hostOf(MANY, home);
  ends.unshift(() => big.end());
  const { browser, close } = await openBrowser();
  ends.unshift(close);
  const { few, many } = await firstRows(browser, small, big);
  const window = await openWindow(browser, big);
  const { nodes, listData, firstLoad } = await loadOfList(await window.newPage(), MANY);
  console.log(
    JSON.stringify({
      few, many, firstRowLimit: firstRowLimit(few),
      nodes, nodesLimit: NODES_LIMIT, firstLoad, firstLoadLimit: FIRST_LOAD_LIMIT, listData, listDataLimit: LIST_DATA_LIMIT,
    }),
  );
} finally {
  for (const end of ends) await end();
}
