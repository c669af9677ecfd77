/** The other ends of policy services, for tests: authorizers and rate limit services read requests and write answers. */
import { create, fromBinary, type MessageInitShape, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { CheckRequestSchema, CheckResponseSchema } from '../gen/ext_authz_pb.ts';
import { RateLimitRequestSchema, RateLimitResponseSchema } from '../gen/rate_limit_pb.ts';

export type CheckResponseInit = MessageInitShape<typeof CheckResponseSchema>;
export type RateLimitResponseInit = MessageInitShape<typeof RateLimitResponseSchema>;

export function readCheckRequest(bytes: Uint8Array): MessageShape<typeof CheckRequestSchema> {
  return fromBinary(CheckRequestSchema, bytes);
}

export function writeCheckResponse(init: CheckResponseInit): Uint8Array {
  return toBinary(CheckResponseSchema, create(CheckResponseSchema, init));
}

export function readRateLimitRequest(bytes: Uint8Array): MessageShape<typeof RateLimitRequestSchema> {
  return fromBinary(RateLimitRequestSchema, bytes);
}

export function writeRateLimitResponse(init: RateLimitResponseInit): Uint8Array {
  return toBinary(RateLimitResponseSchema, create(RateLimitResponseSchema, init));
}
