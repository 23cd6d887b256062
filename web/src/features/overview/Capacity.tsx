// What of this host is promised to VMs and what is in use.

import type { ReactElement } from 'react';
import type { Node } from '@/gen/Quantixkvm/compute/v1/node_pb';
import { bytes, percent } from '@/ui/format';
import { Meter } from '@/ui/Meter';

const share = (part: bigint, whole: bigint): number => (whole === 0n ? 0 : Number(part) / Number(whole));

export function Capacity({ node }: { node: Node }): ReactElement {
  const resources = node.status?.resources;
  const cpu = resources?.cpu;
  const memory = resources?.memory;
  const storage = resources?.storage;
  return (
    <section className="q-panel" aria-label="Capacity">
      <header className="q-panel-head">
        <h2>Capacity</h2>
        <span className="q-legend q-dim"><i className="q-meter-used" /> used <i className="q-meter-promised" /> promised</span>
      </header>
      {cpu === undefined ? null : (
        <Meter
          name="vCPUs"
          promised={cpu.allocatableVcpus === 0 ? 0 : cpu.allocatedVcpus / cpu.allocatableVcpus}
          used={cpu.usagePercent / 100}
          mayBeFull
          facts={`${cpu.allocatedVcpus} of ${cpu.allocatableVcpus} promised, ${percent(cpu.usagePercent)} of the host's threads busy`}
        />
      )}
      {memory === undefined ? null : (
        <Meter
          name="Memory"
          promised={share(memory.allocatedBytes, memory.allocatableBytes)}
          used={share(memory.usedBytes, memory.usedBytes + memory.availableBytes)}
          facts={`${bytes(memory.allocatedBytes)} of ${bytes(memory.allocatableBytes)} promised, ${bytes(memory.usedBytes)} used`}
        />
      )}
      {storage === undefined || storage.localTotalBytes === 0n ? null : (
        <Meter
          name="Storage"
          used={share(storage.localUsedBytes, storage.localTotalBytes)}
          facts={`${bytes(storage.localUsedBytes)} of ${bytes(storage.localTotalBytes)} used`}
        />
      )}
    </section>
  );
}
