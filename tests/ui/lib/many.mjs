// A host for libvirt's test driver with as many VMs as wished for.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Server } from "./server.mjs";
import { eventually } from "./wait.mjs";

export function writeHost(path, count) {
  const domains = Array.from({ length: count }, (_, number) => {
    const id = `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
    return `<domain type='test'><name>vm-${number}</name><uuid>${id}</uuid><memory unit='MiB'>256</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>`;
  });
  writeFileSync(path, `<node>${domains.join("")}</node>`);
}

/** A server whose libvirt has this many VMs, all of which it knows. `home` is where the host's file lies. */
export async function hostOf(count, home) {
  const file = join(home, `${count}.xml`);
  writeHost(file, count);
  const server = await Server.on(`test://${file}`);
  await eventually(`${count} VMs`, async () => (await server.ask("VMService/ListVMs", { pageSize: 1 })).totalCount === count, 60_000);
  return server;
}
