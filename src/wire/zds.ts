/** ZDS: which pods a node proxy serves. One message is one SOCK_SEQPACKET packet (reference: `proto/zds.proto`). */
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  Version,
  WorkloadRequestSchema,
  WorkloadResponseSchema,
  ZdsHelloSchema,
  type PodResolver as WirePodResolver,
  type WorkloadInfoSchema,
} from '../gen/zds_pb.ts';
import { formatIp, tryParseIp } from '../lib/ip.ts';
import { wireError } from './errors.ts';
import { requireText } from './fields.ts';
import { parseMessage, serializeMessage } from './message.ts';

/** Both ends read with a buffer of this many bytes and take a longer packet for a protocol error. */
export const zdsPacketBytes = 1024;

/** What a proxy may understand beyond plain ZDS; it says so in its hello. */
export type ZdsCapability =
  /** `ZdsPod.resolver`. */
  | 'resolver'
  /** `ZdsPod.mark`. */
  | 'mark'
  /** The request `drain`. */
  | 'drain'
  /** It knows that listening sockets may be held while it is away, and takes them. */
  | 'holder';

export interface ZdsPod {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Only for a proxy with the capability `resolver`; one without DNS capture has none. */
  readonly resolver?: PodResolver;
  /** SO_MARK of sockets that the pod's rules do not capture, from 1 to 2^32-1. Only for a proxy with the capability `mark`; else 1337. */
  readonly mark?: number;
}

/** What the pod's resolv.conf holds. Its queries to `nameservers[i]` are redirected to port 15053 + i. */
export interface PodResolver {
  /** IP addresses, at most three; none on the pod's own loopback. */
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly ndots: number;
}

/** What the node agent says. Pods go by their Kubernetes UID; `add` comes with exactly one descriptor, the others with none. */
export type ZdsRequest =
  | { readonly kind: 'add'; readonly uid: string; readonly pod: ZdsPod }
  | { readonly kind: 'keep'; readonly uid: string }
  | { readonly kind: 'del'; readonly uid: string }
  /** The pod is about to end: its peers should move on, and it is served until `del`. Only for a proxy with the capability `drain`. */
  | { readonly kind: 'drain'; readonly uid: string }
  | { readonly kind: 'snapshot-sent' };

/** The proxy's first packet. */
export function encodeZdsHello(capabilities: readonly ZdsCapability[] = []): Uint8Array {
  return serializeMessage(ZdsHelloSchema, { version: Version.V1, capabilities: [...capabilities] });
}

/** What the proxy says it understands. Throws `wire.malformed`, or `wire.unknown-enum` for a version that we do not speak. */
export function decodeZdsHello(packet: Uint8Array): ReadonlySet<string> {
  const { version, capabilities } = parseMessage(ZdsHelloSchema, packet);
  if (version !== Version.V1) throw wireError('unknown-enum', 'version', `the version ${version} is not spoken here`);
  return new Set(capabilities);
}

/** Whether `encodeZdsRequest` would take it. */
export function fitsZdsPacket(request: ZdsRequest): boolean {
  return serializeMessage(WorkloadRequestSchema, { payload: payloadOf(request) }).length <= zdsPacketBytes;
}

/** Throws `wire.too-long` when the packet would not fit. */
export function encodeZdsRequest(request: ZdsRequest): Uint8Array {
  const packet = serializeMessage(WorkloadRequestSchema, { payload: payloadOf(request) });
  if (packet.length > zdsPacketBytes) {
    throw wireError(
      'too-long',
      'istio.workload.zds.WorkloadRequest',
      `a packet of ${packet.length} bytes does not fit`,
    );
  }
  return packet;
}

/** Throws `wire.*`, naming the field. */
export function decodeZdsRequest(packet: Uint8Array): ZdsRequest {
  const { payload } = parseMessage(WorkloadRequestSchema, packet);
  switch (payload.case) {
    case 'add': {
      const { uid, workloadInfo } = payload.value;
      if (!workloadInfo) throw wireError('missing-field', 'add.workload_info', 'it is absent');
      return {
        kind: 'add',
        uid: requireText('add.uid', uid),
        pod: {
          name: requireText('add.workload_info.name', workloadInfo.name),
          namespace: requireText('add.workload_info.namespace', workloadInfo.namespace),
          serviceAccount: requireText('add.workload_info.service_account', workloadInfo.serviceAccount),
          ...(workloadInfo.resolver ? { resolver: decodeResolver(workloadInfo.resolver) } : {}),
          ...(workloadInfo.mark === 0 ? {} : { mark: workloadInfo.mark }),
        },
      };
    }
    case 'keep':
    case 'del':
    case 'drain':
      return { kind: payload.case, uid: requireText(`${payload.case}.uid`, payload.value.uid) };
    case 'snapshotSent':
      return { kind: 'snapshot-sent' };
    case undefined:
      throw wireError('missing-field', 'payload', 'it is absent or of an unknown kind');
  }
}

/** The proxy's answer to one request; no error means done. A long error is cut to fit the packet. */
export function encodeZdsAck(error?: string): Uint8Array {
  const text =
    error === undefined
      ? ''
      : Buffer.from(error)
          .subarray(0, zdsPacketBytes - 16)
          .toString();
  return serializeMessage(WorkloadResponseSchema, { payload: { case: 'ack', value: { error: text.slice(0, 900) } } });
}

/** The error of an answer, or undefined when it was accepted. Throws `wire.*`. */
export function decodeZdsAck(packet: Uint8Array): string | undefined {
  const { payload } = parseMessage(WorkloadResponseSchema, packet);
  if (payload.case !== 'ack') throw wireError('missing-field', 'payload', 'it is absent or of an unknown kind');
  return payload.value.error || undefined;
}

function decodeResolver({ nameservers, search, ndots }: WirePodResolver): PodResolver {
  return {
    nameservers: nameservers.map((ip, i) => {
      const bytes = tryParseIp(ip);
      if (!bytes)
        throw wireError('invalid-address', `add.workload_info.resolver.nameservers[${i}]`, 'it is no IP address');
      return formatIp(bytes);
    }),
    search,
    ndots,
  };
}

type Payload = NonNullable<Parameters<typeof serializeMessage<typeof WorkloadRequestSchema>>[1]['payload']>;

function payloadOf(request: ZdsRequest): Payload {
  switch (request.kind) {
    case 'add':
      return { case: 'add', value: { uid: request.uid, workloadInfo: workloadInfoOf(request.pod) } };
    case 'keep':
      return { case: 'keep', value: { uid: request.uid } };
    case 'del':
      return { case: 'del', value: { uid: request.uid } };
    case 'drain':
      return { case: 'drain', value: { uid: request.uid } };
    case 'snapshot-sent':
      return { case: 'snapshotSent', value: {} };
  }
}

function workloadInfoOf({ resolver, ...info }: ZdsPod): MessageInitShape<typeof WorkloadInfoSchema> {
  return {
    ...info,
    ...(resolver
      ? {
          resolver: {
            nameservers: [...resolver.nameservers],
            search: [...resolver.search],
            ndots: resolver.ndots,
          },
        }
      : {}),
  };
}
