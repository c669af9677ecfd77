/** A gRPC server over TLS: unary calls and bidirectional streams, with per-call metadata and peer certificate. */
import {
  Server,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { formatHostPort } from '../lib/ip.ts';
import type { Log } from '../lib/log.ts';
import { callOf, type RpcCall } from './call.ts';
import type { RpcMethod } from './method.ts';
import { createRotatingCredentials, type RotatingCredentials, type ServerCertificate } from './server-credentials.ts';
import { createServerStream, type RpcServerStream } from './server-stream.ts';
import { rpcStatusOf, toGrpcStatus } from './status.ts';

export interface RpcServerOptions {
  readonly certificate: ServerCertificate;
  /** Clients are asked for a certificate and may decline. One that does not verify counts as none. */
  readonly clientRootsPem?: string;
  readonly log: Log;
  /** Default 200 MiB. */
  readonly maxReceiveBytes?: number;
  /** Connections end after about this time, so that callers authenticate again. Default: never. */
  readonly maxConnectionAgeMs?: number;
}

export interface RpcServer {
  /** A throw made by `rpcError` becomes the caller's status; any other is logged and shown as "internal error". */
  handleUnary<Request, Response>(
    method: RpcMethod<Request, Response>,
    handler: (request: Request, call: RpcCall) => Promise<Response>,
  ): void;
  handleStream<Request, Response>(
    method: RpcMethod<Request, Response>,
    handler: (stream: RpcServerStream<Request, Response>) => Promise<void>,
  ): void;
  /** Resolves to the port. Port 0 picks one. */
  listen(address: { readonly host: string; readonly port: number }): Promise<number>;
  setCertificate(certificate: ServerCertificate): void;
  setClientRoots(rootsPem: string): void;
  /** Stops accepting, lets calls finish for `drainMs` (default 0), then ends them. Idempotent. */
  close(drainMs?: number): Promise<void>;
}

const mebibyte = 1024 * 1024;

export function createRpcServer(options: RpcServerOptions): RpcServer {
  const { log, maxReceiveBytes = 200 * mebibyte, maxConnectionAgeMs } = options;
  const credentials = createRotatingCredentials(options.certificate, options.clientRootsPem);
  const server = new Server({
    'grpc.max_receive_message_length': maxReceiveBytes,
    'grpc.max_send_message_length': -1,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.keepalive_permit_without_calls': 1,
    ...(maxConnectionAgeMs === undefined
      ? {}
      : { 'grpc.max_connection_age_ms': maxConnectionAgeMs, 'grpc.max_connection_age_grace_ms': 10_000 }),
  });
  return {
    handleUnary: (method, handler) => addUnary(server, method, handler, log),
    handleStream: (method, handler) => addStream(server, method, handler, log),
    listen: ({ host, port }) => listen(server, credentials, host, port),
    setCertificate: (certificate) => credentials.setCertificate(certificate),
    setClientRoots: (rootsPem) => credentials.setClientRoots(rootsPem),
    close: (drainMs = 0) => close(server, drainMs),
  };
}

function addUnary<Request, Response>(
  server: Server,
  method: RpcMethod<Request, Response>,
  handler: (request: Request, call: RpcCall) => Promise<Response>,
  log: Log,
): void {
  server.addService(definition(method, false), {
    call(call: ServerUnaryCall<Request, Response>, answer: sendUnaryData<Response>): void {
      const context = callOf(call);
      // The promise is made inside, so that a handler that throws at once is treated like one that rejects.
      Promise.resolve()
        .then(() => handler(call.request, context))
        .then(
          (response) => answer(null, response),
          (error: unknown) => {
            logUnexpected(log, method.path, context, error);
            answer(toGrpcStatus(error));
          },
        );
    },
  });
}

function addStream<Request, Response>(
  server: Server,
  method: RpcMethod<Request, Response>,
  handler: (stream: RpcServerStream<Request, Response>) => Promise<void>,
  log: Log,
): void {
  server.addService(definition(method, true), {
    call(call: ServerDuplexStream<Request, Response>): void {
      const context = callOf(call);
      const stream = createServerStream(call, context);
      Promise.resolve()
        .then(() => handler(stream))
        .catch((error: unknown) => {
          logUnexpected(log, method.path, context, error);
          stream.fail(error);
        });
    },
  });
}

function definition<Request, Response>(method: RpcMethod<Request, Response>, streaming: boolean): ServiceDefinition {
  return {
    call: {
      path: method.path,
      requestStream: streaming,
      responseStream: streaming,
      requestSerialize: (value: Request) => Buffer.from(method.request.encode(value)),
      requestDeserialize: (bytes: Buffer) => method.request.decode(bytes),
      responseSerialize: (value: Response) => viewOf(method.response.encode(value)),
      responseDeserialize: (bytes: Buffer) => method.response.decode(bytes),
    },
  };
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function logUnexpected(log: Log, path: string, call: RpcCall, error: unknown): void {
  if (rpcStatusOf(error) === undefined) {
    log.error('call failed', { path, peer: call.peerAddress, error: messageOf(error) });
  }
}

function listen(server: Server, credentials: RotatingCredentials, host: string, port: number): Promise<number> {
  const address = formatHostPort(host, port);
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials.grpc, (error, bound) => {
      if (!error) return resolve(bound);
      reject(
        new AmbitError(`Cannot listen on ${address}: ${messageOf(error)}`, {
          code: 'rpc.listen-failed',
          blame: 'internal',
          cause: error,
        }),
      );
    });
  });
}

function close(server: Server, drainMs: number): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.forceShutdown(), drainMs);
    server.tryShutdown(() => {
      clearTimeout(force);
      resolve();
    });
  });
}
