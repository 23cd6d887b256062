// Everything that a VM is made of. What the running guest does not have yet is marked where it
// stands.

import type { ReactElement, ReactNode } from 'react';
import { useParams } from 'react-router';
import { useVm } from '@/api/hooks';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import {
  DisplayConfig_DisplayType as Display,
  TpmConfig_TpmVersion as Tpm,
  WatchdogConfig_WatchdogModel as Dog,
  type DiskDevice,
  type NetworkInterface,
} from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';
import { bytes, mib } from '@/ui/format';
import { CopyText } from '@/ui/CopyText';
import { CdromRow } from './CdromRow';
import { DeviceRow } from './DeviceRow';
import { diskPlace, diskSize, formatWord, nicPlace } from './device_words';
import { BUSES, CACHES, firmwareWord, GPUS, machineWord, MODELS, WATCHDOG_ACTIONS } from './spec_words';

function words(...parts: readonly (string | false | undefined)[]): string {
  return parts.filter((part) => part !== false && part !== undefined && part !== '').join(' · ');
}

function diskFacts(disk: DiskDevice): string {
  const limits = disk.ioLimits;
  return words(
    disk.bus === undefined ? undefined : BUSES[disk.bus],
    formatWord(disk.format),
    disk.cache === undefined ? undefined : `cache ${CACHES[disk.cache]}`,
    disk.readonly && 'read only',
    disk.discardEnabled === true && 'discard',
    disk.bootIndex > 0 && `boot ${disk.bootIndex}`,
    limits !== undefined && limits.readIops + limits.writeIops > 0n && `${limits.readIops}/${limits.writeIops} IOPS at most`,
    limits !== undefined && limits.readBytesSec + limits.writeBytesSec > 0n && `${bytes(limits.readBytesSec)}/s, ${bytes(limits.writeBytesSec)}/s at most`,
    disk.backingFile !== '' && `over ${disk.backingFile}`,
  );
}

function nicFacts(nic: NetworkInterface): string {
  const { qos } = nic;
  return words(
    MODELS[nic.model],
    qos !== undefined && qos.ingressRateMbps + qos.egressRateMbps > 0n && `${qos.ingressRateMbps}/${qos.egressRateMbps} Mbit/s in/out at most`,
    nic.bootIndex > 0 && `boot ${nic.bootIndex}`,
  );
}

