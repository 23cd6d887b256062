import { create, toJson } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { VirtualMachineSchema, type VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { CreateOptionsSchema, CreateVMRequestSchema, MediaOption_Kind as Kind } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { DiskFormat, FirmwareType, GuestOSFamily as Family, NetworkInterface_Model as NicModel } from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';
import { emptyDisk, emptyNic, inUnit, set, setDisk, type Form } from './form';
import { firstForm, formatOf, freeName, profileByPath, propose, setSource, startFrom } from './proposals';
import { toRequest } from './request';

const GIB = 1024n ** 3n;
const options = create(CreateOptionsSchema, {
  networks: [{ name: 'lab', active: false }, { name: 'default', active: true }],
  bridges: ['br0'],
  uefi: true,
  tpm: true,
  hostThreads: 8,
  memoryFreeMib: 8192n,
  media: [
    { path: '/images/debian-12-generic.qcow2', kind: Kind.DISK, format: DiskFormat.QCOW2, capacityBytes: 3n * GIB },
    { path: '/images/big.img', kind: Kind.DISK, format: DiskFormat.RAW, capacityBytes: 30n * GIB + 1n },
    { path: '/iso/Win11_24H2.iso', kind: Kind.ISO },
  ],
  osProfiles: [
    { id: 'debian-13', label: 'Debian 13', family: Family.GUEST_OS_FAMILY_DEBIAN, variant: 'debian13', cores: 2, memoryMib: 2048n, diskGib: 20n, firmware: FirmwareType.UEFI },
    { id: 'debian-12', label: 'Debian 12', family: Family.GUEST_OS_FAMILY_DEBIAN, variant: 'debian12', cores: 2, memoryMib: 2048n, diskGib: 20n, firmware: FirmwareType.UEFI },
    { id: 'windows-11', label: 'Windows 11', family: Family.GUEST_OS_FAMILY_WINDOWS_DESKTOP, variant: 'win11', cores: 4, memoryMib: 4096n, diskGib: 64n, firmware: FirmwareType.UEFI_SECURE_BOOT, tpm: true },
    { id: 'other', label: 'Something else', family: Family.GUEST_OS_FAMILY_OTHER, variant: 'other', cores: 1, memoryMib: 768n, diskGib: 10n },
  ],
});
const vm = (name: string): VirtualMachine => create(VirtualMachineSchema, { id: name, name });
const begin = (query = '', vms: readonly VirtualMachine[] = []): Form => firstForm(options, vms, new URLSearchParams(query));
const sent = (form: Form): unknown => toJson(CreateVMRequestSchema, create(CreateVMRequestSchema, toRequest(form, options).input));

describe('the first form', () => {
  test('starts from an image over which a disk is made, on the network that runs', () => {
    const form = begin();
    expect(form).toMatchObject({ start: 'image', name: 'debian-13', cores: '2', memory: '2', memoryUnit: 'GiB', firmware: FirmwareType.UEFI, startNow: true });
    expect(form.disks).toHaveLength(1);
    expect(form.disks[0]).toMatchObject({ kind: 'overlay', sizeGib: '20' });
    expect(form.nics.map((nic) => nic.on)).toEqual(['network:default']);
  });

  test('follows the address that it was opened by', () => {
    const form = begin('from=iso&name=web-1&path=/iso/Win11_24H2.iso');
    expect(form).toMatchObject({ start: 'iso', name: 'web-1', iso: '/iso/Win11_24H2.iso', profile: 'windows-11', cores: '4' });
    expect(begin('from=nonsense').start).toBe('image');
    expect(begin('from=nothing&profile=other')).toMatchObject({ start: 'nothing', profile: 'other', memory: '768', memoryUnit: 'MiB' });
  });

  test('names are free', () => {
    expect(begin('', [vm('debian-13'), vm('debian-13-2')]).name).toBe('debian-13-3');
    expect(freeName('vm', [vm('vm-1')])).toBe('vm-2');
  });
});

describe('a profile', () => {
  test('proposes what was not set, and keeps what was', () => {
    const mine = set(set(begin(), { cores: '7' }, 'cores'), { name: 'mine' }, 'name');
    const windows = propose({ ...mine, profile: 'windows-11' }, options, []);
    expect(windows).toMatchObject({ cores: '7', name: 'mine', memory: '4', tpm: true, firmware: FirmwareType.UEFI });
    expect(windows.disks[0]?.sizeGib).toBe('64');
    expect(windows.nics[0]?.model).toBe(NicModel.E1000E);
    const back = propose({ ...windows, profile: 'other' }, options, []);
    expect(back).toMatchObject({ cores: '7', memory: '768', memoryUnit: 'MiB', tpm: false, firmware: FirmwareType.BIOS });
    expect(back.nics[0]?.model).toBe(NicModel.VIRTIO_NET);
  });

  test('is told by the name of the file', () => {
    const named = (path: string): string | undefined => profileByPath(path, options.osProfiles)?.id;
    expect(named('/x/debian-12-genericcloud-amd64.qcow2')).toBe('debian-12');
    expect(named('/x/Debian13.raw')).toBe('debian-13');
    expect(named('/x/debian-testing.img')).toBe('debian-13');
    expect(named('/x/Win11_24H2.iso')).toBe('windows-11');
    expect(named('/x/another.iso')).toBeUndefined();
    expect(named('')).toBeUndefined();
  });

  test('one that was chosen is not changed by a file', () => {
    const chosen = set(begin(), { profile: 'other' }, 'profile');
    expect(setSource(chosen, '/images/debian-12-generic.qcow2', options).profile).toBe('other');
  });
});

describe('what it starts from', () => {
  test('an image is never cut off by the disk over it, and its format is declared', () => {
    const form = propose(setSource(begin(), '/images/big.img', options), options, []);
    expect(form.disks[0]).toMatchObject({ sizeGib: '31', format: DiskFormat.RAW });
    expect(formatOf('/elsewhere/x.raw', options)).toBe(DiskFormat.RAW);
    expect(formatOf('/elsewhere/x.img', options)).toBe(DiskFormat.QCOW2);
    const first = setDisk(begin(), 1, { format: DiskFormat.RAW }, 'format');
    expect(setSource(first, '/images/debian-12-generic.qcow2', options).disks[0]?.format).toBe(DiskFormat.RAW);
  });

  test('changing it and back keeps the disks that were added', () => {
    const two: Form = { ...begin(), disks: [...begin().disks, { ...emptyDisk(2), sizeGib: '5' }] };
    const iso = startFrom(two, 'iso');
    expect(iso.disks.map((disk) => [disk.kind, disk.sizeGib])).toEqual([['new', '20'], ['new', '5']]);
    expect(startFrom(iso, 'image').disks.map((disk) => disk.kind)).toEqual(['overlay', 'new']);
    expect(startFrom({ ...iso, disks: [] }, 'image').disks).toHaveLength(1);
  });
});

describe('the request', () => {
  test('is what was typed: a disk over an image, memory in MiB, labels', () => {
    const form = { ...propose(setSource(begin(), '/images/debian-12-generic.qcow2', options), options, []), labels: 'env=prod, note=a b', memory: '1,5' };
    expect(sent(form)).toMatchObject({
      name: 'debian-12',
      labels: { env: 'prod', note: 'a b' },
      startOnCreate: true,
      spec: {
        cpu: { cores: 2 },
        memory: { sizeMib: '1536' },
        disks: [{ sizeGib: '20', backingFile: '/images/debian-12-generic.qcow2', backingFormat: 'QCOW2', format: 'QCOW2' }],
        nics: [{ networkId: 'default' }],
        firmware: 'UEFI',
        guestOs: { family: 'GUEST_OS_FAMILY_DEBIAN', variant: 'debian12' },
      },
    });
    expect(toRequest(form, options)).toMatchObject({ unread: [], missing: [] });
  });

  test('of the disk itself names the file alone; a bridge excludes a network', () => {
    const file = setDisk(setSource(begin(), '/images/big.img', options), 1, { kind: 'file' });
    const form = { ...file, nics: [{ ...emptyNic(1, options), on: 'bridge:br0', mac: ' 52:54:00:00:00:01 ' }] };
    const { spec } = sent(form) as { spec: { disks: unknown[]; nics: unknown[] } };
    expect(spec.disks).toEqual([{ path: '/images/big.img', format: 'RAW' }]);
    expect(spec.nics).toEqual([{ bridge: 'br0', macAddress: '52:54:00:00:00:01' }]);
  });

  test('from the network boots the disk first and the network after it', () => {
    const { spec } = sent(startFrom(begin(), 'network')) as { spec: { boot: unknown } };
    expect(spec.boot).toEqual({ bootOrder: [{}, { type: 'NETWORK' }] });
    expect((sent(startFrom(begin(), 'nothing')) as { spec: { boot?: unknown } }).spec.boot).toBeUndefined();
  });

  test('a TPM has the version that goes with the firmware', () => {
    const version = (firmware: FirmwareType): unknown => (sent({ ...begin(), tpm: true, firmware }) as { spec: { tpm: unknown } }).spec.tpm;
    expect(version(FirmwareType.BIOS)).toEqual({ enabled: true });
    expect(version(FirmwareType.UEFI)).toEqual({ enabled: true, version: 'TPM_2_0' });
  });

  test('says what is no value, and what is missing, each under its field', () => {
    const typed: Form = { ...begin(), cores: 'two', memory: '-1', labels: 'env', disks: [{ ...emptyDisk(1), kind: 'overlay', sizeGib: '1e3' }] };
    const { unread, missing } = toRequest(typed, options);
    expect(unread.map((one) => one.field)).toEqual(['spec.cpu.cores', 'spec.memory.size_mib', 'spec.disks[0].size_gib', 'labels']);
    expect(missing.map((one) => one.field)).toEqual(['spec.disks[0].path']);
    expect(toRequest(startFrom(begin(), 'iso'), options).missing.map((one) => one.field)).toEqual(['spec.cdroms[0].iso_path']);
    expect(toRequest({ ...begin(), cores: '99999999999' }, options).unread).toHaveLength(1);
  });
});

test('a unit changes how memory is written, not how much it is', () => {
  const form = { ...begin(), memory: '1.5' };
  expect(inUnit(form, 'MiB')).toMatchObject({ memory: '1536', memoryUnit: 'MiB' });
  expect(inUnit(inUnit(form, 'MiB'), 'GiB')).toMatchObject({ memory: '1.5', memoryUnit: 'GiB' });
  expect(inUnit({ ...form, memory: 'much' }, 'MiB')).toMatchObject({ memory: 'much', memoryUnit: 'MiB' });
  expect(propose(inUnit(begin(), 'MiB'), options, [])).toMatchObject({ memory: '2048', memoryUnit: 'MiB' });
});
