// What the caller may do, as the server has told it in `WhoAmI`: no rule is known here.

import type { DescMethod } from '@bufbuild/protobuf';
import { Role } from '@/gen/Quantixkvm/auth/v1/access_pb';
import type { WhoAmIResponse } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';

export interface Allowance {
  readonly allowed: boolean;
  /** A sentence. Empty: it may. */
  readonly reason: string;
}

export const ALLOWED: Allowance = { allowed: true, reason: '' };

const WORDS: Record<Role, string> = {
  [Role.ROLE_UNSPECIFIED]: '',
  [Role.VIEWER]: 'viewer',
  [Role.OPERATOR]: 'operator',
  [Role.ADMIN]: 'admin',
};

export function roleWord(role: Role): string {
  return WORDS[role] ?? `role ${role}`;
}

/** `Quantixkvm.compute.v1.VMService/StartVM`: as in a URL, and in `WhoAmI`. */
export function pathOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

function sentence(needed: Role, own: Role): string {
  const role = roleWord(own);
  return `Needs the role ${roleWord(needed)}; you are ${/^[aeiou]/.test(role) ? 'an' : 'a'} ${role}.`;
}

export class Access {
  private granted: ReadonlyMap<string, Allowance> | null = null;
  private hostPaths = true;

  learn(who: Pick<WhoAmIResponse, 'role' | 'methods' | 'hostPaths'>): void {
    this.hostPaths = who.hostPaths;
    this.granted = new Map(who.methods.map(({ method, role, allowed }) => [method, allowed ? ALLOWED : { allowed, reason: sentence(role, who.role) }]));
  }

  /** Until it is told, the server's own answer is the judge. */
  may(method: DescMethod): Allowance {
    if (this.granted === null) return ALLOWED;
    return this.granted.get(pathOf(method)) ?? { allowed: false, reason: 'This server does not offer it.' };
  }

  /** Whether files of the host outside its pools may be named. */
  mayNameHostPaths(): boolean {
    return this.hostPaths;
  }
}

/** Of this page: it is drawn anew when somebody else signs in. */
export const access = new Access();

export const may = (method: DescMethod): Allowance => access.may(method);

/** For a button: why not; undefined where it may. */
export function whyNot(method: DescMethod): string | undefined {
  const { allowed, reason } = may(method);
  return allowed ? undefined : reason;
}
