// What is proposed: by the operating system, by the image, by where it starts from. What the user
// has set himself is kept.

import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { MediaOption_Kind as Kind, type CreateOptions, type MediaOption, type OsProfile } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { DiskFormat, FirmwareType, GuestOSFamily as Family, NetworkInterface_Model as NicModel } from '@/gen/Quantixkvm/compute/v1/vm_spec_pb';
import { emptyDisk, emptyForm, nextKey, set, STARTS, type DiskForm, type Form, type Start } from './form';

const GIB = 1024n ** 3n;
const WINDOWS = new Set([Family.GUEST_OS_FAMILY_WINDOWS_SERVER, Family.GUEST_OS_FAMILY_WINDOWS_DESKTOP, Family.GUEST_OS_FAMILY_WINDOWS_LEGACY]);

export function profileOf(options: CreateOptions, id: string): OsProfile | undefined {
  return options.osProfiles.find((profile) => profile.id === id);
}

export function mediaOf(options: CreateOptions, kind: Kind): MediaOption[] {
  return options.media.filter((one) => one.kind === kind);
}

/** The best of what the host has and the profile wants. */
export function firmwareFor(profile: OsProfile, options: CreateOptions): FirmwareType {
  if (profile.firmware === FirmwareType.UEFI_SECURE_BOOT && options.secureBoot) return FirmwareType.UEFI_SECURE_BOOT;
  return profile.firmware !== FirmwareType.BIOS && options.uefi ? FirmwareType.UEFI : FirmwareType.BIOS;
}

/** `8192` is 8 GiB, `512` is 512 MiB. */
export function asTyped(mib: bigint): Pick<Form, 'memory' | 'memoryUnit'> {
  const whole = mib >= 1024n && mib % 512n === 0n;
  return whole ? { memory: String(Number(mib) / 1024), memoryUnit: 'GiB' } : { memory: String(mib), memoryUnit: 'MiB' };
}

/** Not below the image: its end would be cut off. */
function firstDiskGib(form: Form, profile: OsProfile | undefined, options: CreateOptions): bigint {
  const wanted = profile?.diskGib ?? 20n;
  const first = form.disks[0];
  if (first?.kind !== 'overlay') return wanted;
  const image = options.media.find((one) => one.path === first.path);
  const least = image === undefined ? 0n : (image.capacityBytes + GIB - 1n) / GIB;
  return least > wanted ? least : wanted;
}

/** Every proposal anew, over what has not been set. */
export function propose(form: Form, options: CreateOptions, vms: readonly VirtualMachine[]): Form {
  const profile = profileOf(options, form.profile);
  const mine = form.touched;
  const size = String(firstDiskGib(form, profile, options));
  const windows = profile !== undefined && WINDOWS.has(profile.family);
  return {
    ...form,
    ...(mine.has('name') ? {} : { name: freeName(profile?.id ?? 'vm', vms) }),
    ...(profile === undefined || mine.has('cores') ? {} : { cores: String(profile.cores) }),
    ...(profile === undefined || mine.has('memory') ? {} : asTyped(profile.memoryMib)),
    ...(profile === undefined || mine.has('firmware') ? {} : { firmware: firmwareFor(profile, options) }),
    ...(profile === undefined || mine.has('tpm') ? {} : { tpm: profile.tpm && options.tpm }),
    disks: mine.has('disk') ? form.disks : form.disks.map((disk, index) => (index === 0 ? { ...disk, sizeGib: size } : disk)),
    // Windows has no driver for the fast card until one is installed.
    nics: mine.has('nicModel') ? form.nics : form.nics.map((nic) => ({ ...nic, model: windows ? NicModel.E1000E : NicModel.VIRTIO_NET })),
  };
}

