/** The hosts of one backend, following the mesh, and the plan by which requests are shared among them. */
import type { Backend, LoadBalancer } from '../../api/l7/index.ts';
import type { WorkloadUid } from '../../api/names.ts';
import type { MeshService, MeshWorkload } from '../../api/workload.ts';
import {
  backendHosts,
  leastRequest,
  maglev,
  planLoad,
  randomDraw,
  ringHash,
  roundRobin,
  warmupFactor,
  warmupStepMs,
  type KnownHosts,
  type LoadPlan,
  type Picker,
} from '../../decision/balance/index.ts';
import type { EndpointSet } from '../../mesh/index.ts';
import { Host, isSameDestination } from './host.ts';
import type { PoolOwner } from './pool-owner.ts';

export interface HostSetEvents {
  /** It is no host any more, or is reached in another way: its connections are of no use. */
  onStale(host: Host): void;
}

export class HostSet {
  readonly #owner: PoolOwner;
  readonly #events: HostSetEvents;
  #config: Backend;
  readonly #hosts = new Map<string, Host>();
  #byUid: Map<WorkloadUid, Host> | undefined;
  #localityWeights: ReadonlyMap<string, number> | undefined;
  #plan: LoadPlan<Host> | undefined;
  /** While hosts warm up the plan is made anew from time to time. */
  #planUntilMs = Infinity;
  // What the hosts were made of.
  #revision = -1;
  #endpoints: EndpointSet | undefined;
  #service: MeshService | undefined;
  #own: MeshWorkload | undefined;
  #isStale = true;
  #known: KnownHosts = new WeakMap();
  #round = 0;
  /** Some are behind gateways, whose pods come and go by themselves. */
  #hasRemote = false;

  constructor(owner: PoolOwner, config: Backend, events: HostSetEvents) {
    this.#owner = owner;
    this.#config = config;
    this.#events = events;
  }

  /** Another configuration of the same backend. */
  configure(config: Backend): void {
    this.#config = config;
    this.#isStale = true;
    this.#plan = undefined;
  }

  /** Health or weights changed. */
  replan(): void {
    this.#plan = undefined;
  }

  /** The plan for this moment. */
  plan(): LoadPlan<Host> {
    this.refresh();
    if (this.#plan && (this.#planUntilMs === Infinity || this.#owner.clock.nowMs() < this.#planUntilMs))
      return this.#plan;
    return (this.#plan = this.#makePlan());
  }

  values(): Iterable<Host> {
    return this.#hosts.values();
  }

  get size(): number {
    return this.#hosts.size;
  }

  byUid(uid: WorkloadUid): Host | undefined {
    if (!this.#byUid) {
      this.#byUid = new Map();
      for (const host of this.#hosts.values()) if (host.spec.workload) this.#byUid.set(host.spec.workload.uid, host);
    }
    return this.#byUid.get(uid);
  }

  byKey(key: string): Host | undefined {
    return this.#hosts.get(key);
  }

  has(host: Host): boolean {
    return this.#hosts.get(host.key) === host;
  }

  /** Looks at the mesh again, if it changed. */
  refresh(): void {
    const { mesh } = this.#owner;
    if (this.#revision === mesh.revision && !this.#isStale) return;
    this.#revision = mesh.revision;
    const config = this.#config;
    const endpoints = mesh.endpointSet(config.service);
    const service = mesh.service(config.service);
    const own = this.#owner.own();
    const isSame = endpoints === this.#endpoints && service === this.#service && own === this.#own;
    // Through a waypoint the hosts are those of another Service, and a gateway's pods are, too.
    if (isSame && !this.#isStale && !config.throughWaypoint && !this.#hasRemote) return;
    if (this.#isStale || service !== this.#service || own !== this.#own) this.#known = new WeakMap();
    this.#endpoints = endpoints;
    this.#service = service;
    this.#own = own;
    this.#isStale = false;
    this.#rebuild(own);
  }

  #rebuild(own: MeshWorkload | undefined): void {
    const { mesh, clock, address, network } = this.#owner;
    const found = backendHosts({
      mesh,
      backend: this.#config,
      own,
      ownAddress: address,
      ownNetwork: network,
      known: this.#known,
    });
    this.#hasRemote = found.hosts.some(({ throughGateway }) => throughGateway !== undefined);
    const nowMs = clock.nowMs();
    const round = ++this.#round;
    const stale: Host[] = [];
    for (const spec of found.hosts) {
      let host = this.#hosts.get(spec.key);
      if (!host) this.#hosts.set(spec.key, (host = new Host(spec, nowMs)));
      else if (host.spec !== spec) {
        if (!isSameDestination(host.spec, spec)) stale.push(host);
        host.update(spec);
      }
      host.seenInRound = round;
    }
    for (const host of this.#hosts.values()) {
      if (host.seenInRound === round) continue;
      this.#hosts.delete(host.key);
      stale.push(host);
    }
    this.#localityWeights = found.localityWeights;
    this.#byUid = undefined;
    this.#plan = undefined;
    for (const host of stale) this.#events.onStale(host);
  }

  #makePlan(): LoadPlan<Host> {
    const { loadBalancer, outlierDetection } = this.#config;
    const hosts = [...this.#hosts.values()];
    this.#weigh(hosts, loadBalancer);
    return planLoad({
      hosts,
      panicPercent: outlierDetection?.minHealthPercent ?? 0,
      localityWeights: this.#localityWeights,
      makePicker: (used) => pickerFor(loadBalancer, used, this.#owner.random),
      random: this.#owner.random,
    });
  }

  #weigh(hosts: readonly Host[], loadBalancer: LoadBalancer): void {
    const warmup = 'warmup' in loadBalancer ? loadBalancer.warmup : undefined;
    const nowMs = this.#owner.clock.nowMs();
    let isWarming = false;
    for (const host of hosts) {
      const ageMs = nowMs - host.sinceMs;
      host.weight = host.spec.weight * (warmup ? warmupFactor(warmup, ageMs) : 1);
      if (warmup && ageMs < warmup.durationMs) isWarming = true;
    }
    this.#planUntilMs = warmup && isWarming ? nowMs + warmupStepMs(warmup) : Infinity;
  }
}

function pickerFor(loadBalancer: LoadBalancer, hosts: readonly Host[], random: () => number): Picker<Host> {
  switch (loadBalancer.kind) {
    case 'round-robin':
    // What passes through is not drawn; where it cannot be, this is what is left.
    case 'passthrough':
      return roundRobin(hosts, random);
    case 'least-request':
      return leastRequest(hosts, random);
    case 'random':
      return randomDraw(hosts, random);
    case 'consistent-hash': {
      const { table } = loadBalancer;
      return table.kind === 'ring'
        ? ringHash(hosts, table.minimumSize, random)
        : maglev(hosts, table.tableSize, random);
    }
  }
}
