/** What the control part and the data parts of a ztunnel say to each other: plain values, so that a data part can be a worker. */
import type { SpiffeId } from '../api/names.ts';
import type { Endpoint } from '../net/index.ts';
import type { AddressUpdate, AuthorizationUpdate } from '../mesh/index.ts';
import type { WorkloadCertificate } from '../identity/index.ts';
import type { PodResolver } from '../wire/index.ts';
import type { MetricsSnapshot, ProfileKind, ThreadProfile } from '../telemetry/index.ts';

/** A pod as the node agent knows it. */
export interface PodInfo {
  /** Kubernetes UID. */
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** What the pod's resolv.conf holds, where the node agent told us. */
  readonly resolver?: PodResolver;
  /** SO_MARK of outgoing sockets in the pod, where the node agent gave it one of its own. */
  readonly mark?: number;
}

/** Where a pod's listeners are, when not at their ports on every address: for benches and tests without namespaces. */
export interface PodListenAt {
  readonly host: string;
  readonly outboundPort: number;
  readonly inboundPort: number;
  readonly plaintextPort: number;
  /** Stands for the original destination of every captured connection. */
  readonly originalDestination?: { readonly outbound: Endpoint; readonly plaintext: Endpoint };
}

/**
 * Listening sockets of one pod by their names, bound inside its namespace. Data parts accept from duplicates of one socket
 * for each port, so that none of them takes what it cannot serve any more with it when it ends.
 */
export interface PodListeners {
  readonly hbone: number;
  readonly plaintext: number;
  readonly outbound: number;
  /** Others, for what is served only in some pods. */
  readonly [name: string]: number;
}

export interface PodToServe {
  readonly pod: PodInfo;
  /** Descriptor of the pod's network namespace; the data part owns it from now on. Absent: the process's own namespace. */
  readonly netns?: number;
  /** Descriptors to accept from; the data part owns them from now on. Absent: it listens as `listenAt` says. */
  readonly listeners?: PodListeners;
  readonly listenAt?: PodListenAt;
}

export type ControlMessage =
  | { readonly kind: 'addresses'; readonly update: AddressUpdate }
  | { readonly kind: 'authorizations'; readonly update: AuthorizationUpdate }
  /** Answered by `pod-served` or `pod-failed`. */
  | { readonly kind: 'serve-pod'; readonly requestId: number; readonly target: PodToServe }
  /** Has the pod's peers move on (GOAWAY), while everything of it is served as before. */
  | { readonly kind: 'drain-pod'; readonly uid: string }
  /** Ends the pod's listeners and connections at once. */
  | { readonly kind: 'remove-pod'; readonly uid: string }
  /** New or renewed; also without having been asked for. */
  | { readonly kind: 'certificate'; readonly identity: SpiffeId; readonly certificate: WorkloadCertificate }
  | { readonly kind: 'certificate-failed'; readonly identity: SpiffeId; readonly error: string }
  /** Replaces all revocation lists: PEM or DER, as the file holds them, and read without error before. */
  | { readonly kind: 'revocations'; readonly lists: Uint8Array }
  /** Answered by `report`. */
  | { readonly kind: 'report-wanted'; readonly requestId: number; readonly withMetrics: boolean }
  /** Answered by `connections`: those of a pod and direction in the order of their ids, after `afterId`, at most `limit`. */
  | {
      readonly kind: 'connections-wanted';
      readonly requestId: number;
      readonly podUid: string;
      readonly direction: ConnectionReport['direction'];
      readonly afterId: number;
      readonly limit: number;
    }
  /** Answered by `profile`, after so long. Only where the data part has a thread of its own. */
  | {
      readonly kind: 'profile-wanted';
      readonly requestId: number;
      readonly of: ProfileKind;
      readonly durationMs: number;
    }
  /** Stop accepting, let connections end until the deadline, then cut them. Answered by `drained`. */
  | { readonly kind: 'drain'; readonly deadlineMs: number };

export type DataMessage =
  | { readonly kind: 'certificate-wanted'; readonly identity: SpiffeId }
  | { readonly kind: 'pod-served'; readonly requestId: number }
  | { readonly kind: 'pod-failed'; readonly requestId: number; readonly error: string }
  | { readonly kind: 'report'; readonly requestId: number; readonly report: DataReport }
  | { readonly kind: 'connections'; readonly requestId: number; readonly connections: readonly ConnectionReport[] }
  | { readonly kind: 'profile'; readonly requestId: number; readonly profile: ThreadProfile }
  | { readonly kind: 'drained' };

export interface ConnectionReport {
  /** Of this data part, ascending. */
  readonly id: number;
  readonly direction: 'inbound' | 'outbound';
  readonly src: string;
  readonly originalDst: string;
  readonly actualDst: string;
  readonly protocol: 'HBONE' | 'TCP';
  /** CONNECT target. */
  readonly hboneAddr?: string | undefined;
  /** `<namespace>/<name>` where the mesh knows them. */
  readonly sourceWorkload?: string | undefined;
  readonly destinationWorkload?: string | undefined;
  readonly service?: string | undefined;
  /** As mutual TLS proved them. */
  readonly sourceIdentity?: SpiffeId | undefined;
  readonly destinationIdentity?: SpiffeId | undefined;
  /** Milliseconds since the Unix epoch. */
  readonly startedMs: number;
  /** As the pod's workload sees it: sent by it, received by it. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** That allowed it, where one did. */
  readonly policy?: string | undefined;
}

export interface DataReport {
  readonly pods: readonly { readonly pod: PodInfo; readonly connectionCount: number }[];
  /** Empty when they were not asked for. */
  readonly metrics: MetricsSnapshot;
}

/** A data part as the control part sees it; `post` of the other direction is given when it is started. */
export interface DataPart {
  post(message: ControlMessage): void;
  /** Ends the thread of its own that it runs in, when it has one. */
  stop?(): Promise<void>;
}
