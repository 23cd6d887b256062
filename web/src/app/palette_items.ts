// What the palette offers for what was typed: pages, VMs, and verbs of VMs.

import type { DescMethod } from '@bufbuild/protobuf';
import { may } from '@/api/access';
import { allowance, VERBS, type Verb } from '@/api/verbs';
import { mayDelete } from '@/features/vms/actions/ask';
import { AuthService } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { VMService } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { best, fit } from './palette_match';
import { paths } from './paths';

export type Item =
  | {
      readonly kind: 'page';
      readonly key: string;
      readonly text: string;
      readonly to: string;
      /** What its page is for; absent: for everybody. */
      readonly needs?: DescMethod;
    }
  | { readonly kind: 'vm'; readonly key: string; readonly text: string; readonly vm: VirtualMachine }
  | {
      readonly kind: 'verb';
      readonly key: string;
      readonly text: string;
      readonly vm: VirtualMachine;
      /** Null: deleting, which shows first what goes. */
      readonly verb: Verb | null;
      readonly allowed: boolean;
      readonly reason: string;
    };

const PAGES: readonly Item[] = [
  { kind: 'page', key: 'p:overview', text: 'Overview', to: paths.overview() },
  { kind: 'page', key: 'p:vms', text: 'VMs', to: paths.vms() },
  { kind: 'page', key: 'p:new', text: 'New VM', to: paths.newVm(), needs: VMService.method.createVM },
  { kind: 'page', key: 'p:nodes', text: 'Nodes', to: paths.nodes() },
  { kind: 'page', key: 'p:events', text: 'Events', to: paths.events() },
  { kind: 'page', key: 'p:operations', text: 'Operations', to: paths.operations() },
  { kind: 'page', key: 'p:users', text: 'Users', to: paths.access('users'), needs: AuthService.method.listUsers },
  { kind: 'page', key: 'p:tokens', text: 'API tokens', to: paths.access('tokens') },
  { kind: 'page', key: 'p:sessions', text: 'Sessions', to: paths.access('sessions') },
  { kind: 'page', key: 'p:audit', text: 'Audit log', to: paths.access('audit'), needs: AuthService.method.listAuditEntries },
];

/** Why an item can't be chosen. Empty: it can. */
export function whyNotItem(item: Item): string {
  if (item.kind === 'vm') return '';
  if (item.kind === 'verb') return item.allowed ? '' : item.reason || 'Not now.';
  return item.needs === undefined ? '' : may(item.needs).reason;
}

const VMS = 8;
const VERB_LINES = 8;

const CHOICES: readonly (Verb | null)[] = [...VERBS, null];
const wordOf = (verb: Verb | null): string => verb?.word ?? 'Delete';

/** The verbs of one VM, those that are allowed first. */
export function verbItems(vm: VirtualMachine): Item[] {
  const items = CHOICES.map((verb): Item & { kind: 'verb' } => ({
    kind: 'verb',
    key: `a:${verb?.verb ?? 'delete'}:${vm.id}`,
    text: `${wordOf(verb)} ${vm.name}`,
    vm,
    verb,
    ...(verb === null ? mayDelete(vm) : allowance(vm, verb.verb)),
  }));
  return [...items.filter((item) => item.allowed), ...items.filter((item) => !item.allowed)];
}

/** `stop web` is a verb and what is left to find the VM by. */
function verbsNamed(query: string): { verb: Verb | null; rest: string }[] {
  const typed = query.trim().toLowerCase();
  return CHOICES.flatMap((verb) => {
    const word = wordOf(verb).toLowerCase();
    if (typed.startsWith(word)) return [{ verb, rest: typed.slice(word.length) }];
    const [first = '', ...rest] = typed.split(/\s+/);
    return first.length >= 3 && word.startsWith(first) ? [{ verb, rest: rest.join(' ') }] : [];
  });
}

export function paletteItems(query: string, vms: readonly VirtualMachine[], only: VirtualMachine | null): Item[] {
  if (only !== null) {
    const items = verbItems(only);
    return query.trim() === '' ? items : items.filter((item) => fit(query, item.text) !== null);
  }
  const searchText = (vm: VirtualMachine): string =>
    `${vm.name} ${vm.status?.ipAddresses.join(' ') ?? ''} ${vm.id}`;
  const found = best(query, vms, searchText, VMS).map(
    (vm): Item => ({ kind: 'vm', key: `v:${vm.id}`, text: vm.name, vm }),
  );
  const verbs = verbsNamed(query).flatMap(({ verb, rest }) =>
    best(rest, vms, (vm) => vm.name, VMS).flatMap((vm) => verbItems(vm).filter((item) => item.kind === 'verb' && item.verb === verb)),
  );
  const can = (item: Item): boolean => whyNotItem(item) === '';
  const ordered = [...verbs.filter(can), ...verbs.filter((item) => !can(item))].slice(0, VERB_LINES);
  return [...ordered, ...found, ...best(query, PAGES, (item) => item.text, PAGES.length)];
}
