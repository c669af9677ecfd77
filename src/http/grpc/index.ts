/** gRPC over exchanges: unary calls, statuses, timeouts. */
export { encodeGrpcMessage, GrpcError, grpcStatusOfHttp } from './status.ts';
export { parseGrpcTimeout } from './timeout.ts';
export { callUnary, type UnaryCallOptions } from './unary.ts';
