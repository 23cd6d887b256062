// A libvirtd of the test's own with real guests on it, emulated, and the server on it.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Server } from "./server.mjs";

const ROOT = new URL("../../../", import.meta.url).pathname;
const SCRIPTS = process.env.QKVM_TESTBED ?? join(ROOT, "tests/testbed");
const GUEST = process.env.QKVM_GUEST ?? join(ROOT, "target/testbed/guest");

/** The disk image that boots to a login on both consoles: root, without a password. */
export const IMAGE = join(GUEST, "tiny.qcow2");

/** What a guest takes on a machine that emulates it and does other things, too. */
export const BOOT_MS = 150_000;

function box(action, directory) {
  const done = spawnSync(join(SCRIPTS, "private-libvirtd.sh"), [action, directory], { encoding: "utf8" });
  assert.equal(done.status, 0, `private-libvirtd.sh ${action}: ${done.stdout}${done.stderr}${done.error ?? ""}`);
  return done.stdout.trim();
}

export class Host {
  #directory;

  constructor() {
    // Short: it holds unix sockets.
    this.#directory = mkdtempSync("/tmp/qk-");
    box("start", this.#directory);
    this.uri = box("uri", this.#directory);
  }

  /** A server on a host of its own; both end with `end`. */
  static async serve() {
    const host = new Host();
    try {
      const server = await Server.on(host.uri, "--accelerator", "tcg");
      const end = server.end.bind(server);
      server.end = async () => {
        await end();
        host.end();
      };
      server.host = host;
      return server;
    } catch (error) {
      host.end();
      throw error;
    }
  }

  /** A file that QEMU can read. */
  file(name, content) {
    const path = join(this.#directory, name);
    writeFileSync(path, content, { mode: 0o644 });
    return path;
  }

  /** `virsh console` on a terminal of its own, once it has the serial port. Gives what lets go of it. */
  async holdSerial(id) {
    const command = `virsh -c '${this.uri}' console ${id}`;
    const child = spawn("script", ["-qefc", command, "/dev/null"], { stdio: ["pipe", "pipe", "ignore"] });
    const last = () => child.kill("SIGKILL");
    process.once("exit", last);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const lines = createInterface({ input: child.stdout });
    await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", () => reject(new Error("virsh console has ended before it had the port")));
      lines.on("line", (line) => line.includes("Escape character") && resolve());
    });
    return {
      ended,
      letGo: async () => {
        last();
        await ended;
        process.removeListener("exit", last);
      },
    };
  }

  end() {
    box("stop", this.#directory);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A guest over the image, running. */
export function startGuest(server, name, spec = {}) {
  return server.ask("VMService/CreateVM", {
    name,
    startOnCreate: true,
    spec: {
      cpu: { cores: 1 },
      memory: { sizeMib: 256 },
      disks: [{ sizeGib: 1, backingFile: IMAGE, backingFormat: "QCOW2" }],
      ...spec,
    },
  });
}
