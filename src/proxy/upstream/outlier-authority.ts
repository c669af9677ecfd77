/** Outlier detection of all workers: hosts of all backends as the mesh has them, with what workers tell of them. It opens no connections. */
import type { Backend } from '../../api/l7/index.ts';
import type { NetworkId } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { MeshState } from '../../mesh/index.ts';
import type { MetricsRegistry } from '../../telemetry/index.ts';
import { BackendPool } from './backend-pool.ts';
import { statsOfBackends } from './backend-stats.ts';
import type { Host } from './host.ts';
import { OutlierWatch } from './outlier-watch.ts';
import type { PoolOwner } from './pool-owner.ts';
import type { BackendStatus } from './upstream.ts';

export interface OutlierAuthorityOptions {
  readonly mesh: MeshState;
  readonly clock: Clock;
  readonly log: Log;
  /** Ejections are counted here. */
  readonly metrics: MetricsRegistry;
  readonly own: () => MeshWorkload | undefined;
  /** IP of the proxy. */
  readonly address: string;
  readonly network: NetworkId;
  /** The hosts of a backend that are out have changed: those that are. */
  readonly onEjections: (backend: string, ejected: readonly { host: string; untilMs: number }[]) => void;
  /** A host has failures that an answer would forgive, or has none any more. */
  readonly onFailing: (backend: string, host: string, isFailing: boolean) => void;
}

export interface OutlierAuthority {
  apply(backends: ReadonlyMap<string, Backend>): void;
  /** What became of a request; `status` undefined: there was no answer. */
  note(backend: string, host: string, status: number | undefined): void;
  describe(): readonly BackendStatus[];
  close(): void;
}

export function createOutlierAuthority(options: OutlierAuthorityOptions): OutlierAuthority {
  const { mesh, clock, log, metrics, own, address, network, onEjections, onFailing } = options;
  const backends = new Map<string, BackendPool>();
  /** Keys of hosts, by backend. */
  const failing = new Map<string, Set<string>>();
  const mark = (backend: string, host: string, isNow: boolean): void => {
    const hosts = failing.get(backend) ?? new Set();
    if (isNow === hosts.has(host)) return;
    if (isNow) failing.set(backend, hosts.add(host));
    else if (hosts.delete(host) && hosts.size === 0) failing.delete(backend);
    onFailing(backend, host, isNow);
  };
  const forgetGone = (): void => {
    for (const [backend, hosts] of failing) {
      const pool = backends.get(backend);
      for (const host of hosts) if (!pool?.hasHost(host)) mark(backend, host, false);
    }
  };
  const noConnections = (): never => {
    throw new Error('The main thread of workers opens no connections to hosts');
  };
  const owner: PoolOwner = {
    clock,
    log,
    mesh,
    random: Math.random,
    codecs: { http1: noConnections, http2: noConnections },
    connector: { connect: noConnections, close() {} },
    address,
    network,
    stats: statsOfBackends(metrics),
    own,
    openOutliers: (watched, config) => new OutlierWatch(watched, config),
    onEjections(backend, hosts) {
      const all = [...hosts];
      for (const host of all) mark(backend, host.key, isFailing(host));
      const ejected = all.filter((host) => host.isEjected);
      onEjections(
        backend,
        ejected.map(({ key, outlier }) => ({ host: key, untilMs: outlier.ejectedUntilMs })),
      );
    },
    onConnectionOpened() {},
    onConnectionClosed() {},
    onIdle() {},
    retireConnections() {},
  };
  let isDue = false;
  let isClosed = false;
  const stopFollowing = mesh.subscribe((change) => {
    if (change.kind !== 'addresses' || isDue) return;
    isDue = true;
    setImmediate(() => {
      isDue = false;
      if (isClosed) return;
      for (const pool of backends.values()) pool.refresh();
      forgetGone();
    });
  });
  return {
    apply(wanted) {
      for (const [name, pool] of backends) {
        if (wanted.has(name)) continue;
        backends.delete(name);
        pool.retire();
      }
      for (const [name, config] of wanted) {
        const pool = backends.get(name);
        if (!pool) backends.set(name, new BackendPool(owner, config));
        else if (pool.config !== config) pool.configure(config, false);
      }
      forgetGone();
    },
    note(backend, hostKey, status) {
      const host = backends.get(backend)?.noteOutcome(hostKey, status);
      if (host) mark(backend, hostKey, isFailing(host));
    },
    describe: () => [...backends.values()].map((pool) => pool.describe()),
    close() {
      isClosed = true;
      stopFollowing();
      for (const pool of backends.values()) pool.close();
    },
  };
}

function isFailing({ outlier }: Host): boolean {
  return outlier.serverErrors + outlier.gatewayErrors + outlier.localOriginFailures > 0;
}
