// Who gets in and what they may, seen from the page: set up, signed in and out, by role, and ended.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { WIDE, isLive, suite } from "../lib/browser.mjs";
import { look as lookAtBoth } from "../lib/look.mjs";
import { Server } from "../lib/server.mjs";
import { eventually } from "../lib/wait.mjs";

const PASSWORD = "correct horse battery";
const ADA = { name: "ada", password: PASSWORD };
const VIEWER = "Needs the role operator; you are a viewer.";
const ADMIN_NEEDED = "Needs the role admin; you are a viewer.";
/** The browser notes each answer that says that nobody is signed in, or that something was refused. */
const EXPECTED = /status of 4\d\d|WebSocket connection to/;
const options = { expected: EXPECTED };

let administrator;
const { onPage } = suite(() => Server.guarded());

/** And back at the desk, where the test goes on. */
async function look(page, ...rest) {
  await lookAtBoth(page, ...rest);
  await page.setViewportSize(WIDE);
}

const signInForm = (page) => page.getByRole("form", { name: "Sign in" });

async function fillSignIn(page, name, password = PASSWORD) {
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

async function signIn(page, name, address = "/vms") {
  await page.goto(address);
  await signInForm(page).waitFor();
  await fillSignIn(page, name);
  await isLive(page);
}

async function makeUser(server, name, role) {
  const { users } = await server.ask("AuthService/ListUsers");
  if (!users.some((user) => user.name === name)) await server.ask("AuthService/CreateUser", { name, password: PASSWORD, role });
}

onPage("a new host is set up with root's code, and the address that was asked for is shown", options, async ({ page, window, server }) => {
  await page.goto("/access/users?later=1");
  const form = page.getByRole("form", { name: "Set up this host" });
  await form.getByText("sudo quantixkvm setup-code").waitFor();
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    await look(page, "set-up", theme);
  }
  await form.getByLabel("One-time code").fill("AAAA-AAAA-AAAA-AAAA");
  await form.getByLabel("Name").fill(ADA.name);
  await form.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await form.getByLabel("Password, again").fill("something else entirely");
  await form.getByText("The two are not alike.").waitFor();
  await form.getByLabel("Password, again").fill(PASSWORD);
  await form.getByRole("button", { name: /^Make the administrator/ }).click();
  await form.getByRole("alert").getByText(/wrong; 4 tries are left/).waitFor();
  await form.getByLabel("One-time code").fill(server.setUpCode().toLowerCase());
  await form.getByRole("button", { name: /^Make the administrator/ }).click();
  await isLive(page);
  await page.getByRole("row", { name: ADA.name }).waitFor();
  assert.equal(new URL(page.url()).search, "?later=1");
  // The page keeps nothing that lets anybody in.
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.doesNotMatch(kept, /qkvm_|eyJ|__Host-/);
  const cookie = (await window.cookies()).find(({ name }) => name.startsWith("__Host-"));
  assert.ok(cookie.secure && cookie.httpOnly && cookie.sameSite === "Strict");
  administrator = cookie;
  server.token = await page.evaluate(async () => {
    const answer = await fetch("/Quantixkvm.auth.v1.AuthService/CreateToken", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ name: "of the tests" }) });
    return (await answer.json()).secret;
  });
  await makeUser(server, "vera", "VIEWER");
  await makeUser(server, "olaf", "OPERATOR");
});

