// A call as a thing: what runs it and what shows it as curl (`curl.ts`) see the same method and the
// same body.

import { create, toJson, type DescMessage, type DescMethodUnary, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import { transport } from './transport';

export interface Call<I extends DescMessage = DescMessage, O extends DescMessage = DescMessage> {
  readonly method: DescMethodUnary<I, O>;
  readonly input: MessageInitShape<I>;
}

export function call<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  input: MessageInitShape<I>,
): Call<I, O> {
  return { method, input };
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  /** Asked again with the same key, the server does it once. */
  readonly idempotencyKey?: string;
}

/** Asks the server; throws what `toProblem` reads. */
export async function run<I extends DescMessage, O extends DescMessage>(
  what: Call<I, O>,
  options: RunOptions = {},
): Promise<MessageShape<O>> {
  const headers = new Headers();
  if (options.idempotencyKey !== undefined) headers.set('Idempotency-Key', options.idempotencyKey);
  const answer = await transport.unary(what.method, options.signal, undefined, headers, what.input);
  return answer.message;
}

/** For `Idempotency-Key`. `crypto.randomUUID` is not there over plain HTTP. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What is sent, as JSON. */
export function bodyOf<I extends DescMessage, O extends DescMessage>({ method, input }: Call<I, O>): string {
  return JSON.stringify(toJson(method.input, create(method.input, input)));
}
