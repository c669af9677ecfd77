/** The server's end of one bidirectional stream. */
import { Metadata, type ServerDuplexStream } from '@grpc/grpc-js';
import type { RpcCall } from './call.ts';
import { toGrpcStatus } from './status.ts';

export interface RpcStreamReader<T> {
  onMessage(message: T): void;
  /** The peer will send no more. */
  onEnd?(): void;
  /** The stream takes messages again after a `write` that returned false. */
  onDrain?(): void;
  /** Both directions are over. Exactly once, last. */
  onClose(): void;
}

export interface RpcServerStream<Request, Response> {
  readonly call: RpcCall;
  /** Starts the flow of messages; nothing is read from the peer before. Once only. */
  read(reader: RpcStreamReader<Request>): void;
  /** False: queued, but stop until `onDrain`. After the end, messages are dropped. */
  write(message: Response): boolean;
  /** Ends the stream with status OK. */
  end(): void;
  /** Ends the stream with the error's status (`rpcError`), or "internal". */
  fail(error: unknown): void;
}

export function createServerStream<Request, Response>(
  call: ServerDuplexStream<Request, Response>,
  context: RpcCall,
): RpcServerStream<Request, Response> {
  let reader: RpcStreamReader<Request> | undefined;
  let ended = false;
  let closed = false;
  const close = (): void => {
    if (closed) return;
    closed = true;
    ended = true;
    reader?.onClose();
  };
  context.signal.addEventListener('abort', close, { once: true });
  // A message that cannot be decoded, or a broken connection. The status is grpc-js' own; the process lives.
  call.on('error', close);
  // Headers at once: the client then knows that it is connected, before the first message.
  call.sendMetadata(new Metadata());
  return {
    call: context,
    read(next) {
      if (closed) return next.onClose();
      reader = next;
      call.on('drain', () => ended || next.onDrain?.());
      call.on('end', () => closed || next.onEnd?.());
      call.on('data', (message: Request) => closed || next.onMessage(message));
    },
    write(message) {
      return ended ? true : call.write(message);
    },
    end() {
      if (ended) return;
      ended = true;
      call.end();
    },
    fail(error) {
      if (ended) return;
      ended = true;
      call.emit('error', toGrpcStatus(error));
    },
  };
}
