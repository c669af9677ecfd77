/** What the main thread of a proxy and its workers say to each other: plain values. */
import type { WorkloadCertificate } from '../../identity/index.ts';
import type { PostedLine } from '../../lib/posted-log.ts';
import type { MetricsSnapshot, ProfileKind, ThreadProfile } from '../../telemetry/index.ts';
import type { DeltaUpdate, DeltaVerdict } from '../../xds/index.ts';
import type { ProxyProcessConfig } from '../config/proxy-config.ts';
import type { BackendStatus } from '../upstream/upstream.ts';

/** What a worker is started with. */
export interface ProxyWorkerData {
  /** From 0; that of one that takes the place of another is the same. */
  readonly worker: number;
  readonly workers: number;
  readonly config: ProxyProcessConfig;
  readonly version: string;
  /** Of the process: access logs and tags of spans may name variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly maxConnections: number;
  /** As `LogLevels.set` takes them. */
  readonly logLevels: string;
  readonly memory: SharedMemory;
}

/** Memory of all workers. */
export interface SharedMemory {
  /** Connections of clients: `SharedCounts` of one column. */
  readonly connections: SharedArrayBuffer;
  readonly buckets: SharedArrayBuffer;
  readonly failing: SharedArrayBuffer;
}

/** Which of the feeds: what is told of the mesh, or the proxy's own configuration. */
export type FeedName = 'mesh' | 'config';

/** A host of a backend that outlier detection has taken out. */
export interface EjectedHost {
  readonly host: string;
  /** Milliseconds since the Unix epoch. */
  readonly untilMs: number;
}

export type ToWorker =
  /** Answered by `applied`. `counts`: `SharedCounts` of backends that are new to the worker, by name. */
  | {
      readonly kind: 'apply';
      readonly requestId: number;
      readonly feed: FeedName;
      readonly update: DeltaUpdate;
      readonly counts: readonly (readonly [backend: string, memory: SharedArrayBuffer])[];
    }
  /** New or renewed. */
  | { readonly kind: 'certificate'; readonly certificate: WorkloadCertificate }
  /** Replaces all revocation lists: as the file holds them, and read without error before. */
  | { readonly kind: 'revocations'; readonly lists: Uint8Array }
  /** All hosts of the backend that are out. */
  | { readonly kind: 'ejections'; readonly backend: string; readonly hosts: readonly EjectedHost[] }
  /** A descriptor of the listening socket; the worker duplicates it and says `socket-taken`. */
  | { readonly kind: 'socket'; readonly requestId: number; readonly fd: number }
  | { readonly kind: 'socket-failed'; readonly requestId: number; readonly error: string }
  /** Answered by `metrics`. */
  | { readonly kind: 'metrics-wanted'; readonly requestId: number }
  /** Answered by `endpoints`. */
  | { readonly kind: 'endpoints-wanted'; readonly requestId: number }
  /** Answered by `profile`, after so long. */
  | {
      readonly kind: 'profile-wanted';
      readonly requestId: number;
      readonly of: ProfileKind;
      readonly durationMs: number;
    }
  | { readonly kind: 'log-levels'; readonly levels: string }
  /** The batch of access log lines is written: the next one of that file may come. */
  | { readonly kind: 'access-log-written'; readonly path: string }
  /** As `Proxy.drain`. Answered by `drained`. */
  | { readonly kind: 'drain'; readonly lingerMs: number; readonly deadlineMs: number };

/** Answers to questions of the main thread. */
export type WorkerAnswer =
  | { readonly kind: 'applied'; readonly requestId: number; readonly verdict: DeltaVerdict }
  | { readonly kind: 'metrics'; readonly requestId: number; readonly metrics: MetricsSnapshot }
  | { readonly kind: 'endpoints'; readonly requestId: number; readonly endpoints: readonly BackendStatus[] }
  | { readonly kind: 'profile'; readonly requestId: number; readonly profile: ThreadProfile };

export type FromWorker =
  | WorkerAnswer
  /** Every listener of its configuration is open, or not any more. */
  | { readonly kind: 'ready'; readonly isReady: boolean }
  /** Answered by `socket` or `socket-failed`. */
  | { readonly kind: 'socket-wanted'; readonly requestId: number; readonly port: number }
  | { readonly kind: 'socket-taken'; readonly requestId: number }
  /** What became of a request to a host, for outlier detection; without `status` there was no answer. */
  | { readonly kind: 'outcome'; readonly backend: string; readonly host: string; readonly status?: number }
  /** As `ProxyServices.askForKeys`. */
  | { readonly kind: 'keys-wanted'; readonly keySet: string }
  | PostedLine
  /** Whole lines. */
  | { readonly kind: 'access-log'; readonly path: string; readonly text: string }
  | { readonly kind: 'drained' };
