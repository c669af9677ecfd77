/** One request on its way through the proxy: what filters see and may change. `active-run.ts` drives it. */
import type { DestinationService, HttpRule, WeightedDestination } from '../../api/l7/index.ts';
import type { SpiffeId, WorkloadUid } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import type { RequestHead, ResponseHead } from '../../http/message.ts';
import type { UpstreamFailure, UpstreamHost } from '../upstream/upstream.ts';

/** What is known of the connection that a request came on. */
export interface DownstreamConnection {
  /** Of the client itself: at a waypoint, the pod that opened the tunnel. */
  readonly sourceAddress: string;
  readonly sourcePort: number;
  /** Verified: by mutual TLS, at a waypoint of the tunnel. */
  readonly sourceIdentity: SpiffeId | undefined;
  readonly sourceWorkload: MeshWorkload | undefined;
  /** What the client asked for: at a waypoint, the Service's address and port. */
  readonly destinationAddress: string;
  readonly destinationPort: number;
  /** Our own identity on this connection. */
  readonly localIdentity: SpiffeId | undefined;
  readonly sni: string | undefined;
  readonly isTls: boolean;
}

export interface RunTimes {
  /** Wall clock, of the request's head. */
  readonly startMs: number;
  /** Monotonic, from here on. */
  readonly start: number;
  upstreamStart: number;
  firstResponseByte: number;
  end: number;
}

/** Verified tokens of the request. */
export interface VerifiedToken {
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  readonly presenter: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

export interface HttpRun {
  readonly connection: DownstreamConnection;
  readonly request: RequestHead;
  /** Path and authority as the client sent them. */
  readonly originalPath: string;
  readonly originalAuthority: string;
  /** Of the client, after so many trusted hops of X-Forwarded-For as settings say. */
  readonly remoteAddress: string;
  readonly service: DestinationService | undefined;
  /** Undefined: no rule matched (404). */
  readonly route: HttpRule | undefined;
  readonly destination: WeightedDestination | undefined;
  token: VerifiedToken | undefined;
  /** Where the client's session is, if it has one: held to while the rule has the backend, and the host is healthy. */
  preferredBackend?: string | undefined;
  preferredHost?: WorkloadUid | undefined;
  /** Chooses the route again, before the request goes on: headers, path or claims have changed. */
  reroute(): void;
  /** Reads up to `maxBytes` of the body and keeps it for the upstream: `whole` tells whether that was all. */
  bufferBody(maxBytes: number): Promise<{ readonly bytes: Uint8Array; readonly whole: boolean }>;
  /** As the backend is told it: whoever changes it changes `x-request-id` too. */
  requestId: string;
  readonly times: RunTimes;
  /** What filters keep for this request, by filter. */
  readonly state: Map<object, unknown>;
  /** Response flags, as in `UF,URX`. */
  readonly flags: ReadonlySet<string>;
  addFlag(flag: string): void;
  responseDetails: string;
  /** For people: why the proxy answered itself, or the upstream failed. */
  reason: string;
  /** 0 until there is an answer. */
  responseStatus: number;
  /** The final head: as the filters left it, once they have. */
  responseHead: ResponseHead | undefined;
  grpcStatus: string | undefined;
  readonly isGrpc: boolean;
  /** gRPC messages so far, both ways; undefined: it is no gRPC. */
  readonly requestMessages: { readonly count: number } | undefined;
  readonly responseMessages: { readonly count: number } | undefined;
  host: UpstreamHost | undefined;
  backend: string | undefined;
  failure: UpstreamFailure | undefined;
  attempts: number;
  bytesReceived: number;
  bytesSent: number;
  upstreamBytesSent: number;
  upstreamBytesReceived: number;
}
