// Paths of the contract in words, for people.

const WORDS: Readonly<Record<string, string>> = {
  'spec.cpu.cores': 'vCPUs',
  'spec.cpu.max_cores': 'most vCPUs',
  'spec.cpu.model': 'CPU model',
  'spec.memory.size_mib': 'memory (MiB)',
  'spec.memory.max_memory_mib': 'most memory (MiB)',
  'spec.firmware': 'firmware',
  'spec.tpm': 'TPM',
  'spec.watchdog': 'watchdog',
  'spec.rng': 'random source',
  'spec.display': 'display',
};
const LISTS: Readonly<Record<string, string>> = { disks: 'disk', cdroms: 'CD-ROM', nics: 'network card' };

/** `spec.disks[vda].cache`: `disk vda, cache`. What is not known is given as it is. */
export function pathWords(path: string): string {
  const known = WORDS[path];
  if (known !== undefined) return known;
  const device = /^spec\.(\w+)\[([^\]]+)\](?:\.(.+))?$/.exec(path);
  const list = device?.[1] === undefined ? undefined : LISTS[device[1]];
  if (device === null || list === undefined) return path.replace(/^spec\./, '').replaceAll('_', ' ');
  const field = device[3] === undefined ? '' : `, ${device[3].replaceAll('_', ' ')}`;
  return `${list} ${device[2]}${field}`;
}
