/** The L7 proxy itself: configuration in, connections served. What feeds it (discovery, certificates) is `start.ts`'s. */
import type { SpiffeId } from '../api/names.ts';
import type { MeshWorkload } from '../api/workload.ts';
import type { Revocations, WorkloadCertificate } from '../identity/index.ts';
import { messageOf } from '../lib/errors.ts';
import { descriptorLimit, openDescriptors } from '../net/index.ts';
import type { DeltaClientType } from '../xds/index.ts';
import type { ProxySnapshot } from './config/snapshot.ts';
import { createConfigStore, type ConfigStatus } from './config/store.ts';
import { closeFilters, compileConfig, passthroughBackend, type CompiledConfig } from './engine/compiled-config.ts';
import { registerExceptions } from './engine/exceptions.ts';
import type { FilterKind } from './engine/filter.ts';
import { ClientRevocations } from './listeners/client-revocations.ts';
import { LateNews, mostWaiting } from './listeners/late-news.ts';
import { LeftWorkloads } from './listeners/left-workloads.ts';
import { LiveConnections, type ListenerContext } from './listeners/listener-context.ts';
import { ConnectionCap, defaultMaxConnections } from './listeners/connection-cap.ts';
import { createListeners, type ListenerAddress } from './listeners/listeners.ts';
import type { ProxyServices } from './proxy-services.ts';
import { shareOf, type WorkerShare } from './workers/share.ts';

export interface ProxyOptions {
  readonly services: ProxyServices;
  readonly filters: readonly FilterKind[];
  readonly identity: SpiffeId;
  /** Ourselves as the mesh knows us; undefined as long as it does not. */
  own(): MeshWorkload | undefined;
  certificate(signal: AbortSignal): Promise<WorkloadCertificate>;
  readonly revocations?: Revocations;
  /** Where to listen: IP literal; `::` for all addresses. */
  readonly host: string;
  /** Most connections of clients at once; absent: as many as the process's descriptors allow. */
  readonly maxConnections?: number;
  /** Descriptor of the network namespace to listen in; absent: the process's own. */
  readonly netns?: number;
  /** What other engines of the process have in common with this one; absent: there are none. */
  readonly share?: WorkerShare;
  /** True once, when all listeners of a configuration are open; false when the proxy drains. */
  readonly onReady?: (isReady: boolean) => void;
}

export interface Proxy {
  /** For `startDeltaClient`. */
  readonly feed: DeltaClientType;
  readonly snapshot: ProxySnapshot | undefined;
  status(): ConfigStatus;
  addresses(): ListenerAddress[];
  readonly connections: number;
  /**
   * Asks clients to leave, serves whoever still comes for `lingerMs`, then accepts no more; what lives at `deadlineMs` is cut.
   * Resolves at the end.
   */
  drain(options: { readonly lingerMs: number; readonly deadlineMs: number }): Promise<void>;
}

export function createProxy(options: ProxyOptions): Proxy {
  const { services, filters, identity, revocations, host, netns, onReady, share } = options;
  const { log, clock, mesh, upstreams } = services;
  registerExceptions(services);
  const ended = new AbortController();
  const live = new LiveConnections();
  let compiled: CompiledConfig | undefined;
  let candidate: CompiledConfig | undefined;
  const clientRevocations = new ClientRevocations({ onRevoked: (role) => revocations?.refused(role), log });
  const context: ListenerContext = {
    services,
    identity,
    own: () => options.own(),
    certificate: (signal) => options.certificate(signal),
    ...(revocations ? { revocations } : {}),
    clientRevocations,
    config: () => compiled,
    ended: ended.signal,
    live,
    late: new LateNews({ mesh, clock, ended: ended.signal, maxWaiting: shareOf(mostWaiting, share) }),
    left: new LeftWorkloads({
      mesh,
      clock,
      own: () => options.own(),
      onLeave: () => live.review(),
      ended: ended.signal,
    }),
    ...(share ? { share } : {}),
  };
  const descriptors = { limit: descriptorLimit(), open: openDescriptors };
  const max = options.maxConnections ?? defaultMaxConnections(descriptors);
  const cap = new ConnectionCap({ max, descriptors, services, share });
  let isDraining = false;
  const listeners = createListeners({
    context,
    cap,
    host,
    ...(netns === undefined ? {} : { netns }),
    onReady() {
      if (!isDraining) onReady?.(true);
    },
  });
  const store = createConfigStore({
    clock,
    check: (next) => {
      if (candidate) closeFilters(candidate, compiled);
      candidate = compileConfig(next, { services, filters, previous: compiled });
    },
  });
  store.subscribe((snapshot) => {
    const before = compiled;
    compiled =
      candidate?.snapshot === snapshot ? candidate : compileConfig(snapshot, { services, filters, previous: compiled });
    candidate = undefined;
    if (before) closeFilters(before, compiled);
    const backends = new Map(snapshot.backends).set(passthroughBackend.name, passthroughBackend);
    upstreams.apply(backends, snapshot.secrets);
    clientRevocations.apply(snapshot.secrets);
    live.review();
    context.late.look();
    listeners
      .apply(snapshot)
      .catch((error: unknown) => log.error('cannot apply the listeners', { error: messageOf(error) }));
  });
  const wait = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));
  return {
    feed: store.type,
    get snapshot() {
      return store.snapshot;
    },
    status: () => store.status(),
    addresses: () => listeners.addresses(),
    get connections() {
      return live.size;
    },
    async drain({ lingerMs, deadlineMs }) {
      isDraining = true;
      onReady?.(false);
      const left = live.drain();
      await wait(Math.min(lingerMs, deadlineMs));
      await listeners.close();
      await Promise.race([left.then(() => live.drain()), wait(deadlineMs - Math.min(lingerMs, deadlineMs))]);
      ended.abort(new Error('the proxy has ended'));
      upstreams.close();
      if (compiled) closeFilters(compiled, undefined);
    },
  };
}
