/** A unary gRPC call over any exchange. */
import type { Clock } from '../../lib/clock.ts';
import { codeOf, messageOf } from '../../lib/errors.ts';
import { type Call, callHttp, type HttpAnswer, type OpenExchange } from '../call.ts';
import { HeaderList } from '../header-list.ts';
import { ExchangeError } from '../message.ts';
import { decodeGrpcMessage, GrpcError, grpcStatus, grpcStatusOfHttp, readGrpcStatus } from './status.ts';
import { formatGrpcTimeout } from './timeout.ts';

export interface UnaryCallOptions {
  readonly open: OpenExchange;
  /** Of the service, for `:authority`. */
  readonly authority: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly message: Uint8Array;
  readonly metadata?: HeaderList;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Of the answer; default 4 MiB. */
  readonly maxMessageBytes?: number;
}

const prefixBytes = 5;
const defaultMaxMessageBytes = 4 * 1024 * 1024;

/** Sends `message`; `answer` is the bytes of the one that came back, or rejects with a `GrpcError`. Nothing is compressed. */
export function callUnary(options: UnaryCallOptions): Call<Uint8Array> {
  const { open, authority, path, message, metadata, clock, timeoutMs } = options;
  const headers = new HeaderList(['content-type', 'application/grpc', 'te', 'trailers']).add(
    'grpc-timeout',
    formatGrpcTimeout(timeoutMs),
  );
  if (metadata) headers.fields.push(...metadata.fields);
  const call = callHttp({
    open,
    head: { method: 'POST', scheme: 'http', authority, path, headers, version: 'http/2' },
    body: frameGrpcMessage(message),
    clock,
    timeoutMs,
    maxResponseBytes: (options.maxMessageBytes ?? defaultMaxMessageBytes) + prefixBytes,
  });
  return { answer: readAnswer(call.answer), cancel: () => call.cancel() };
}

/** A message behind its prefix: not compressed, and so long. */
function frameGrpcMessage(message: Uint8Array): Uint8Array {
  const framed = Buffer.allocUnsafe(prefixBytes + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, prefixBytes);
  return framed;
}

async function readAnswer(pending: Promise<HttpAnswer>): Promise<Uint8Array> {
  let answer: HttpAnswer;
  try {
    answer = await pending;
  } catch (error) {
    throw new GrpcError(failureStatus(error), messageOf(error), error);
  }
  const { body, status: httpStatus, headers } = answer;
  // Trailers-only: the head of an answer without a body carries the status.
  const fields = answer.trailers ?? (body.length === 0 ? headers : undefined);
  const status = readGrpcStatus(fields);
  if (status === undefined) {
    if (httpStatus === 200) throw new GrpcError(grpcStatus.unknown, 'Answer has no grpc-status');
    throw new GrpcError(grpcStatusOfHttp(httpStatus), `Answer has HTTP status ${httpStatus} and no grpc-status`);
  }
  if (status !== grpcStatus.ok) throw new GrpcError(status, decodeGrpcMessage(fields?.get('grpc-message') ?? ''));
  if (body.length < prefixBytes || body.readUInt32BE(1) !== body.length - prefixBytes) {
    throw new GrpcError(grpcStatus.internal, `Answer of ${body.length} bytes is not one message`);
  }
  if (body[0] !== 0) throw new GrpcError(grpcStatus.internal, 'Answer is compressed, which nobody asked for');
  return body.subarray(prefixBytes);
}

function failureStatus(error: unknown): number {
  if (codeOf(error) === 'http.call-timeout') return grpcStatus.deadlineExceeded;
  if (codeOf(error) === 'http.answer-too-large') return grpcStatus.resourceExhausted;
  if (error instanceof ExchangeError && error.reason === 'local-reset') return grpcStatus.cancelled;
  return grpcStatus.unavailable;
}
