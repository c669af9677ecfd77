/** Remote calls: unary and bidirectional streams over gRPC and TLS. */
export { createRpcChannel, type RpcChannel, type RpcChannelOptions } from './channel.ts';
export type { RpcClientStream, RpcClientStreamReader } from './client-stream.ts';
export type { RpcCodec, RpcMetadata, RpcMethod } from './method.ts';
export type { ServerCertificate } from './server-credentials.ts';
export type { RpcServerStream, RpcStreamReader } from './server-stream.ts';
export type { RpcCall } from './call.ts';
export { createRpcServer, type RpcServer, type RpcServerOptions } from './server.ts';
export { rpcError, rpcStatusOf, type RpcStatus } from './status.ts';
