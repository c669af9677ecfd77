/** What a server knows of the caller. */
import type { Metadata, ServerDuplexStream, ServerUnaryCall } from '@grpc/grpc-js';
import type { RpcMetadata } from './method.ts';

export interface RpcCall {
  readonly metadata: RpcMetadata;
  /** `ip:port` */
  readonly peerAddress: string;
  /** DER of the client's leaf, only when it verified against the client roots. */
  readonly peerCertificate?: Uint8Array;
  /** Aborts when the call is over, for whatever reason. */
  readonly signal: AbortSignal;
}

export function callOf<Request, Response>(
  call: ServerUnaryCall<Request, Response> | ServerDuplexStream<Request, Response>,
): RpcCall {
  const over = new AbortController();
  // grpc-js says "cancelled" at every end, also a normal one.
  (call as NodeJS.EventEmitter).once('cancelled', () => over.abort());
  const peerCertificate = call.getAuthContext()?.sslPeerCertificate?.raw;
  return {
    metadata: flatten(call.metadata),
    peerAddress: call.getPeer(),
    ...(peerCertificate ? { peerCertificate } : {}),
    signal: over.signal,
  };
}

function flatten(metadata: Metadata): Map<string, string> {
  return new Map(Object.entries(metadata.getMap()).map(([name, value]) => [name, value.toString()]));
}
