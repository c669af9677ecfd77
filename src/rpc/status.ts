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
  return rpcError(name === 'ok' ? 'unknown' : name, `Cannot ${action}: ${name}, ${details}`);
}
