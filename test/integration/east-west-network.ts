/** One network of a test: objects as a cluster would have them, its ztunnel and its proxies, told what discovery makes of them. */
import type { KubeObject } from '../../src/api/meta.ts';
import { spiffeId, type NetworkId } from '../../src/api/names.ts';
import type { Source } from '../../src/collection/index.ts';
import type { DiscoverySources } from '../../src/discovery/discovery.ts';
import { openWorld, type World } from '../../src/discovery/fixtures.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openLog } from '../../src/lib/log.ts';
import { MeshState } from '../../src/mesh/index.ts';
import { filterKinds } from '../../src/proxy/filters/index.ts';
import { createProxy, type Proxy } from '../../src/proxy/proxy.ts';
import { createUpstreams } from '../../src/proxy/upstream/index.ts';
import { MetricsRegistry } from '../../src/telemetry/index.ts';
import { encodeProxyResource, proxyResourceName, resourceVersion } from '../../src/wire/index.ts';
import type { TestAuthority } from '../support/certificates.ts';
import type { TestPod } from './pod-namespaces.ts';
import { startTestDataPart, type TestDataPart } from './ztunnel-fixture.ts';

export interface TestProxy {
  readonly mesh: MeshState;
  /** Lines of its log so far. */
  readonly log: string[];
  close(): Promise<void>;
}

export class TestNetwork {
  readonly network: NetworkId;
  readonly ztunnel: TestDataPart;
  readonly #authority: TestAuthority;
  readonly #world: World = openWorld();
  readonly #told = new Set<string>();
  readonly #proxies = new Map<string, { readonly mesh: MeshState; readonly proxy: Proxy; told: Set<string> }>();

  constructor(authority: TestAuthority, network: string) {
    this.network = network as NetworkId;
    this.#authority = authority;
    this.ztunnel = startTestDataPart(
      authority,
      { tryTimeoutMs: 2000, connectTimeoutMs: 6000, suspectMs: 500 },
      { network: this.network },
    );
  }

  /** Objects of one kind; ztunnel and the proxies hear of what comes of them. */
  put(source: keyof DiscoverySources, ...objects: readonly KubeObject[]): void {
    this.#world.put(this.#world.sources[source] as Source<KubeObject>, ...objects);
    this.#tell();
  }

  /** The proxy of a Gateway, `<namespace>/<name>`, in a pod. It connects from `address`. */
  async startProxy(pod: TestPod, gateway: string, source: 'waypoint' | 'gateway', address: string): Promise<TestProxy> {
    const mesh = new MeshState();
    const lines: string[] = [];
    const log = openLog({ scope: 'proxy', level: 'debug', write: (line) => void lines.push(line) });
    const { namespace, name, serviceAccount } = pod;
    const identity = spiffeId('cluster.local', namespace, serviceAccount);
    const own = (): ReturnType<MeshState['workloadOfPod']> => mesh.workloadOfPod({ namespace, name, serviceAccount });
    const certificate = (): ReturnType<TestAuthority['certificate']> => this.#authority.certificate(identity);
    const upstreams = createUpstreams({
      mesh,
      clock: systemClock,
      log,
      random: Math.random,
      own,
      address,
      network: this.network,
      identity,
      certificates: { certificate, onRotate: () => () => {} },
      source,
      resolve: () => Promise.reject(new Error('no names here')),
      from: () => ({ netns: pod.netns, mark: 0 }),
    });
    const ready = Promise.withResolvers<void>();
    const metrics = new MetricsRegistry({ clock: systemClock, log });
    const proxy = createProxy({
      services: { clock: systemClock, log, mesh, metrics, random: Math.random, upstreams },
      filters: filterKinds,
      identity,
      own,
      certificate,
      host: '::',
      netns: pod.netns,
      onReady: (isReady) => {
        if (isReady) ready.resolve();
      },
    });
    this.#proxies.set(gateway, { mesh, proxy, told: new Set() });
    this.#tell();
    await ready.promise;
    return {
      mesh,
      log: lines,
      close: async () => {
        this.#proxies.delete(gateway);
        await proxy.drain({ lingerMs: 0, deadlineMs: 0 });
      },
    };
  }

  #tell(): void {
    const addresses = new Map(this.#world.addresses.entries());
    const removed = [...this.#told].filter((name) => !addresses.has(name));
    const update = { updated: [...addresses.values()], removed };
    for (const name of addresses.keys()) this.#told.add(name);
    for (const name of removed) this.#told.delete(name);
    this.ztunnel.send({ kind: 'addresses', update });
    for (const [gateway, one] of this.#proxies) {
      one.mesh.applyAddresses(update);
      const resources = [...this.#world.proxyResources.entries()].flatMap(([, of]) =>
        of.gateway === gateway ? of.resource : [],
      );
      const names = new Set(resources.map(proxyResourceName));
      const { rejected } = one.proxy.feed.apply({
        added: resources.map((resource) => {
          const body = encodeProxyResource(resource);
          return { name: proxyResourceName(resource), version: resourceVersion(body), body };
        }),
        removed: [...one.told].filter((name) => !names.has(name)),
      });
      one.told = names;
      if (rejected.length > 0) throw new Error(`${gateway} refuses ${JSON.stringify(rejected)}`);
    }
  }

  close(): Promise<void> {
    return this.ztunnel.drain(0);
  }
}
