// A medium put into a running guest's drive and taken out of it, from the page.

import assert from "node:assert/strict";
import { findings } from "../lib/axe.mjs";
import { isLive, suite } from "../lib/browser.mjs";
import { logIn, opens, shows, type } from "../lib/console.mjs";
import { Host, startGuest } from "../lib/host.mjs";
import { look } from "../lib/look.mjs";

const { onPage } = suite(() => Host.serve());

/** A CD's sector. */
const SECTOR = 2048;

onPage("an ISO file is mounted, is read by the guest, and is ejected", { timeout: 280_000, expected: /status of 4\d\d/ }, async ({ page, window, server }) => {
  const { id } = await startGuest(server, "media-1", { cdroms: [{}] });
  const iso = server.host.file("words.iso", Buffer.alloc(512 * SECTOR, "carried in\n"));
  const serial = await window.newPage();
  await serial.goto(`/vms/${id}/console/serial`);
  await opens(serial, "terminal");
  await logIn(serial);

  await page.bringToFront();
  await page.goto(`/vms/${id}/devices`);
  await isLive(page);
  const drives = page.getByRole("region", { name: "CD-ROM drives" });
  await drives.getByText("empty").waitFor();
  await drives.getByRole("button", { name: /^Mount ISO/ }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Path on the host").fill(iso);
  assert.deepEqual(await findings(page), [], "axe, the dialog");
  await dialog.getByRole("button", { name: "Mount", exact: true }).click();
  await dialog.waitFor({ state: "detached", timeout: 60_000 });
  await drives.getByText(iso).first().waitFor();
  await type(serial, "until head -c 10 /dev/sr0 | grep carried; do sleep 1; done 2>/dev/null\n");
  await shows(serial, /^carried in$/m);

  // While the guest has the drive open it holds the tray.
  await type(serial, "exec 3</dev/sr0; echo held-$((40+2))\n");
  await shows(serial, /^held-42$/m);
  await drives.getByRole("button", { name: /^Eject/ }).click();
  const force = page.getByRole("button", { name: "Eject although the guest holds it" });
  await force.waitFor({ timeout: 60_000 });
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    await look(page, "eject-held", theme, () => force.waitFor());
  }
  await force.click();
  await drives.getByText("empty").waitFor({ timeout: 60_000 });
  await type(serial, "exec 3<&-\n");
  await type(serial, "while head -c 10 /dev/sr0 | grep -q carried; do sleep 1; done 2>/dev/null; echo out-$((40+2))\n");
  await shows(serial, /^out-42$/m);
});
