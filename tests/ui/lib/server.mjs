// The program as a test has it: on a port and with a directory of its own, killed and started anew
// as often as the test likes.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./wait.mjs";

const ROOT = new URL("../../../", import.meta.url).pathname;
const PROGRAM = process.env.QKVM_PROGRAM ?? join(ROOT, "target/debug/quantixkvm");
const LOG_KEPT = 200_000;
const PACKAGES = { OperationService: "operation", AuthService: "auth" };
/** Who looks at the pages of a server that knows of users, where a test is about something else. */
const ADMIN = { name: "admin", password: "a long enough password" };

/** A port that nothing listens on. */
async function freePort() {
  const socket = createServer();
  await new Promise((resolve) => socket.listen(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

export class Server {
  /** What it has written to its log, of every life. */
  log = "";
  /** Of an administrator, where the server knows of users: what a browser has of it, and a program. */
  cookies = [];
  token = null;
  #child = null;
  #arguments;

  constructor(port, flags, directory) {
    this.url = `http://127.0.0.1:${port}`;
    this.directory = directory;
    this.#arguments = ["serve", "--listen", `127.0.0.1:${port}`, ...flags];
    if (directory !== null) this.#arguments.push("--socket", join(directory, "api.sock"));
    if (process.getuid() === 0) this.#arguments.push("--allow-root");
  }

  /** Libvirt's test driver with the demo's VMs and nodes; state in memory. */
  static async demo() {
    const server = new Server(await freePort(), ["--demo"], null);
    await server.launch();
    return server;
  }

  /** On this libvirt, with a state file. */
  static async on(uri, ...flags) {
    const directory = mkdtempSync(join(tmpdir(), "qk-ui-"));
    const server = new Server(await freePort(), ["--libvirt-uri", uri, "--data-dir", join(directory, "data"), ...flags], directory);
    await server.launch();
    await server.setUp(ADMIN);
    return server;
  }

  /** On libvirt's test driver, with users and a state file, and nobody made yet. */
  static async guarded() {
    const directory = mkdtempSync(join(tmpdir(), "qk-ui-"));
    const server = new Server(await freePort(), ["--libvirt-uri", "test:///default", "--data-dir", join(directory, "data")], directory);
    server.url = server.url.replace("http:", "https:");
    await server.launch();
    return server;
  }

  /** The one-time code, as root reads it. */
  setUpCode() {
    return readFileSync(join(this.directory, "data/setup-code"), "utf8").trim();
  }

  /** Makes the first administrator, whose browser every window then is. */
  async setUp({ name, password }) {
    const answer = await fetch(`${this.#clear}/Quantixkvm.auth.v1.AuthService/SetUp`, {
      method: "POST",
      headers: { "content-type": "application/json", origin: this.#clear },
      body: JSON.stringify({ code: this.setUpCode(), name, password }),
    });
    const { accessToken, message } = await answer.json();
    assert.equal(answer.status, 200, message);
    const [cookie] = answer.headers.getSetCookie();
    const [pair] = cookie.split(";");
    const at = pair.indexOf("=");
    this.cookies = [{ name: pair.slice(0, at), value: pair.slice(at + 1), url: this.url.replace("http:", "https:"), secure: true, httpOnly: true, sameSite: "Strict" }];
    this.token = accessToken;
    // An access token is good for minutes; a test may take longer.
    this.token = (await this.ask("AuthService/CreateToken", { name: "test" })).secret;
    await eventually("the server is ready", () => this.answers("/readyz"), 60_000);
  }

  async answers(path) {
    return (await fetch(`${this.#clear}${path}`, { headers: this.#credential })).ok;
  }

  /** By TLS it shows a certificate of its own, which a test that is no browser has no way to know. */
  get #clear() {
    return this.url.replace("https:", "http:");
  }

  get #credential() {
    return this.token === null ? {} : { authorization: `Bearer ${this.token}` };
  }

  async launch() {
    const child = spawn(PROGRAM, this.#arguments, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    // A runner that is stopped in the middle ends no test, but it ends this process.
    const last = () => child.kill("SIGKILL");
    process.once("exit", last);
    for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => process.exit(1));
    child.once("exit", () => process.removeListener("exit", last));
    let ended = null;
    child.on("exit", (code, signal) => (ended = code ?? signal));
    child.on("error", (error) => (ended = error.message));
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (text) => (this.log = (this.log + text).slice(-LOG_KEPT)));
    }
    await eventually("the server's answer", async () => {
      if (ended !== null) return true;
      // Whether it is ready is told to who is known; that it is there, to everybody.
      return await this.answers(this.token === null && this.directory !== null ? "/healthz" : "/readyz");
    }, 60_000);
    assert.equal(ended, null, `the server ended with ${ended}:\n${this.log}`);
  }

  /** As when the power fails. */
  async kill(signal = "SIGKILL") {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  }

  async end() {
    await this.kill();
    if (this.directory !== null) rmSync(this.directory, { recursive: true, force: true });
  }

  /** Asks as curl would: `VMService/ListVMs`. */
  async ask(method, body = {}) {
    const answer = await fetch(`${this.#clear}/Quantixkvm.${PACKAGES[method.split("/")[0]] ?? "compute"}.v1.${method}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...this.#credential },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    assert.equal(answer.status, 200, `${method}: ${text}`);
    return JSON.parse(text);
  }

  async vm(name) {
    const { vms = [] } = await this.ask("VMService/ListVMs", { pageSize: 1000 });
    const found = vms.find((vm) => vm.name === name);
    assert.ok(found, `there is no VM ${name}`);
    return found;
  }
}
