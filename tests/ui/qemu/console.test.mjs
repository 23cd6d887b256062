// From the page to a guest's consoles and back, on real guests: without a command line anywhere.

import assert from "node:assert/strict";
import { join } from "node:path";
import { findings } from "../lib/axe.mjs";
import { SCREENSHOTS, WIDE, isLive, suite } from "../lib/browser.mjs";
import { logIn, opens, picture, shows, type, typeText } from "../lib/console.mjs";
import { BOOT_MS, Host, IMAGE, startGuest } from "../lib/host.mjs";
import { look } from "../lib/look.mjs";
import { eventually } from "../lib/wait.mjs";

const { onPage } = suite(() => Host.serve());

/** A boot and some work in the guest, on a machine that does other things, too. */
const LONG = { timeout: 280_000 };
/** Every kind of key that a US keyboard has, and quotes that keep the shell out of them. */
const SYMBOLS = "~!@#$%^&*()_+{}|:<>?`-=[]\\;\",./ ABCxyz 0189";

onPage("from the open page to the console of a guest that is made there", LONG, async ({ page, window, server }) => {
  await page.goto("/vms/new");
  await isLive(page);
  const form = page.getByRole("form", { name: "New VM" });
  await form.getByLabel("Image", { exact: true }).fill(IMAGE);
  await form.getByLabel("Its format").first().selectOption({ label: "qcow2" });
  await form.getByLabel("Name", { exact: true }).fill("web-1");
  await form.getByLabel("vCPUs").fill("1");
  await form.getByLabel("Unit of memory").selectOption("MiB");
  await form.getByLabel("Memory", { exact: true }).fill("256");
  await form.getByLabel("Firmware").selectOption({ label: "BIOS" });
  await form.getByLabel("Size in GiB").fill("1");
  await page.getByText("Nothing stands in the way").waitFor();
  assert.deepEqual(await findings(page), [], "axe, the form");
  await form.getByRole("button", { name: "Create and start" }).click();

  await page.getByRole("heading", { level: 1, name: "web-1" }).waitFor({ timeout: 60_000 });
  await page.waitForURL(/\/vms\/[0-9a-f-]{36}\/console/);
  await opens(page, "screen");
  await eventually("something on the guest's screen", async () => (await picture(page)).lit > 200, BOOT_MS);

  // What the screen shows is pixels; what they mean is read at the other console.
  const { id } = await server.vm("web-1");
  const serial = await window.newPage();
  await serial.goto(`/vms/${id}/console/serial`);
  await opens(serial, "terminal");
  await logIn(serial);
  await eventually("the login on the guest's screen", async () => (await picture(page)).lit > 400, BOOT_MS);
  await page.bringToFront();
  await page.screenshot({ path: join(SCREENSHOTS, "readme-console.png") });
  assert.deepEqual(await findings(page), [], "axe, the screen");

  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    await page.getByRole("button", { name: "Keys", exact: true }).click();
    await look(page, "console-keys", theme, () => page.getByRole("menuitem", { name: "Ctrl-Alt-F1", exact: true }).waitFor());
    await page.keyboard.press("Escape");
    await page.getByRole("menu").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Type text" }).click();
    const text = page.getByLabel(/^Text to type/);
    await text.fill("apt-get update && apt-get install -y curl\n");
    await look(page, "console-type", theme, () => text.waitFor());
    await page.locator(".q-con-type").getByRole("button", { name: "Close" }).click();
    await page.setViewportSize(WIDE);
  }

  const before = await picture(page);
  await typeText(page, "root\n");
  await shows(serial, /root login on 'tty1'/);
  await typeText(page, `cat > /tmp/typed << 'E'\n${SYMBOLS}'\nE\n`);
  await type(serial, "until [ -s /tmp/typed ]; do sleep 1; done; sed 's/^/got /' /tmp/typed\n");
  await shows(serial, /^got .*0189'$/m);
  const line = (await serial.locator("[data-testid=terminal] .xterm-rows > div").allTextContents()).find((row) => row.startsWith("got"));
  assert.equal(line.replaceAll("\u00a0", " ").trimEnd(), `got ${SYMBOLS}'`);
  await eventually("what was typed on the guest's screen", async () => (await picture(page)).sum !== before.sum);
});

onPage("two viewers of a serial console see the same at once", LONG, async ({ page, newWindow, server }) => {
  const { id } = await startGuest(server, "serial-1");
  await page.goto(`/vms/${id}/console?kind=serial`);
  await opens(page, "terminal");
  const window = await newWindow();
  try {
    const other = await window.newPage();
    await other.goto(`/vms/${id}/console/serial`);
    await opens(other, "terminal");
    await logIn(page);
    await shows(other, /^~ # *$/m);
    await type(page, "echo $((6*7))\n");
    await Promise.all([page, other].map((viewer) => shows(viewer, /^42$/m)));
    await type(other, "echo $((7*11))\n");
    await Promise.all([page, other].map((viewer) => shows(viewer, /^77$/m)));
    assert.deepEqual(await findings(page), [], "axe");
    assert.deepEqual(await findings(other), [], "axe, a window of its own");
  } finally {
    await window.close();
  }
});

// A console that ends asks for another before the page has heard that the guest stopped.
onPage("a guest that stops and starts under an open console", { ...LONG, expected: /status of 400/ }, async ({ page, server }) => {
  const { id } = await startGuest(server, "stops-1");
  await page.goto(`/vms/${id}/console?kind=vnc`);
  await opens(page, "screen");
  await server.ask("VMService/StopVM", { id, force: true });
  const notice = page.locator(".q-con-notice");
  await notice.getByText(/stopped/i).first().waitFor();
  await notice.getByText("The console opens by itself when it runs.").waitFor();
  assert.deepEqual(await findings(page), [], "axe");

  await notice.getByRole("button", { name: /^Start/ }).click();
  await opens(page, "screen");
  await eventually("something on the guest's screen", async () => (await picture(page)).lit > 200, BOOT_MS);
  await page.getByRole("button", { name: "Serial", exact: true }).click();
  await opens(page, "terminal");
  await server.ask("VMService/StopVM", { id, force: true });
  await notice.getByText(/stopped/i).first().waitFor();
  await server.ask("VMService/StartVM", { id });
  await opens(page, "terminal");
  await logIn(page);
});

onPage("a serial port that another program has is said to be in use, and is taken over", { ...LONG, expected: /status of 400/ }, async ({ page, server }) => {
  const { id } = await startGuest(server, "in-use-1");
  const holder = await server.host.holdSerial(id);
  try {
    await page.goto(`/vms/${id}/console?kind=serial`);
    await page.getByRole("heading", { name: "In use by another program" }).waitFor({ timeout: 60_000 });
    assert.deepEqual(await findings(page), [], "axe");
    await page.getByRole("button", { name: "Take over" }).click();
    await opens(page, "terminal");
    await holder.ended;
    // Of what was said before, the other program had its part.
    await type(page, "\n");
    await shows(page, /login:/);
  } finally {
    await holder.letGo();
  }
});