/** Starts from something else: what was set of disks, name and size stays. */
export function startFrom(form: Form, start: Start): Form {
  const [first, ...rest] = form.disks;
  if (start === 'image') {
    if (first === undefined) return { ...form, start, disks: [{ ...emptyDisk(nextKey(form.disks)), kind: 'overlay' }] };
    return first.kind === 'new' ? { ...form, start, disks: [{ ...first, kind: 'overlay' }, ...rest] } : { ...form, start };
  }
  const kept: DiskForm[] = first === undefined ? [] : [{ ...first, kind: 'new', format: DiskFormat.QCOW2 }];
  return { ...form, start, disks: form.start === 'image' ? [...kept, ...rest] : form.disks };
}

/** Declared by the pool, or else by how such files are called. */
export function formatOf(path: string, options: CreateOptions): DiskFormat {
  const known = options.media.find((one) => one.path === path)?.format;
  if (known !== undefined && known !== DiskFormat.DISK_FORMAT_UNSPECIFIED) return known;
  return /\.(raw|iso)$/i.test(path) || path.startsWith('/dev/') ? DiskFormat.RAW : DiskFormat.QCOW2;
}

/** The operating system that a file is called after: `debian-12-generic-amd64.qcow2`. */
export function profileByPath(path: string, profiles: readonly OsProfile[]): OsProfile | undefined {
  const name = (path.split('/').pop() ?? '').toLowerCase();
  const plain = name.replaceAll(/[^a-z0-9]/g, '');
  const spelled = (profile: OsProfile): string[] =>
    [profile.id, profile.variant].map((one) => one.toLowerCase().replaceAll(/[^a-z0-9]/g, '')).filter((one) => one.length > 3);
  const exact = profiles.filter((profile) => spelled(profile).some((one) => plain.includes(one)));
  const longest = exact.sort((a, b) => b.id.length - a.id.length)[0];
  if (longest !== undefined && longest.id !== 'other' && longest.id !== 'linux') return longest;
  // Of a system in several versions the newest, which is first.
  const word = /^[a-z]{4,}/.exec(name)?.[0];
  return word === undefined ? undefined : profiles.find((profile) => profile.id.split('-')[0] === word && profile.id !== 'linux' && profile.id !== 'other');
}

/** The file to start from, with what follows from it. */
export function setSource(form: Form, path: string, options: CreateOptions): Form {
  const at = path.trim();
  const guessed = form.touched.has('profile') ? undefined : profileByPath(at, options.osProfiles);
  const profile = guessed === undefined ? {} : { profile: guessed.id };
  if (form.start === 'iso') return { ...form, ...profile, iso: path };
  const [first, ...rest] = form.disks;
  if (first === undefined) return form;
  const format = form.touched.has('format') ? {} : { format: formatOf(at, options) };
  return { ...form, ...profile, disks: [{ ...first, path, ...format }, ...rest] };
}

/** `debian-12`, then `debian-12-2`. */
export function freeName(base: string, vms: readonly VirtualMachine[]): string {
  const taken = new Set(vms.map((vm) => vm.name));
  if (base !== 'vm' && !taken.has(base)) return base;
  for (let number = base === 'vm' ? 1 : 2; ; number += 1) {
    if (!taken.has(`${base}-${number}`)) return `${base}-${number}`;
  }
}

/** The form as an address asks for it: `/vms/new?from=iso&name=web-1`. */
export function firstForm(options: CreateOptions, vms: readonly VirtualMachine[], query: URLSearchParams): Form {
  const asked = query.get('from');
  const start = STARTS.find((one) => one === asked) ?? (mediaOf(options, Kind.DISK).length === 0 && mediaOf(options, Kind.ISO).length > 0 ? 'iso' : 'image');
  const profile = profileOf(options, query.get('profile') ?? '')?.id;
  let form = startFrom({ ...emptyForm(options), profile: profile ?? options.osProfiles[0]?.id ?? '' }, start);
  if (profile !== undefined) form = set(form, {}, 'profile');
  const name = query.get('name');
  if (name !== null && name !== '') form = set(form, { name }, 'name');
  const path = query.get('path');
  if (path !== null) form = setSource(form, path, options);
  return propose(form, options, vms);
}
