/**
 * A resource as it stands in a discovery response: encoded once, whoever it is sent to.
 *
 * Two hundred subscribers of 11,000 resources cost 16 s of CPU when each response encoded them again, and 3 s so.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { ResourceSchema } from '../gen/discovery_pb.ts';
import type { DeltaResource } from './discovery.ts';
import { serializeMessage } from './message.ts';

interface Frame {
  readonly typeUrl: string;
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
}

/** `DeltaDiscoveryResponse.resources` */
const resourcesField = 2;
/** By the body, whose owner keeps it as long as the resource lives. */
const frames = new WeakMap<Uint8Array, Frame>();

/** Tag, length and message. The body must not change afterwards. */
export function resourceFrame(typeUrl: string, { name, version, body, aliases = [] }: DeltaResource): Uint8Array {
  const known = frames.get(body);
  if (known?.name === name && known.version === version && known.typeUrl === typeUrl) return known.bytes;
  const message = serializeMessage(ResourceSchema, {
    name,
    version,
    aliases: [...aliases],
    resource: { typeUrl, value: body },
  });
  const bytes = new BinaryWriter().tag(resourcesField, WireType.LengthDelimited).bytes(message).finish();
  frames.set(body, { typeUrl, name, version, bytes });
  return bytes;
}
