import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { VirtualMachineSchema, type VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { paletteItems } from './palette_items';
import { best, fit } from './palette_match';

function vm(name: string, allowed: string[]): VirtualMachine {
  return create(VirtualMachineSchema, {
    id: `id-${name}`,
    name,
    allowedActions: ['start', 'stop', 'force_stop', 'reboot'].map((verb) => ({
      verb,
      allowed: allowed.includes(verb),
      reason: allowed.includes(verb) ? '' : `VM "${name}" does not allow ${verb}`,
    })),
  });
}

const VMS = [vm('web-01', ['stop', 'reboot']), vm('web-02', ['start']), vm('mail', ['stop'])];
const texts = (query: string, only: VirtualMachine | null = null): string[] =>
  paletteItems(query, VMS, only).map((item) => item.text);

describe('how well something fits', () => {
  test('every word must be there, the beginning of a word counts more', () => {
    expect(fit('web zz', 'web-01')).toBeNull();
    expect(fit('01 web', 'web-01')).not.toBeNull();
    expect(best('db', ['ndbx', 'my-db', 'db'], (text) => text, 3)).toEqual(['db', 'my-db', 'ndbx']);
  });
});

describe('the palette', () => {
  test('a verb and a VM: those that may come first, the others say why', () => {
    const items = paletteItems('stop web', VMS, null).filter((item) => item.kind === 'verb');
    expect(items.map((item) => [item.text, item.allowed])).toEqual([
      ['Stop web-01', true],
      ['Stop web-02', false],
    ]);
    expect(items[1]).toMatchObject({ reason: 'VM "web-02" does not allow stop' });
  });

  test('a verb of two words, and a verb not yet typed out', () => {
    expect(texts('power off now mail')).toContain('Power off now mail');
    expect(texts('sta 02')[0]).toBe('Start web-02');
  });

  test('VMs by name, pages by name, all pages at first', () => {
    expect(texts('mail')[0]).toBe('mail');
    expect(texts('nod')).toEqual(['Nodes']);
    expect(texts('')).toEqual(expect.arrayContaining(['web-01', 'Overview', 'New VM']));
  });

  test('of one VM alone: its verbs, those that may first', () => {
    expect(texts('', VMS[0] ?? null).slice(0, 2)).toEqual(['Stop web-01', 'Reboot web-01']);
    expect(texts('reboot', VMS[0] ?? null)).toEqual(['Reboot web-01']);
  });
});
