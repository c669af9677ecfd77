/** gRPC statuses: their numbers, how they travel, and what stands for them in HTTP. */
import { AmbitError } from '../../lib/errors.ts';
import type { HeaderList } from '../header-list.ts';

export const grpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

const names = Object.keys(grpcStatus).map((name) => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`));

/** A call that did not end with OK; `code` is `grpc.<status>`, as in `grpc.deadline-exceeded`. */
export class GrpcError extends AmbitError {
  readonly status: number;

  constructor(status: number, message: string, cause?: unknown) {
    super(message, { code: `grpc.${names[status] ?? 'unknown'}`, blame: 'upstream', cause });
    this.status = status;
  }
}

/** The status that an HTTP status stands for, where a gRPC client gets it or a server has sent it. */
export function grpcStatusOfHttp(status: number): number {
  switch (status) {
    case 400:
      return grpcStatus.internal;
    case 401:
      return grpcStatus.unauthenticated;
    case 403:
      return grpcStatus.permissionDenied;
    case 404:
      return grpcStatus.unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return grpcStatus.unavailable;
    default:
      return grpcStatus.unknown;
  }
}

/** `grpc-status` of trailers, or of a head that has no body after it; undefined when there is none, or no number. */
export function readGrpcStatus(fields: HeaderList | undefined): number | undefined {
  const text = fields?.get('grpc-status');
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** `grpc-message` for a text: UTF-8, percent-encoded but for printable ASCII other than `%`. */
export function encodeGrpcMessage(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** Lenient, as the protocol wants it: what is not encoded properly stays as it is. */
export function decodeGrpcMessage(value: string): string {
  if (!value.includes('%')) return Buffer.from(value, 'latin1').toString('utf8');
  const latin1 = value.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(latin1, 'latin1').toString('utf8');
}
