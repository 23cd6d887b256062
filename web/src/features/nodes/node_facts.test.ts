import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { NetworkDeviceSchema, NodeSchema } from '@/gen/Quantixkvm/compute/v1/node_pb';
import { hardwareFacts, linkSpeed, nicPlace, ranges, softwareFacts } from './node_facts';

test('threads read as ranges', () => {
  expect(ranges([3, 0, 1, 2, 8])).toBe('0-3, 8');
  expect(ranges([])).toBe('');
});

test('what a host does not tell is left out', () => {
  expect(softwareFacts(create(NodeSchema, {}))).toEqual([]);
  const bare = hardwareFacts(create(NodeSchema, { spec: { cpu: { totalThreads: 8 }, memory: { totalBytes: 0n } } }));
  expect(bare).toEqual([{ name: 'Threads', value: '8' }, { name: 'Huge pages', value: 'none set aside' }]);
});

test('a whole host is told', () => {
  const node = create(NodeSchema, {
    spec: {
      cpu: { model: 'Xeon', sockets: 2, coresPerSocket: 8, threadsPerCore: 2, totalThreads: 32, frequencyMhz: 2400n, features: ['vmx'], numaNodes: [{ nodeId: 1, cpus: [8, 9], memoryBytes: 1n << 36n }] },
      memory: { totalBytes: 1n << 37n, hugePages: { pages2mbTotal: 512n, pages2mbFree: 500n } },
    },
  });
  expect(hardwareFacts(node).map(({ name, value }) => `${name}: ${value}`)).toEqual([
    'Processor: Xeon', 'Threads: 32: 2 sockets × 8 cores × 2 threads', 'Frequency: 2.40 GHz', 'Virtualisation: Intel VT-x',
    'Memory: 128 GiB', 'Huge pages: 500 of 512 free, 2 MiB', 'NUMA 1: threads 8-9, 64 GiB',
  ]);
});

test('a NIC says what it is tied to and how fast it is', () => {
  expect(nicPlace(create(NetworkDeviceSchema, { config: { bridge: 'br0', vlanId: 12 } }))).toBe('port of br0, VLAN 12');
  expect([0n, 100n, 2500n].map(linkSpeed)).toEqual(['', '100 Mb/s', '2.5 Gb/s']);
});
