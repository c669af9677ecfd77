/**
 * Live outbound connections that go straight to their destination, and what a change of the mesh means for them: a newly required
 * waypoint moves them over a while, REGISTRY_ONLY ends those to what is not in the registry.
 */
import type { ServiceKey, WorkloadUid } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import type { Clock } from '../../lib/clock.ts';
import { AmbitError } from '../../lib/errors.ts';
import { LinkedList, type Link } from '../../lib/linked-list.ts';
import { violatedByChange } from '../../decision/index.ts';
import type { MeshChange, MeshState } from '../../mesh/index.ts';

export interface WatchedConnection {
  cut(error: Error): void;
}

export type Concern = ServiceKey | WorkloadUid | typeof anyBlock | `address ${string}`;

/** For a connection to an address that nobody has: a service or a workload may come to have it, or a service a block around it. */
export function unknownAddress(ip: string): readonly Concern[] {
  return [`address ${ip}`, anyBlock];
}

const anyBlock = 'block';

export interface WatchedFacts {
  readonly own: MeshWorkload;
  readonly destinationIp: string;
  readonly destinationPort: number;
  readonly wentTo: 'mesh' | 'outside';
  /** What it was addressed to: a change of one of them may concern the connection. */
  readonly concerns: readonly Concern[];
  /** Of the mesh when it was planned. */
  readonly revision: number;
}

export interface OutboundWatchOptions {
  readonly mesh: MeshState;
  readonly clock: Clock;
  readonly random: () => number;
  /** Connections past a new waypoint end within this time, spread over it. */
  readonly waypointDrainMs: number;
}

interface Watched {
  readonly connection: WatchedConnection;
  readonly facts: WatchedFacts;
  cancelDrain: (() => void) | undefined;
}

/** Of what nobody is connected to any more so much is kept: the next connection most likely goes there again. */
const keptConcerns = 1024;

/** Most of a turn of the event loop that a look at connections takes. */
const sliceMs = 2;

export class OutboundWatch {
  readonly #options: OutboundWatchOptions;
  readonly #byConcern = new Map<Concern, LinkedList<Watched>>();
  readonly #queue = new Set<Watched>();
  #scheduled = false;

  constructor(options: OutboundWatchOptions) {
    this.#options = options;
    options.mesh.subscribe((change) => this.#onChange(change));
  }

  /** From now on; the returned function forgets the connection. */
  watch(connection: WatchedConnection, facts: WatchedFacts): () => void {
    const watched: Watched = { connection, facts, cancelDrain: undefined };
    const places: Link<Watched>[] = [];
    for (const concern of facts.concerns) places.push(this.#concerning(concern).add(watched));
    // The mesh changed between plan and connection: nobody has looked yet.
    if (facts.revision !== this.#options.mesh.revision) this.#request(watched);
    return () => {
      watched.cancelDrain?.();
      this.#queue.delete(watched);
      for (const [i, concern] of facts.concerns.entries()) this.#leave(concern, places[i] as Link<Watched>);
    };
  }

  #concerning(concern: Concern): LinkedList<Watched> {
    let list = this.#byConcern.get(concern);
    if (!list) this.#byConcern.set(concern, (list = new LinkedList()));
    return list;
  }

  #leave(concern: Concern, place: Link<Watched>): void {
    const list = this.#byConcern.get(concern);
    if (list?.remove(place) && list.size === 0 && this.#byConcern.size > keptConcerns) this.#byConcern.delete(concern);
  }

  #onChange(change: MeshChange): void {
    if (change.kind !== 'addresses' || this.#byConcern.size === 0) return;
    for (const keys of [change.workloads, change.services, this.#addressesOf(change)]) {
      for (const key of keys) for (const watched of this.#byConcern.get(key) ?? []) this.#request(watched);
    }
  }

  /** For connections to what was unknown; empty where there are none. */
  #addressesOf({ services, workloads }: Extract<MeshChange, { kind: 'addresses' }>): Set<Concern> {
    const { mesh } = this.#options;
    const concerns = new Set<Concern>();
    if (!this.#byConcern.get(anyBlock)?.size) return concerns;
    for (const key of services) {
      for (const { ip, prefixLength } of mesh.service(key)?.addresses ?? [])
        concerns.add(prefixLength === undefined ? `address ${ip}` : anyBlock);
    }
    for (const uid of workloads) for (const ip of mesh.workload(uid)?.addresses ?? []) concerns.add(`address ${ip}`);
    return concerns;
  }

  #request(watched: Watched): void {
    this.#queue.add(watched);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#slice);
  }

  readonly #slice = (): void => {
    this.#scheduled = false;
    const untilMs = performance.now() + sliceMs;
    for (const watched of this.#queue) {
      this.#queue.delete(watched);
      this.#check(watched);
      if (performance.now() >= untilMs) break;
    }
    if (this.#queue.size === 0) return;
    this.#scheduled = true;
    setImmediate(this.#slice);
  };

  #check(watched: Watched): void {
    const { clock, random, waypointDrainMs } = this.#options;
    switch (this.#violation(watched)) {
      case undefined:
        watched.cancelDrain?.();
        watched.cancelDrain = undefined;
        return;
      case 'registry-only':
        return watched.connection.cut(registryOnlyError(watched.facts));
      case 'waypoint-required':
        watched.cancelDrain ??= clock.after(random() * waypointDrainMs, () => {
          watched.cancelDrain = undefined;
          // It may have been taken back meanwhile.
          if (this.#violation(watched) === 'waypoint-required') watched.connection.cut(waypointError(watched.facts));
        });
    }
  }

  #violation({ facts }: Watched): ReturnType<typeof violatedByChange> {
    const { mesh } = this.#options;
    const { destinationIp, destinationPort, wentTo } = facts;
    const own = mesh.workload(facts.own.uid) ?? facts.own;
    return violatedByChange({ mesh, own, destinationIp, destinationPort }, wentTo);
  }
}

function registryOnlyError({ destinationIp }: WatchedFacts): AmbitError {
  return new AmbitError(
    `connection closed: ${destinationIp} is not in the registry, and outboundTrafficPolicy is REGISTRY_ONLY`,
    { code: 'outbound.registry-only', blame: 'downstream' },
  );
}

function waypointError({ destinationIp }: WatchedFacts): AmbitError {
  return new AmbitError(`connection closed: a waypoint became required on the way to ${destinationIp}`, {
    code: 'outbound.waypoint-required',
    blame: 'downstream',
  });
}
