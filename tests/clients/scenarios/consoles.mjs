// Consoles, keys and media, as far as a VM without a guest has them.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { it } from "node:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { GetConsoleRequest_Kind as Kind } from "../gen/Quantixkvm/compute/v1/vm_service_pb.js";
import { refused } from "../lib/expect.mjs";
import { unique } from "../lib/names.mjs";
import { DEV_WORKSTATION } from "./vms.mjs";

export function consoleScenarios({ vms, slug }) {
  /** A running VM with a drive, deleted after the test whatever happened. */
  async function withDrive(what, use) {
    const vm = await vms.createVM({
      name: unique(slug, what),
      spec: { cpu: { cores: 1 }, memory: { sizeMib: 256n }, cdroms: [{}] },
      startOnCreate: true,
    });
    try {
      return await use(vm);
    } finally {
      await vms.deleteVM({ id: vm.id, force: true, deleteVolumes: true });
    }
  }

  it("photographs a screen, presses keys, and says why there is no console", async () => {
    await withDrive("console", async ({ id }) => {
      for (const kind of [Kind.VNC, Kind.SERIAL]) {
        await refused(Code.Unimplemented, vms.getConsole({ vmId: id, kind }));
      }
      const shot = await vms.getScreenshot({ vmId: id });
      assert.match(shot.mimeType, /^image\//);
      assert.ok(shot.image.length > 100, `a picture of ${shot.image.length} bytes`);
      await vms.sendKeys({ vmId: id, keys: ["Ctrl", "alt", "delete"] });
      await refused(Code.InvalidArgument, vms.sendKeys({ vmId: id, keys: ["any"] }));
    });
    await refused(Code.FailedPrecondition, vms.getScreenshot({ vmId: DEV_WORKSTATION }));
  });

  it("puts a medium into a drive and takes it out", async () => {
    const home = await mkdtemp(join(tmpdir(), "qkvm-"));
    const isoPath = join(home, "a.iso");
    await writeFile(isoPath, "x");
    try {
      await withDrive("media", async ({ id }) => {
        const mounted = await vms.mountISO({ vmId: id, isoPath });
        assert.equal(mounted.spec.cdroms[0].isoPath, isoPath);
        const ejected = await vms.ejectISO({ vmId: id });
        assert.equal(ejected.spec.cdroms[0].isoPath, "");
        await refused(Code.NotFound, vms.ejectISO({ vmId: id, cdromId: "sdz" }));
        await refused(Code.InvalidArgument, vms.mountISO({ vmId: id, isoPath: join(home, "b.iso") }));
      });
    } finally {
      await rm(home, { recursive: true });
    }
  });
}