function Group({ title, children }: { title: string; children: ReactNode }): ReactElement {
  return (
    <section className="q-card q-devices" aria-label={title}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function Computer({ vm }: { vm: VirtualMachine }): ReactElement {
  const { spec } = vm;
  const cpu = spec?.cpu;
  const memory = spec?.memory;
  const topology = cpu === undefined || cpu.sockets + cpu.threadsPerCore === 0 ? '' : `${cpu.sockets || 1} sockets, ${cpu.threadsPerCore || 1} threads a core`;
  const features = cpu?.features;
  const flags = [
    ...(features?.nestedVirt === true ? ['virtualization'] : []),
    ...(features?.customFlags ?? []),
  ].join(' ');
  return (
    <Group title="Computer">
      <DeviceRow vm={vm} name="CPU" paths={['spec.cpu']} value={`${cpu?.cores ?? 0} vCPU`} facts={words(cpu?.model, topology, flags, cpu !== undefined && cpu.maxCores > cpu.cores && `up to ${cpu.maxCores} while it runs`)} />
      <DeviceRow vm={vm} name="Memory" paths={['spec.memory']} value={mib(memory?.sizeMib ?? 0n)} facts={words(memory?.ballooningEnabled === false ? 'no balloon' : 'balloon', memory !== undefined && memory.maxMemoryMib > memory.sizeMib && `up to ${mib(memory.maxMemoryMib)} while it runs`)} />
      <DeviceRow vm={vm} name="Firmware" paths={['spec.firmware']} value={firmwareWord(vm)} facts={machineWord(vm)} />
      <DeviceRow
        vm={vm}
        name="TPM"
        paths={['spec.tpm']}
        value={spec?.tpm?.enabled === true ? (spec.tpm.version === Tpm.TPM_2_0 ? '2.0' : '1.2') : 'none'}
        facts={spec?.tpm?.enabled === true && spec.tpm.persistent ? 'kept when the definition is removed elsewhere' : ''}
      />
    </Group>
  );
}

function Rest({ vm }: { vm: VirtualMachine }): ReactElement {
  const { spec } = vm;
  const display = spec?.display;
  const type = display?.type ?? Display.VNC;
  const dog = spec?.watchdog;
  const rng = spec?.rng;
  return (
    <Group title="Screen, ports and the rest">
      <DeviceRow
        vm={vm}
        name="Screen"
        paths={['spec.display']}
        value={type === Display.NONE ? 'none' : type === Display.SPICE ? 'SPICE' : 'VNC'}
        facts={type === Display.NONE ? '' : words(display === undefined ? undefined : GPUS[display.gpu], display !== undefined && display.videoMemoryMib > 0 && mib(display.videoMemoryMib))}
      />
      <DeviceRow vm={vm} name="Serial ports" paths={['spec.serial']} value={String(spec?.serial?.count || 1)} facts="the first one is the text console" />
      <DeviceRow vm={vm} name="Guest agent" paths={['spec.agent']} value={spec?.agent?.enabled === false ? 'no channel' : 'channel'} facts="" />
      <DeviceRow vm={vm} name="Randomness" paths={['spec.rng']} value={rng?.enabled === false ? 'none' : 'virtio'} facts={words(rng?.backend, rng !== undefined && rng.rateBytes > 0n && `${bytes(rng.rateBytes)} each ${rng.periodMs || 1000} ms`)} />
      <DeviceRow vm={vm} name="Watchdog" paths={['spec.watchdog']} value={dog?.enabled === true ? (dog.model === Dog.IB700 ? 'iB700' : 'i6300ESB') : 'none'} facts={dog?.enabled === true ? WATCHDOG_ACTIONS[dog.action] : ''} />
    </Group>
  );
}

export default function DevicesTab(): ReactElement | null {
  const { id = '' } = useParams();
  const vm = useVm(id);
  if (vm === undefined) return null;
  const disks = vm.spec?.disks ?? [];
  const cdroms = vm.spec?.cdroms ?? [];
  const nics = vm.spec?.nics ?? [];
  return (
    <div className="q-vm-devices">
      <Group title="Disks">
        {disks.length === 0 ? <p className="q-dim">No disk.</p> : null}
        {disks.map((disk) => (
          <DeviceRow key={disk.id} vm={vm} name={disk.id} mono paths={[`spec.disks[${disk.id}]`]} value={diskSize(disk, bytes)} facts={diskFacts(disk)}>
            <CopyText text={diskPlace(disk)} what={`place of disk ${disk.id}`} />
          </DeviceRow>
        ))}
      </Group>
      <Group title="CD-ROM drives">
        {cdroms.length === 0 ? <p className="q-dim">No drive.</p> : null}
        {cdroms.map((cdrom) => <CdromRow key={cdrom.id} vm={vm} cdrom={cdrom} />)}
      </Group>
      <Group title="Network cards">
        {nics.length === 0 ? <p className="q-dim">No network card.</p> : null}
        {nics.map((nic, index) => (
          <DeviceRow key={nic.id || index} vm={vm} name={nicPlace(nic)} paths={[`spec.nics[${nic.id}]`]} value="" facts={nicFacts(nic)}>
            {nic.macAddress === '' ? null : <CopyText text={nic.macAddress} what="MAC address" />}
          </DeviceRow>
        ))}
      </Group>
      <Computer vm={vm} />
      <Rest vm={vm} />
    </div>
  );
}
