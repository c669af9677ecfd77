/** The proxy's own ports: admin (15000, loopback alone), metrics (15020), readiness (15021). */
import type { CertificateStatus } from '../../identity/index.ts';
import type { Log } from '../../lib/log.ts';
import {
  dumpPage,
  loggingPage,
  profilePages,
  quitPage,
  serveAdmin,
  serveMetrics,
  serveReadiness,
  type LogLevels,
  type Readiness,
} from '../../telemetry/admin/index.ts';
import { profileThread, type MetricsSnapshot, type NamedProfile, type ProfileKind } from '../../telemetry/index.ts';
import type { ConfigStatus } from '../config/store.ts';
import type { ProxySnapshot } from '../config/snapshot.ts';
import type { ListenerAddress } from '../listeners/listeners.ts';
import type { BackendStatus } from '../upstream/upstream.ts';
import { configDump } from './config-dump.ts';
import { shortPages } from './pages.ts';

export interface ProxyAdminOptions {
  /** 0: the kernel picks. */
  readonly ports: { readonly admin: number; readonly metrics: number; readonly readiness: number };
  readonly log: Log;
  readonly levels: LogLevels;
  readonly version: string;
  /** Settings of the process, without secrets. */
  readonly process: Readonly<Record<string, string | number | boolean>>;
  readonly startedAtMs: number;
  readonly nowMs: () => number;
  readonly readiness: Readiness;
  /** Of all threads of the process. */
  readonly metrics: () => Promise<MetricsSnapshot>;
  /** Of the threads besides the one that asks. */
  readonly profiles: (kind: ProfileKind, durationMs: number) => Promise<readonly NamedProfile[]>;
  readonly snapshot: () => ProxySnapshot | undefined;
  readonly status: () => ConfigStatus;
  readonly addresses: () => readonly ListenerAddress[];
  readonly endpoints: () => Promise<readonly BackendStatus[]>;
  readonly certificates: () => readonly CertificateStatus[];
  readonly quit: () => void;
}

export interface ProxyAdmin {
  readonly ports: { readonly admin: number; readonly metrics: number; readonly readiness: number };
  close(): Promise<void>;
}

/** Rejects with `admin.listen-failed`. */
export async function createProxyAdmin(options: ProxyAdminOptions): Promise<ProxyAdmin> {
  const { ports, log, levels, version, readiness, metrics, quit } = options;
  await using opened = new AsyncDisposableStack();
  const keep = <T extends { close(): Promise<void> }>(endpoint: T): T => opened.adopt(endpoint, (one) => one.close());
  const dump = async (): Promise<AsyncGenerator<string>> =>
    configDump({
      version,
      process: options.process,
      snapshot: options.snapshot(),
      status: options.status(),
      certificates: options.certificates(),
      endpoints: await options.endpoints(),
    });
  const admin = keep(
    await serveAdmin({
      port: ports.admin,
      log: log.child('admin'),
      name: 'proxy',
      version,
      pages: [
        dumpPage('everything the proxy is told and makes of it, without keys', dump),
        ...shortPages({
          snapshot: options.snapshot,
          addresses: options.addresses,
          endpoints: options.endpoints,
          metrics,
          pending: () => readiness.pending,
          server: () => ({
            version,
            role: options.snapshot()?.settings.role ?? 'unknown',
            gateway: options.snapshot()?.settings.gateway ?? '',
            state: readiness.pending.length === 0 ? 'LIVE' : 'PRE_INITIALIZING',
            uptimeSeconds: Math.round((options.nowMs() - options.startedAtMs) / 1000),
          }),
        }),
        loggingPage(levels),
        quitPage(quit),
        ...profilePages('proxy', async (kind, durationMs, gone) => {
          const own = profileThread(kind, durationMs, gone);
          const others = await options.profiles(kind, durationMs);
          // Connections first: what is looked for is mostly there.
          return [...others, { thread: 'main', recorded: await own }];
        }),
      ],
    }),
  );
  const scrape = keep(await serveMetrics({ port: ports.metrics, log: log.child('metrics'), snapshot: metrics }));
  const health = keep(await serveReadiness({ port: ports.readiness, log: log.child('readiness'), readiness }));
  const running = opened.move();
  return {
    ports: { admin: admin.port, metrics: scrape.port, readiness: health.port },
    close: () => running.disposeAsync(),
  };
}
