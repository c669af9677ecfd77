/** How calls end: gRPC status codes as error codes, `rpc.<status>`. */
import { logVerbosity, Metadata, setLogVerbosity, status as grpcStatus, type StatusObject } from '@grpc/grpc-js';
import { AmbitError } from '../lib/errors.ts';

// Failures reach callers as errors; grpc-js would print some of them on standard error too.
setLogVerbosity(logVerbosity.NONE);

export type RpcStatus =
  | 'ok'
  | 'cancelled'
  | 'unknown'
  | 'invalid-argument'
  | 'deadline-exceeded'
  | 'not-found'
  | 'already-exists'
  | 'permission-denied'
  | 'resource-exhausted'
  | 'failed-precondition'
  | 'aborted'
  | 'out-of-range'
  | 'unimplemented'
  | 'internal'
  | 'unavailable'
  | 'data-loss'
  | 'unauthenticated';

const numbers: Readonly<Record<RpcStatus, grpcStatus>> = {
  ok: grpcStatus.OK,
  cancelled: grpcStatus.CANCELLED,
  unknown: grpcStatus.UNKNOWN,
  'invalid-argument': grpcStatus.INVALID_ARGUMENT,
  'deadline-exceeded': grpcStatus.DEADLINE_EXCEEDED,
  'not-found': grpcStatus.NOT_FOUND,
  'already-exists': grpcStatus.ALREADY_EXISTS,
  'permission-denied': grpcStatus.PERMISSION_DENIED,
  'resource-exhausted': grpcStatus.RESOURCE_EXHAUSTED,
  'failed-precondition': grpcStatus.FAILED_PRECONDITION,
  aborted: grpcStatus.ABORTED,
  'out-of-range': grpcStatus.OUT_OF_RANGE,
  unimplemented: grpcStatus.UNIMPLEMENTED,
  internal: grpcStatus.INTERNAL,
  unavailable: grpcStatus.UNAVAILABLE,
  'data-loss': grpcStatus.DATA_LOSS,
  unauthenticated: grpcStatus.UNAUTHENTICATED,
};

/** Statuses by which the caller is told that it is the one to change something. */
const callersFault: ReadonlySet<RpcStatus> = new Set([
  'cancelled',
  'invalid-argument',
  'not-found',
  'permission-denied',
  'unauthenticated',
  'failed-precondition',
  'out-of-range',
]);

/** Thrown by a handler, it becomes the status and the message that the caller sees. */
export function rpcError(status: Exclude<RpcStatus, 'ok'>, message: string, cause?: unknown): AmbitError {
  const blame = callersFault.has(status) ? 'downstream' : 'upstream';
  return new AmbitError(message, { code: `rpc.${status}`, blame, cause });
}

/** The status that an `rpc.<status>` error stands for. */
export function rpcStatusOf(error: unknown): RpcStatus | undefined {
  if (!(error instanceof AmbitError) || !error.code.startsWith('rpc.')) return undefined;
  const name = error.code.slice('rpc.'.length);
  return name in numbers ? (name as RpcStatus) : undefined;
}

/** What the caller gets for a handler's throw. Only errors made by `rpcError` show their message. */
export function toGrpcStatus(error: unknown): StatusObject {
  const status = rpcStatusOf(error);
  return {
    code: numbers[status ?? 'internal'],
    details: status === undefined || !(error instanceof Error) ? 'internal error' : error.message,
    metadata: new Metadata(),
  };
}

export function fromGrpcStatus(action: string, code: number, details: string): AmbitError {
  const name = (Object.keys(numbers) as RpcStatus[]).find((status) => numbers[status] === code) ?? 'unknown';
  return rpcError(name === 'ok' ? 'unknown' : name, `Cannot ${action}: ${name}, ${explained(details)}`);
}

/** What grpc-js puts around the reason why nobody answered. */
const wrapping = /^No connection established\. Last error: (?:Error: )?(.*?)\.? Resolution note: .*$/s;

/** People look at the wrong certificate when a clock is to blame, and at the wrong machine when a root is. */
const advice: readonly (readonly [RegExp, () => string])[] = [
  [
    /^certificate (?:is not yet valid|has expired)$/,
    () => `our clock says ${new Date().toISOString()}, compare it with that of the other machine`,
  ],
  [
    /^self-signed certificate|^unable to (?:get|verify) /,
    () => 'its root is none of those that we were given: compare ConfigMap istio-ca-root-cert with its authority',
  ],
];

function explained(details: string): string {
  const reason = wrapping.exec(details)?.[1] ?? details;
  const [, hint] = advice.find(([pattern]) => pattern.test(reason)) ?? [];
  return hint === undefined
    ? reason
    : `its ${reason.startsWith('certificate') ? '' : 'certificate is refused, '}${reason}: ${hint()}`;
}