onPage("a wrong password is told under the form, too many with the time to wait, and nothing in the address leads elsewhere", options, async ({ page, server }) => {
  await makeUser(server, "nobody-else", "VIEWER");
  await page.goto("/events?next=https://evil.example&severity=error");
  await signInForm(page).waitFor();
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    await look(page, "sign-in", theme);
  }
  await fillSignIn(page, "nobody-else", "a wrong password");
  await signInForm(page).getByRole("alert").getByText("The name or the password is wrong.").waitFor();
  assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "nobody-else", "what was typed stays");
  assert.equal(await page.getByLabel("Name", { exact: true }).getAttribute("autocomplete"), "username");
  assert.equal(await page.getByLabel("Password", { exact: true }).getAttribute("autocomplete"), "current-password");
  await eventually("so many are too many", async () => {
    const answered = page.waitForResponse((answer) => answer.url().endsWith("/Login"));
    await page.getByRole("button", { name: "Sign in" }).click();
    return (await answered).status() === 429;
  });
  await signInForm(page).getByText(/try again in \d+ seconds/).waitFor();
  await fillSignIn(page, ADA.name);
  await isLive(page);
  assert.equal(new URL(page.url()).host, new URL(server.url).host);
  assert.equal(new URL(page.url()).pathname, "/events");
});

