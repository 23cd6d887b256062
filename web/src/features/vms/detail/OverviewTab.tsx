// What a VM is and what it does, at one glance.

import type { ReactElement } from 'react';
import { Link, useParams } from 'react-router';
import { useVm } from '@/api/hooks';
import { paths } from '@/app/paths';
import { bytes } from '@/ui/format';
import { diskPlace, diskSize, nicPlace } from './device_words';
import { FactsCard } from './FactsCard';
import { Thumbnail } from './Thumbnail';
import { UsageNow } from './UsageNow';

export default function OverviewTab(): ReactElement | null {
  const { id = '' } = useParams();
  const vm = useVm(id);
  if (vm === undefined) return null;
  const disks = vm.spec?.disks ?? [];
  const nics = vm.spec?.nics ?? [];
  return (
    <div className="q-vm-overview">
      <div className="q-vm-side">
        <Thumbnail vm={vm} />
        <UsageNow vm={vm} />
        <section className="q-card" aria-label={`Disks and network cards of ${vm.name}`}>
          <ul className="q-short-list">
            {disks.map((disk) => (
              <li key={disk.id}>
                <span className="q-mono">{disk.id}</span> <span className="q-num">{diskSize(disk, bytes)}</span> <span className="q-dim q-cut" title={diskPlace(disk)}>{diskPlace(disk)}</span>
              </li>
            ))}
            {nics.map((nic) => (
              <li key={nic.id}>
                <span>NIC</span> <span>{nicPlace(nic)}</span> <span className="q-dim q-mono">{nic.macAddress || nic.id}</span>
              </li>
            ))}
            {disks.length + nics.length === 0 ? <li className="q-dim">No disk, no network card.</li> : null}
          </ul>
          <Link to={paths.vm(vm.id, 'devices')}>All devices</Link>
        </section>
      </div>
      <FactsCard vm={vm} />
    </div>
  );
}
