/** The proxy's own upstream: backends, their endpoints and connections. The contract; `upstreams.ts` makes it. */
import type { Backend, TlsSecret } from '../../api/l7/index.ts';
import type { SpiffeId, WorkloadUid } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import type { HeaderList } from '../../http/header-list.ts';
import type { RequestHead, ResponseHead } from '../../http/message.ts';
import type { ByteChannel, WriteResult } from '../../net/channel.ts';

/** Where one attempt goes. */
export interface UpstreamHost {
  readonly address: string;
  readonly port: number;
  /** Absent for addresses that the mesh does not know (passthrough). */
  readonly workload?: MeshWorkload;
  /** By HBONE. */
  readonly tunnelled: boolean;
  /** Identity that the peer proved, once connected. */
  readonly peer?: SpiffeId;
  /** Our end, `ip:port`, once connected. */
  readonly localAddress?: string;
}

export interface UpstreamRequest {
  readonly head: RequestHead;
  /** No body follows. */
  readonly ends: boolean;
  /** What the client is: for source-ip hashing, HBONE's baggage and Forwarded, and locality. */
  readonly client: UpstreamClient;
  /** Hosts that failed this request before. */
  readonly avoid?: ReadonlySet<WorkloadUid> | undefined;
  /** Hosts of their priorities are avoided, too: a retry goes to another locality. */
  readonly avoidLocalitiesOf?: ReadonlySet<WorkloadUid> | undefined;
  /** Host that a session is bound to; used when it is there and healthy. */
  readonly preferred?: WorkloadUid | undefined;
  /** 0: first attempt. */
  readonly attempt: number;
  /** Traffic is also counted against the retry limits. */
  readonly isRetry: boolean;
}

export interface UpstreamClient {
  readonly address: string;
  readonly port: number;
  readonly identity?: SpiffeId | undefined;
  /** Address and port that the client asked for; for passthrough. */
  readonly destination: { readonly address: string; readonly port: number };
  /** The name that its first message of TLS asks for, where bytes are carried. */
  readonly sni?: string;
}

/** Callbacks never throw; none but `onHost` comes from inside `open`. */
export interface UpstreamReader {
  /** The host was chosen; called again once there is a connection, with what is known by then, and when it became another host. */
  onHost(host: UpstreamHost): void;
  onInformational(head: ResponseHead): void;
  onResponse(head: ResponseHead, ends: boolean): void;
  onData(bytes: Uint8Array): void;
  onEnd(trailers?: HeaderList): void;
  onDrain(): void;
  /** Once, last. */
  onClose(failure?: UpstreamFailure): void;
}

/** One attempt: what is written before there is a connection is kept, up to the codec's buffer. */
export interface UpstreamExchange {
  write(bytes: Uint8Array): WriteResult;
  end(trailers?: HeaderList): void;
  credit(byteCount: number): void;
  /** Gives up; `onClose` follows. `timeout`: because the host took too long, which outlier detection counts against it. */
  reset(reason?: 'timeout'): void;
}

export interface UpstreamFailure {
  readonly kind:
    | 'no-backend'
    | 'no-healthy-host'
    | 'overflow'
    | 'name-not-resolved'
    | 'connect-failure'
    | 'connect-timeout'
    | 'connection-termination'
    | 'remote-reset'
    | 'refused'
    | 'protocol-error'
    | 'local-reset';
  /** Envoy's response flag: NC, UH, UO, DF, UF, UF, UC, UR, UR, UPE, "". */
  readonly flag: string;
  /** For the log, in words, with the address. */
  readonly message: string;
  /** Whether any of the request may have been seen by the host. */
  readonly sent: 'no' | 'maybe';
  readonly host?: UpstreamHost;
}

export interface Upstreams {
  /** What is sent is drawn from the snapshot applied last. */
  apply(backends: ReadonlyMap<string, Backend>, secrets: ReadonlyMap<string, TlsSecret>): void;
  /** The attempt is under way when this returns; failures come by `onClose`. */
  open(backend: string, request: UpstreamRequest, reader: UpstreamReader): UpstreamExchange;
  /** A connection for raw bytes (TCP, TLS that is passed through). Rejects with an Error that has `failure: UpstreamFailure`. */
  connect(backend: string, client: UpstreamClient, signal: AbortSignal): Promise<UpstreamConnection>;
  /** For admin and `ambit proxy-config endpoints`. */
  describe(): readonly BackendStatus[];
  /** A token that says which retries may run now; undefined: over the limit or the budget. */
  startRetry(backend: string): { end(): void } | undefined;
  /** Lets running exchanges end, then closes all connections. */
  drain(): void;
  close(): void;
}

export interface UpstreamConnection {
  readonly channel: ByteChannel;
  readonly host: UpstreamHost;
}

export interface BackendStatus {
  readonly name: string;
  readonly hosts: readonly {
    readonly address: string;
    readonly workload: string;
    readonly weight: number;
    readonly priority: number;
    readonly health: 'healthy' | 'unhealthy' | 'ejected';
    readonly activeRequests: number;
    readonly connections: number;
    readonly ejections: number;
  }[];
  readonly activeRequests: number;
  readonly pendingRequests: number;
  readonly connections: number;
}
