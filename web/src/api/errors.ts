// What a call answers when it does not do what was asked, in the shape that the page shows.

import { Code, ConnectError } from '@connectrpc/connect';
import { BadRequestSchema, ErrorInfoSchema, RequestInfoSchema } from '@/gen/google/rpc/error_details_pb';

export interface FieldViolation {
  /** Path in proto spelling: `spec.disks[0].size_gib`. */
  readonly field: string;
  readonly message: string;
}

/** A call that failed. */
export interface Problem {
  /** Connect's code: `failed_precondition`. */
  readonly code: string;
  /** The server's word for the situation: `STALE_RESOURCE_VERSION`. Empty: none. */
  readonly reason: string;
  /** A sentence of the server's. */
  readonly message: string;
  readonly fieldViolations: readonly FieldViolation[];
  /** What to look for in the log. Empty: the server was not reached. */
  readonly requestId: string;
}

function codeName(code: Code): string {
  return (Code[code] ?? 'unknown').replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}

/** Puts whatever was thrown into words. */
export function toProblem(thrown: unknown): Problem {
  const error = ConnectError.from(thrown);
  const violations = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
  const info = error.findDetails(RequestInfoSchema)[0];
  const offline = error.code === Code.Unknown && error.cause instanceof TypeError;
  return {
    code: offline ? 'unavailable' : codeName(error.code),
    reason: error.findDetails(ErrorInfoSchema)[0]?.reason ?? '',
    message: offline ? 'The server was not reached. What was asked may not have arrived.' : error.rawMessage,
    fieldViolations: violations.map(({ field, description }) => ({ field, message: description })),
    requestId: info?.requestId || (error.metadata.get('x-request-id') ?? ''),
  };
}

/** What is wrong with one field, or with something inside it. */
export function violationsOf(problem: Problem | null | undefined, field: string): string[] {
  const inside = (path: string): boolean =>
    path === field || path.startsWith(`${field}.`) || path.startsWith(`${field}[`);
  return (problem?.fieldViolations ?? []).filter((one) => inside(one.field)).map((one) => one.message);
}
