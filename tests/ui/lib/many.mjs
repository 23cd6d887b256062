// A host for libvirt's test driver with as many VMs as wished for.

import { writeFileSync } from "node:fs";

export function writeHost(path, count) {
  const domains = Array.from({ length: count }, (_, number) => {
    const id = `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
    return `<domain type='test'><name>vm-${number}</name><uuid>${id}</uuid><memory unit='MiB'>256</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>`;
  });
  writeFileSync(path, `<node>${domains.join("")}</node>`);
}
