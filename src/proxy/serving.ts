/** What serves the traffic of a proxy: an engine in this thread, or several in threads of their own. */
import type { CertificateManager, WorkloadCertificate } from '../identity/index.ts';
import { createCountedRevocations, parseRevocationLists } from '../identity/index.ts';
import type { Clock } from '../lib/clock.ts';
import { descriptorLimit, openDescriptors } from '../net/index.ts';
import type { LogLevels } from '../telemetry/admin/index.ts';
import type { MetricsRegistry, MetricsSnapshot, NamedProfile, ProfileKind } from '../telemetry/index.ts';
import type { DeltaFeed } from '../xds/index.ts';
import type { ProxyProcessConfig } from './config/proxy-config.ts';
import type { ProxySnapshot } from './config/snapshot.ts';
import type { ConfigStatus } from './config/store.ts';
import { createEnginePart } from './engine-part.ts';
import { defaultMaxConnections } from './listeners/connection-cap.ts';
import type { ListenerAddress } from './listeners/listeners.ts';
import type { WriteLines } from './telemetry/index.ts';
import type { BackendStatus } from './upstream/index.ts';
import { ProxyWorkers } from './workers/proxy-workers.ts';

export interface ServingOptions {
  readonly config: ProxyProcessConfig;
  readonly version: string;
  /** Of the process: access logs and tags of spans may name variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly levels: LogLevels;
  /** Of the process. */
  readonly metrics: MetricsRegistry;
  readonly certificates: Pick<CertificateManager, 'certificate' | 'onRotate'>;
  readonly openAccessLog: (path: string) => WriteLines;
  /** As `ProxyServices.askForKeys`. */
  readonly askForKeys?: (keySet: string) => void;
  /** All listeners of the configuration are open, or not any more. */
  readonly onReady: (isReady: boolean) => void;
}

export interface Serving {
  readonly feeds: { readonly mesh: DeltaFeed; readonly config: DeltaFeed };
  readonly snapshot: ProxySnapshot | undefined;
  /** Of clients. */
  readonly connections: number;
  status(): ConfigStatus;
  addresses(): ListenerAddress[];
  /** Of all threads of the process. */
  metrics(): Promise<MetricsSnapshot>;
  endpoints(): Promise<readonly BackendStatus[]>;
  /** Of threads besides this one. */
  profiles(kind: ProfileKind, durationMs: number): Promise<readonly NamedProfile[]>;
  /** The proxy's own, new or renewed. */
  useCertificate(certificate: WorkloadCertificate): void;
  /** Good lists, as the file holds them. */
  useRevocations(lists: unknown, bytes: Uint8Array): void;
  /** As `Proxy.drain`. Resolves once all is told of what was served. */
  drain(times: { readonly lingerMs: number; readonly deadlineMs: number }): Promise<void>;
}

const everywhere = '::';

/** One engine runs in this thread, which costs least. */
export function openServing(options: ServingOptions): Serving {
  const { config } = options;
  if (config.concurrency === 1) return serveHere(options);
  const descriptors = { limit: descriptorLimit(), open: openDescriptors };
  const workers = new ProxyWorkers({
    ...options,
    workers: config.concurrency,
    maxConnections: config.maxConnections ?? defaultMaxConnections(descriptors),
    host: everywhere,
  });
  return workers;
}

function serveHere(options: ServingOptions): Serving {
  const { metrics, levels, config } = options;
  const revocations = createCountedRevocations(metrics);
  const { proxy, upstreams, telemetry, feeds } = createEnginePart({
    ...options,
    log: levels.log,
    revocations,
    ...(config.maxConnections === undefined ? {} : { maxConnections: config.maxConnections }),
  });
  return {
    feeds,
    get snapshot() {
      return proxy.snapshot;
    },
    get connections() {
      return proxy.connections;
    },
    status: () => proxy.status(),
    addresses: () => proxy.addresses(),
    metrics: async () => metrics.snapshot(),
    endpoints: async () => upstreams.describe(),
    profiles: async () => [],
    // The engine asks for it by itself.
    useCertificate() {},
    useRevocations: (_, bytes) => revocations.update(parseRevocationLists(bytes)),
    async drain(times) {
      await proxy.drain(times);
      await telemetry.close();
    },
  };
}
