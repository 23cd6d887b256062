// A call for a shell. It is sent by whoever has the token: the page has none to give away.

import type { DescMessage } from '@bufbuild/protobuf';
import { pathOf } from './access';
import { bodyOf, type Call } from './call';

const BY_VARIABLE = '"Authorization: Bearer $QKVM_TOKEN"';
let authorization: string | null = null;

/** Whether a call from elsewhere needs a token: not in a demonstration. */
export function curlNeedsToken(needed: boolean): void {
  authorization = needed ? BY_VARIABLE : null;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** `token`: the one to send; else what the caller's shell has in QKVM_TOKEN, where one is needed. */
export function asCurl<I extends DescMessage, O extends DescMessage>(what: Call<I, O>, origin: string, token?: string): string {
  const header = token === undefined ? authorization : quoted(`Authorization: Bearer ${token}`);
  return [
    `curl -X POST ${origin}/${pathOf(what.method)} \\`,
    ...(header === null ? [] : [`  -H ${header} \\`]),
    `  -H 'Content-Type: application/json' \\`,
    `  -d ${quoted(bodyOf(what))}`,
  ].join('\n');
}
