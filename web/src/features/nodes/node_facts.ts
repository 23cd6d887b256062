// What a node is made of, in lines that people read. A fact that the host does not tell is left out.

import type { CpuInfo, HugePagesInfo, MemoryInfo, NetworkDevice, Node, NumaNodeInfo, StorageDevice } from '@/gen/Quantixkvm/compute/v1/node_pb';
import { StorageDevice_DeviceType } from '@/gen/Quantixkvm/compute/v1/node_pb';
import { bytes } from '@/ui/format';

export interface Fact {
  readonly name: string;
  readonly value: string;
}

const some = (name: string, value: string): Fact[] => (value === '' ? [] : [{ name, value }]);
const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

function cpuFacts(cpu: CpuInfo): Fact[] {
  const shape = [
    counted(cpu.sockets, 'socket'),
    counted(cpu.coresPerSocket, 'core'),
    counted(cpu.threadsPerCore, 'thread'),
  ].join(' × ');
  const virtualisation = cpu.features.includes('vmx') ? 'Intel VT-x' : cpu.features.includes('svm') ? 'AMD-V' : '';
  return [
    ...some('Processor', cpu.model),
    ...(cpu.totalThreads === 0 ? [] : [{ name: 'Threads', value: cpu.sockets === 0 ? `${cpu.totalThreads}` : `${cpu.totalThreads}: ${shape}` }]),
    ...some('Frequency', cpu.frequencyMhz === 0n ? '' : `${(Number(cpu.frequencyMhz) / 1000).toFixed(2)} GHz`),
    ...some('Virtualisation', virtualisation),
  ];
}

function hugePages(pages: HugePagesInfo | undefined): string {
  if (pages === undefined) return '';
  const part = (free: bigint, total: bigint, size: string): string[] => (total === 0n ? [] : [`${free} of ${total} free, ${size}`]);
  return [...part(pages.pages2mbFree, pages.pages2mbTotal, '2 MiB'), ...part(pages.pages1gbFree, pages.pages1gbTotal, '1 GiB')].join('; ');
}

function memoryFacts(memory: MemoryInfo): Fact[] {
  return [
    ...some('Memory', memory.totalBytes === 0n ? '' : bytes(memory.totalBytes)),
    { name: 'Huge pages', value: hugePages(memory.hugePages) || 'none set aside' },
  ];
}

/** `0-7, 16-23`. */
export function ranges(numbers: readonly number[]): string {
  const parts: [number, number][] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = parts[parts.length - 1];
    if (last !== undefined && number === last[1] + 1) last[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}

export function numaFact(numa: NumaNodeInfo): Fact {
  return { name: `NUMA ${numa.nodeId}`, value: `threads ${ranges(numa.cpus)}, ${bytes(numa.memoryBytes)}` };
}

export function hardwareFacts(node: Node): Fact[] {
  const { spec } = node;
  const numa = spec?.cpu?.numaNodes ?? [];
  return [
    ...(spec?.cpu === undefined ? [] : cpuFacts(spec.cpu)),
    ...(spec?.memory === undefined ? [] : memoryFacts(spec.memory)),
    ...numa.map(numaFact),
    ...(spec?.gpus ?? []).map((gpu) => ({ name: 'Display', value: `${[gpu.vendor, gpu.model].filter(Boolean).join(' ')} at ${gpu.pciAddress}` })),
  ];
}

export function softwareFacts(node: Node): Fact[] {
  const system = node.status?.system;
  if (system === undefined) return [];
  return [
    ...some('Operating system', [system.osName, system.osVersion].filter(Boolean).join(' ')),
    ...some('Kernel', system.kernelVersion),
    ...some('Hypervisor', [system.hypervisor, system.hypervisorVersion].filter(Boolean).join(' ')),
    ...some('Quantix-KVM', system.agentVersion),
  ];
}

const KINDS: Record<StorageDevice_DeviceType, string> = {
  [StorageDevice_DeviceType.HDD]: 'disk',
  [StorageDevice_DeviceType.SSD]: 'SSD',
  [StorageDevice_DeviceType.NVME]: 'NVMe',
};

export function diskKind(device: StorageDevice): string {
  return KINDS[device.type] ?? 'disk';
}

/** What a NIC is tied to: its bridge, its bond, its VLAN. */
export function nicPlace(device: NetworkDevice): string {
  const { config } = device;
  if (config === undefined) return '';
  return [
    config.bridge === '' ? '' : `port of ${config.bridge}`,
    config.bond === '' ? '' : `in ${config.bond}`,
    config.vlanId === 0 ? '' : `VLAN ${config.vlanId}`,
  ].filter(Boolean).join(', ');
}

/** `10 Gb/s`; unknown or without a link: empty. */
export function linkSpeed(mbps: bigint): string {
  if (mbps === 0n) return '';
  return mbps >= 1000n ? `${Number(mbps) / 1000} Gb/s` : `${mbps} Mb/s`;
}
