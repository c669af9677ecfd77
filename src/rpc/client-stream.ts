/** The client's end of one bidirectional stream. */
import type { Client, Metadata, ServiceError } from '@grpc/grpc-js';
import type { AmbitError } from '../lib/errors.ts';
import type { RpcMethod } from './method.ts';
import { fromGrpcStatus, rpcError } from './status.ts';

export interface RpcClientStreamReader<T> {
  /** The server answered: the stream stands. Before the first message, at most once. */
  onOpen?(): void;
  onMessage(message: T): void;
  /** The stream is over; without `error`, the server ended it in order. Exactly once, last. */
  onClose(error?: AmbitError): void;
}

export interface RpcClientStream<T> {
  /** False: queued, but the peer is slow. After the end, messages are dropped. */
  write(message: T): boolean;
  /** No more messages from here. */
  end(): void;
  /** Ends both directions; `onClose` follows. */
  cancel(): void;
}

export interface ClientStreamOptions<Request, Response> {
  readonly client: Client;
  /** For messages. */
  readonly target: string;
  readonly method: RpcMethod<Request, Response>;
  readonly metadata: Metadata;
  readonly reader: RpcClientStreamReader<Response>;
}

export function openClientStream<Request, Response>(
  options: ClientStreamOptions<Request, Response>,
): RpcClientStream<Request> {
  const { client, target, method, metadata, reader } = options;
  const call = client.makeBidiStreamRequest(
    method.path,
    (value: Request) => Buffer.from(method.request.encode(value)),
    (bytes: Buffer) => method.response.decode(bytes),
    metadata,
  );
  let closed = false;
  let failure: AmbitError | undefined;
  const close = (error?: AmbitError): void => {
    if (closed) return;
    closed = true;
    reader.onClose(failure ?? error);
  };
  call.on('metadata', () => closed || reader.onOpen?.());
  call.on('data', (message: Response) => {
    if (closed) return;
    try {
      reader.onMessage(message);
    } catch (error) {
      // Not ours to judge, and it must not end the process from inside grpc-js.
      failure = rpcError('internal', `Cannot handle a message of ${target}`, error);
      call.cancel();
    }
  });
  call.on('error', (error: ServiceError) => close(fromGrpcStatus(`stream from ${target}`, error.code, error.details)));
  call.on('status', ({ code, details }) => {
    // An error status has its own event, after this one.
    if (code === 0) close();
    else failure ??= fromGrpcStatus(`stream from ${target}`, code, details);
  });
  return {
    write: (message) => (closed || call.writableEnded ? true : call.write(message)),
    end: () => void (call.writableEnded || call.end()),
    cancel: () => call.cancel(),
  };
}
