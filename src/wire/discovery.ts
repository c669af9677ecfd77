/** Delta xDS: requests and responses of `envoy.service.discovery.v3`, as plain values. */
import type { JsonObject } from '@bufbuild/protobuf';
import { DeltaDiscoveryRequestSchema, DeltaDiscoveryResponseSchema } from '../gen/discovery_pb.ts';
import { wireError } from './errors.ts';
import { parseMessage, serializeMessage, type WireCodec } from './message.ts';
import { resourceFrame } from './resource-frame.ts';

export type NodeMetadata = JsonObject;

/** Who asks. */
export interface DiscoveryNode {
  readonly id: string;
  readonly cluster?: string;
  readonly metadata: NodeMetadata;
  readonly buildVersion?: string;
}

export interface DeltaRequest {
  /** Only on the first request of a stream. */
  readonly node?: DiscoveryNode;
  readonly typeUrl: string;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Name to version of what the client holds. Only on the first request of a type. */
  readonly initialVersions: ReadonlyMap<string, string>;
  /** The response that this answers; "" when it answers none. */
  readonly responseNonce: string;
  /** Present: the response is refused. */
  readonly refusal?: string;
}

export interface DeltaResource {
  readonly name: string;
  readonly version: string;
  /** The encoded message, of the response's type. Decoded, it is a view of the whole response: copy it to keep it. */
  readonly body: Uint8Array;
  readonly aliases?: readonly string[];
}

export interface DeltaResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly resources: readonly DeltaResource[];
  readonly removed: readonly string[];
}

/** How the stream travels; the shape is that of `rpc`'s methods. */
export const deltaDiscoveryMethod: {
  readonly path: string;
  readonly request: WireCodec<DeltaRequest>;
  readonly response: WireCodec<DeltaResponse>;
} = {
  path: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
  request: { encode: encodeDeltaRequest, decode: decodeDeltaRequest },
  response: { encode: encodeDeltaResponse, decode: decodeDeltaResponse },
};

function encodeDeltaRequest(request: DeltaRequest): Uint8Array {
  return serializeMessage(DeltaDiscoveryRequestSchema, {
    ...(request.node ? { node: { ...request.node, metadata: request.node.metadata } } : {}),
    typeUrl: request.typeUrl,
    resourceNamesSubscribe: [...request.subscribe],
    resourceNamesUnsubscribe: [...request.unsubscribe],
    initialResourceVersions: Object.fromEntries(request.initialVersions),
    responseNonce: request.responseNonce,
    ...(request.refusal === undefined ? {} : { errorDetail: { message: request.refusal } }),
  });
}

function decodeDeltaRequest(bytes: Uint8Array): DeltaRequest {
  const message = parseMessage(DeltaDiscoveryRequestSchema, bytes);
  const { node, errorDetail } = message;
  return {
    ...(node
      ? { node: { id: node.id, cluster: node.cluster, metadata: node.metadata ?? {}, buildVersion: node.buildVersion } }
      : {}),
    typeUrl: message.typeUrl,
    subscribe: message.resourceNamesSubscribe,
    unsubscribe: message.resourceNamesUnsubscribe,
    initialVersions: new Map(Object.entries(message.initialResourceVersions)),
    responseNonce: message.responseNonce,
    ...(errorDetail ? { refusal: errorDetail.message || `code ${errorDetail.code}` } : {}),
  };
}

function encodeDeltaResponse({ typeUrl, nonce, resources, removed }: DeltaResponse): Uint8Array {
  // Fields may come one after another: the encoded resources, then the rest.
  const rest = serializeMessage(DeltaDiscoveryResponseSchema, { typeUrl, nonce, removedResources: [...removed] });
  return Buffer.concat([...resources.map((resource) => resourceFrame(typeUrl, resource)), rest]);
}

function decodeDeltaResponse(bytes: Uint8Array): DeltaResponse {
  const message = parseMessage(DeltaDiscoveryResponseSchema, bytes);
  return {
    typeUrl: message.typeUrl,
    nonce: message.nonce,
    resources: message.resources.map(({ name, version, aliases, resource }, i) => {
      if (resource?.typeUrl !== message.typeUrl) {
        const found = JSON.stringify(resource?.typeUrl ?? '');
        throw wireError('malformed', `resources[${i}]`, `its type is ${found}, not the response's ${message.typeUrl}`);
      }
      return { name, version, aliases, body: resource.value };
    }),
    removed: message.removedResources,
  };
}
