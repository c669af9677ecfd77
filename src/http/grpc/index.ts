/** gRPC over exchanges: unary calls, statuses, timeouts. */
export { encodeGrpcMessage, GrpcError, grpcStatus, grpcStatusOfHttp, readGrpcStatus } from './status.ts';
export { parseGrpcTimeout } from './timeout.ts';
export { callUnary, type UnaryCallOptions } from './unary.ts';