onPage("signing out brings the view to sign in, in every window of the browser", options, async ({ page, window }) => {
  await signIn(page, "olaf");
  const second = await window.newPage();
  await second.goto("/nodes");
  await isLive(second);
  await page.getByRole("button", { name: "olaf, operator" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await signInForm(page).waitFor();
  await signInForm(second).waitFor();
  assert.equal(new URL(page.url()).pathname, "/");
  assert.deepEqual(await window.cookies(), []);
  // Signed in in one, the other goes on where it was.
  await fillSignIn(page, "olaf");
  await isLive(page);
  await isLive(second);
  await second.getByRole("heading", { level: 1, name: "Nodes" }).waitFor();
});

onPage("a viewer sees what it may not do, and who may", options, async ({ page }) => {
  await signIn(page, "vera");
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.getByRole("button", { name: "New VM" }).hover();
  await page.getByRole("tooltip").getByText(VIEWER).waitFor();
  await page.getByRole("button", { name: "Actions of test" }).click();
  const menu = page.getByRole("menu").first();
  for (const verb of ["Stop", "Power off now", "Delete…"]) {
    const item = menu.getByRole("menuitem").filter({ hasText: verb }).first();
    assert.equal(await item.getAttribute("aria-disabled"), "true", verb);
    await item.getByText(VIEWER).waitFor();
  }
  await menu.getByRole("menuitem").filter({ hasText: "Adopt" }).getByText(ADMIN_NEEDED).waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("stop test");
  await page.getByRole("option", { name: /^Stop test/ }).getByText(VIEWER).waitFor();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.getByRole("link", { name: "test", exact: true }).click();
  assert.equal(await page.getByRole("button", { name: "Console of test" }).getAttribute("aria-disabled"), "true");
  await page.getByRole("button", { name: "Edit name of test" }).hover();
  await page.getByRole("tooltip").getByText(VIEWER).waitFor();
  await page.getByRole("link", { name: "Console", exact: true }).click();
  await page.getByRole("heading", { name: "No console for you" }).waitFor();
  for (const address of ["/access/users", "/access/audit"]) {
    await page.goto(address);
    await page.getByText(ADMIN_NEEDED).waitFor();
  }
  await page.goto("/vms/new");
  await page.getByText(VIEWER).waitFor();
  assert.equal(await page.getByRole("link", { name: "Users" }).count(), 0);
  const refused = asked.filter((url) => /StopVM|GetConsole|GetScreenshot|ListUsers|ListAuditEntries|GetCreateOptions/.test(url));
  assert.deepEqual(refused, [], "it asked for what it knew it would be refused");
});

/** A window of the administrator, without a throttle to wait for. */
async function asAdmin(newWindow, address, theme = "light") {
  const window = await newWindow({ theme });
  await window.addCookies([administrator]);
  const page = await window.newPage();
  await page.goto(address);
  await isLive(page);
  return page;
}

onPage("users are made, changed and deleted, and the last administrator stays", options, async ({ newWindow, server }) => {
  const page = await asAdmin(newWindow, "/access/users");
  await page.getByRole("button", { name: "New user" }).click();
  const dialog = page.getByRole("dialog", { name: "New user" });
  await dialog.getByLabel("Name").fill("temp");
  await dialog.getByLabel("Role").selectOption("operator");
  await dialog.getByLabel("VMs").fill("3");
  await dialog.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await dialog.getByLabel("Password, again").fill(PASSWORD);
  await look(page, "user-new", "light");
  await dialog.getByRole("button", { name: "Create" }).click();
  await dialog.waitFor({ state: "detached" });
  const row = page.getByRole("row", { name: "temp" });
  await row.getByText("3 VMs").waitFor();

  await row.getByRole("button", { name: "Actions of temp" }).click();
  await page.getByRole("menuitem", { name: "Edit…" }).click();
  const edit = page.getByRole("dialog", { name: "Edit temp" });
  await edit.getByLabel("Role").selectOption("viewer");
  await edit.getByText(/Its sessions, with their streams and consoles, end at once/).waitFor();
  await edit.getByRole("button", { name: "Save" }).click();
  await row.getByText("viewer", { exact: true }).waitFor();
  assert.equal((await server.ask("AuthService/GetUser", { id: "temp" })).role, "VIEWER");

  await server.ask("AuthService/CreateToken", { name: "its script", userId: "temp" });
  await row.getByRole("button", { name: "Actions of temp" }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  const gone = page.getByRole("dialog", { name: "Delete temp" });
  await gone.getByText("1 API token: its script").waitFor();
  await gone.getByRole("button", { name: "Delete" }).click();
  await row.waitFor({ state: "detached" });

  await page.getByRole("button", { name: "Actions of ada" }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  const last = page.getByRole("dialog", { name: "Delete ada" });
  await last.getByRole("button", { name: "Delete" }).click();
  await last.getByRole("alert").getByText(/last enabled administrator/).waitFor();
});

onPage("a token is shown once, works in the call beside it, and is revoked", options, async ({ newWindow, server }) => {
  const page = await asAdmin(newWindow, "/access/tokens");
  await page.getByRole("button", { name: "New token" }).click();
  const dialog = page.getByRole("dialog", { name: "New API token" });
  await dialog.getByLabel("What it is for").fill("a script");
  await dialog.getByLabel("Role").selectOption("viewer");
  await dialog.getByRole("button", { name: "Make it" }).click();
  const shown = page.getByRole("dialog", { name: /^The token/ });
  const curl = await shown.locator("pre").innerText();
  const secret = /Bearer (qkvm_[^']+)'/.exec(curl)[1];
  assert.ok(curl.includes(`${server.url}/Quantixkvm.compute.v1.VMService/ListVMs`));
  const ask = () => fetch(`${server.url.replace("https:", "http:")}/Quantixkvm.compute.v1.VMService/ListVMs`, {
    method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${secret}` }, body: "{}",
  });
  assert.equal((await ask()).status, 200);
  await look(page, "token-secret", "light");
  await shown.getByRole("button", { name: "I have it" }).click();
  await shown.waitFor({ state: "detached" });
  assert.ok(!(await page.content()).includes(secret), "it is still in the page");
  await page.getByRole("button", { name: "Revoke a script" }).click();
  await page.getByRole("dialog", { name: "Revoke a script" }).getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("row", { name: "a script" }).waitFor({ state: "detached" });
  assert.equal((await ask()).status, 401);
});

onPage("a session that is ended elsewhere brings the view to sign in within two seconds, and keeps what was typed", options, async ({ page, newWindow }) => {
  await signIn(page, "vera", "/access/tokens?user=vera");
  await page.getByRole("button", { name: "New token" }).click();
  await page.getByLabel("What it is for").fill("half a thought");
  const sockets = [];
  page.on("websocket", (socket) => sockets.push(socket.url()));
  const admin = await asAdmin(newWindow, "/access/sessions?user=vera");
  await admin.getByRole("button", { name: /^End the session of vera/ }).first().click();
  await admin.getByRole("dialog").getByRole("button", { name: "End it" }).click();
  await admin.getByRole("dialog").waitFor({ state: "detached" });
  const ended = performance.now();
  await page.getByText("Your session has ended. Sign in to go on where you were.").waitFor({ timeout: 2000 });
  assert.ok(performance.now() - ended < 2000);
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    await look(page, "session-ended", theme);
  }
  // Nothing is tried while nobody is signed in.
  const before = sockets.length;
  await page.waitForEvent("websocket", { timeout: 3000 }).catch(() => null);
  assert.equal(sockets.length, before, "the live connection is tried again and again");
  await fillSignIn(page, "vera");
  await isLive(page);
  assert.equal(await page.getByLabel("What it is for").inputValue(), "half a thought");
  assert.equal(new URL(page.url()).search, "?user=vera");
});

onPage("who signs in as somebody else sees nothing of the one before", options, async ({ page, server }) => {
  await signIn(page, "olaf", "/access/tokens");
  await page.getByRole("button", { name: "New token" }).click();
  await page.getByLabel("What it is for").fill("of olaf");
  const { sessions } = await server.ask("AuthService/ListSessions");
  for (const { id, userName } of sessions) if (userName === "olaf") await server.ask("AuthService/RevokeSession", { id });
  await page.getByText("Your session has ended").waitFor();
  await fillSignIn(page, "vera");
  await page.getByRole("button", { name: "vera, viewer" }).waitFor();
  assert.equal(await page.getByLabel("What it is for").count(), 0);
});

onPage("a password is changed by its owner, and a wrong old one ends nothing", options, async ({ page, server }) => {
  await makeUser(server, "pia", "VIEWER");
  await signIn(page, "pia");
  await page.getByRole("button", { name: "pia, viewer" }).click();
  await page.getByRole("menuitem", { name: "Change password…" }).click();
  const dialog = page.getByRole("dialog", { name: "Change password" });
  await dialog.getByLabel("Old password").fill("not the old one");
  await dialog.getByLabel("New password", { exact: true }).fill("another long password");
  await dialog.getByLabel("New password, again").fill("another long password");
  await dialog.getByRole("button", { name: "Change it" }).click();
  await dialog.getByText("The old password is wrong.").waitFor();
  await look(page, "change-password", "light");
  await dialog.getByLabel("Old password").fill(PASSWORD);
  await dialog.getByRole("button", { name: "Change it" }).click();
  await page.getByText("The password is changed").waitFor();
  await isLive(page);
});

onPage("the audit log is filtered in the address and exported as JSON lines", options, async ({ newWindow }) => {
  const page = await asAdmin(newWindow, "/access/audit");
  const lines = page.getByRole("list", { name: "Lines, newest first" }).getByRole("listitem");
  await lines.first().waitFor();
  await page.getByLabel("Method").fill("CreateUser");
  await page.keyboard.press("Enter");
  await eventually("only those are shown", async () => {
    const shown = await lines.allInnerTexts();
    return shown.length > 0 && shown.every((line) => line.includes("CreateUser"));
  });
  assert.equal(new URL(page.url()).searchParams.get("method"), "CreateUser");
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export as JSON lines" }).click();
  const exported = readFileSync(await (await download).path(), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.ok(exported.length > 0 && exported.every(({ method }) => method.endsWith("CreateUser")), "the export is what is shown");
});

for (const theme of ["light", "dark"]) {
  for (const [name, address] of [["users", "/access/users"], ["tokens", "/access/tokens"], ["sessions", "/access/sessions"], ["audit", "/access/audit"]]) {
    onPage(`${name}, ${theme}`, { ...options, theme }, async ({ newWindow }) => {
      const page = await asAdmin(newWindow, address, theme);
      await look(page, `access-${name}`, theme, () => page.locator(".q-row, article, .q-audit-line").first().waitFor());
    });
  }
}
