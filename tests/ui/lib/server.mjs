// The program as a test has it: on a port and with a directory of its own, killed and started anew
// as often as the test likes.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./wait.mjs";

const ROOT = new URL("../../../", import.meta.url).pathname;
const PROGRAM = process.env.QKVM_PROGRAM ?? join(ROOT, "target/debug/quantixkvm");
const LOG_KEPT = 200_000;
/** The administrator that a test signs in as. */
export const USER = { name: "tester", password: "correct horse" };

/** Asks over the API socket, as root of the host. */
function bySocket(socketPath, method, body) {
  const text = JSON.stringify(body);
  const headers = { host: "localhost", "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: `/Quantixkvm.auth.v1.AuthService/${method}`, method: "POST", headers }, (answer) => {
      let told = "";
      answer.on("data", (part) => (told += part));
      answer.on("end", () => resolve(JSON.parse(told)));
    });
    asked.on("error", reject);
    asked.end(text);
  });
}

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
  /** What a window of the browser is signed in with; a demonstration asks for nothing. */
  cookies = [];
  #headers = { "content-type": "application/json" };
  #child = null;
  #arguments;

  constructor(port, flags, directory) {
    this.url = `http://127.0.0.1:${port}`;
    this.directory = directory;
    this.#arguments = ["serve", "--listen", `127.0.0.1:${port}`, ...flags];
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
    const data = join(directory, "data");
    const place = ["--data-dir", data, "--socket", join(data, "api.sock")];
    const server = new Server(await freePort(), ["--libvirt-uri", uri, ...place, ...flags], directory);
    await server.launch();
    await server.#signIn(join(data, "api.sock"));
    return server;
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
      // Whoever is asked who they are is answered by a server that runs.
      const { status, ok } = await fetch(`${this.url}/readyz`, { headers: this.#headers });
      return ok || status === 401;
    }, 60_000);
    assert.equal(ended, null, `the server ended with ${ended}:\n${this.log}`);
  }

  /** An administrator: a token for `ask`, and a session for the browser. */
  async #signIn(socket) {
    await bySocket(socket, "CreateUser", { ...USER, role: "ADMIN" });
    const { secret } = await bySocket(socket, "CreateToken", { name: "tests", userId: USER.name });
    this.#headers = { ...this.#headers, authorization: `Bearer ${secret}` };
    this.cookies = await this.login(USER);
    await eventually("the server to be ready", async () => (await fetch(`${this.url}/readyz`, { headers: this.#headers })).ok, 60_000);
  }

  /** A session's cookies, as a browser that signs in gets them. */
  async login({ name, password }) {
    const answer = await fetch(`${this.url}/Quantixkvm.auth.v1.AuthService/Login`, {
      method: "POST",
      headers: { "content-type": "application/json", origin: this.url },
      body: JSON.stringify({ name, password }),
    });
    assert.equal(answer.status, 200, `Login: ${await answer.text()}`);
    const [pair] = answer.headers.getSetCookie()[0].split(";");
    const [cookie, value] = pair.split("=");
    return [{ name: cookie, value, url: this.url.replace("http:", "https:"), secure: true, httpOnly: true, sameSite: "Strict" }];
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
    const room = { Operation: "operation", Auth: "auth" }[method.match(/^(Operation|Auth)Service/)?.[1]] ?? "compute";
    const answer = await fetch(`${this.url}/Quantixkvm.${room}.v1.${method}`, {
      method: "POST",
      headers: this.#headers,
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
