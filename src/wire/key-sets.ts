/** The one call of `ambit.keys.KeySetService`: a proxy asks the control plane to fetch the keys of an issuer anew. */
import { RefreshRequestSchema, RefreshResponseSchema } from '../gen/keys_pb.ts';
import { parseMessage, serializeMessage, type WireCodec } from './message.ts';

export interface RefreshKeySetRequest {
  /** As `JwtRule` of `api/l7` has it. */
  readonly keySet: string;
}

/** How the call travels; the shape is that of `rpc`'s methods. */
export const refreshKeySetMethod: {
  readonly path: string;
  readonly request: WireCodec<RefreshKeySetRequest>;
  readonly response: WireCodec<Readonly<Record<string, never>>>;
} = {
  path: '/ambit.keys.KeySetService/Refresh',
  request: {
    encode: ({ keySet }) => serializeMessage(RefreshRequestSchema, { keySet }),
    decode: (bytes) => ({ keySet: parseMessage(RefreshRequestSchema, bytes).keySet }),
  },
  response: {
    encode: () => serializeMessage(RefreshResponseSchema, {}),
    decode(bytes) {
      parseMessage(RefreshResponseSchema, bytes);
      return {};
    },
  },
};
