/** A snapshot compiled: routes and filter chains of each place, made before the snapshot is used, so that what cannot be made refuses it. */
import type {
  Backend,
  DestinationService,
  EdgeServer,
  Listener,
  PolicyAttachment,
  RouteTable,
} from '../../api/l7/index.ts';
import type { ServiceKey } from '../../api/names.ts';
import { compileRoutes, type CompiledRoutes } from '../../decision/routes/index.ts';
import type { PoliciesByKind, ProxySnapshot } from '../config/snapshot.ts';
import type { ProxyServices } from '../proxy-services.ts';
import type { FilterKind, FilterPlace, HttpFilter } from './filter.ts';
import type { HttpPlace } from './place.ts';
import type { TcpFilter } from './tcp-run.ts';

export interface ServerPlace extends HttpPlace {
  readonly server: EdgeServer;
}

export interface CompiledConfig {
  readonly snapshot: ProxySnapshot;
  /** Of a waypoint: the place of a Service's port. */
  servicePlace(listener: string, service: ServiceKey, port: number): HttpPlace | undefined;
  /** Of a gateway between networks: of tunnels that a waypoint sends to a Service's port. */
  pastWaypointPlace(listener: string, service: ServiceKey, port: number): HttpPlace | undefined;
  /** Of a waypoint: of workloads by their own addresses. */
  directPlace(listener: string): HttpPlace | undefined;
  /** Of a gateway, in the order of the listener's servers. */
  serverPlaces(listener: string): readonly ServerPlace[];
  /** Of a gateway: for requests to hosts that none of its servers has, which are told of and answered 404. */
  unmatchedPlace(listener: string): HttpPlace | undefined;
}

export interface CompileOptions {
  readonly services: ProxyServices;
  /** In the order in which requests pass them. */
  readonly filters: readonly FilterKind[];
  /** What is unchanged in it is used again: filters keep their state (buckets, caches). */
  readonly previous?: CompiledConfig | undefined;
}

/** @throws ConfigError of a filter, or AmbitError `policy.bad-regex`. */
export function compileConfig(snapshot: ProxySnapshot, options: CompileOptions): CompiledConfig {
  const chains = new Chains(options.filters, options.previous && filtersOf.get(options.previous));
  try {
    return compilePlaces(snapshot, options, chains);
  } catch (error) {
    chains.closeNew();
    throw error;
  }
}

function compilePlaces(snapshot: ProxySnapshot, options: CompileOptions, chains: Chains): CompiledConfig {
  const servicePlaces = new Map<string, HttpPlace>();
  const pastWaypointPlaces = new Map<string, HttpPlace>();
  const directPlaces = new Map<string, HttpPlace>();
  const serverPlaces = new Map<string, ServerPlace[]>();
  const unmatchedPlaces = new Map<string, HttpPlace>();
  const common = (listener: Listener, policies: PolicyAttachment, service: DestinationService | undefined) => ({
    ...chains.build({ policies, service: service?.name, snapshot, services: options.services }),
    service,
    settings: snapshot.settings,
    tellsReason: listener.type !== 'edge',
    tellsIdentity: listener.type === 'waypoint' && listener.includesClientIdentity,
    services: options.services,
  });
  for (const listener of snapshot.listeners.values()) {
    if (listener.type === 'waypoint') {
      for (const service of snapshot.services.values()) {
        const policies = joined(listener.policies, service.policies);
        for (const port of service.ports) {
          const table = tableNamed(snapshot, port.routes);
          servicePlaces.set(placeKey(listener, service.name, port.port), {
            ...common(listener, policies, service),
            routes: compiledRoutes(table),
            table,
            protocol: port.protocol,
          });
        }
      }
      const routes = compiledRoutes(directTable);
      directPlaces.set(listener.name, {
        ...common(listener, listener.policies, undefined),
        routes,
        table: directTable,
        protocol: 'auto',
      });
    } else if (listener.type === 'east-west') {
      for (const service of snapshot.services.values()) {
        const policies = joined(listener.policies, service.policies);
        const place = common(listener, policies, service);
        for (const { port, routes, routesPastWaypoint = routes } of service.ports) {
          const key = placeKey(listener, service.name, port);
          servicePlaces.set(key, { ...place, ...bytesBy(tableNamed(snapshot, routes)) });
          pastWaypointPlaces.set(key, { ...place, ...bytesBy(tableNamed(snapshot, routesPastWaypoint)) });
        }
      }
    } else {
      const { telemetry } = listener.policies;
      unmatchedPlaces.set(listener.name, {
        ...common(listener, { ...noPolicies, telemetry }, undefined),
        routes: compiledRoutes(emptyTable),
        table: emptyTable,
        protocol: 'http',
      });
      serverPlaces.set(
        listener.name,
        listener.servers.map((server) => {
          const table = tableNamed(snapshot, server.routes);
          const policies = joined(listener.policies, server.policies);
          const protocol = server.protocol === 'https' ? 'http' : server.protocol;
          return { ...common(listener, policies, undefined), routes: compiledRoutes(table), table, protocol, server };
        }),
      );
    }
  }
  const config: CompiledConfig = {
    snapshot,
    servicePlace: (listener, service, port) => servicePlaces.get(`${listener} ${service} ${port}`),
    pastWaypointPlace: (listener, service, port) => pastWaypointPlaces.get(`${listener} ${service} ${port}`),
    directPlace: (listener) => directPlaces.get(listener),
    serverPlaces: (listener) => serverPlaces.get(listener) ?? [],
    unmatchedPlace: (listener) => unmatchedPlaces.get(listener),
  };
  filtersOf.set(config, chains.built);
  return config;
}

/** The backend of addresses that the client chose itself. */
export const passthroughBackend: Backend = {
  kind: 'backend',
  name: 'PassthroughCluster',
  service: '' as ServiceKey,
  hostname: '',
  port: 0,
  protocol: 'auto',
  throughWaypoint: false,
  loadBalancer: { kind: 'passthrough' },
  locality: { enabled: false, distribute: [], failover: [], forced: false },
  connectionPool: { connectTimeoutMs: 10_000, idleTimeoutMs: 3_600_000 },
};

const toClientsChoice = [{ weight: 1, target: { kind: 'backend', backend: passthroughBackend.name } as const }];
const directOrigin = { kind: 'Gateway', namespace: '', name: '', generation: 0 };

/** Where a workload's own address leads: there. */
const directTable: RouteTable = {
  kind: 'routes',
  name: 'direct',
  hosts: [
    {
      domains: ['*'],
      rules: [
        {
          name: 'direct',
          origin: directOrigin,
          matches: [],
          action: { kind: 'forward', destinations: toClientsChoice },
        },
      ],
    },
  ],
  tls: [],
  tcp: [{ name: 'direct', origin: directOrigin, destinationSubnets: [], destinations: toClientsChoice }],
};

const noPolicies: PolicyAttachment = {
  authorization: [],
  authentication: [],
  rateLimits: [],
  telemetry: [],
  extensions: [],
};

const emptyTable: RouteTable = { kind: 'routes', name: 'unmatched', hosts: [], tls: [], tcp: [] };

function placeKey({ name }: Listener, service: ServiceKey, port: number): string {
  return `${name} ${service} ${port}`;
}

function tableNamed(snapshot: ProxySnapshot, name: string): RouteTable {
  return snapshot.routes.get(name) ?? { kind: 'routes', name, hosts: [], tls: [], tcp: [] };
}

function bytesBy(table: RouteTable): Pick<HttpPlace, 'routes' | 'table' | 'protocol'> {
  return { routes: compiledRoutes(table), table, protocol: 'tcp' };
}

const routesByTable = new WeakMap<RouteTable, CompiledRoutes>();

function compiledRoutes(table: RouteTable): CompiledRoutes {
  let routes = routesByTable.get(table);
  if (!routes) routesByTable.set(table, (routes = compileRoutes(table)));
  return routes;
}

function joined(first: PolicyAttachment, second: PolicyAttachment): PolicyAttachment {
  const join = (key: keyof PolicyAttachment): readonly string[] => [...new Set([...first[key], ...second[key]])];
  return {
    authorization: join('authorization'),
    authentication: join('authentication'),
    rateLimits: join('rateLimits'),
    telemetry: join('telemetry'),
    extensions: join('extensions'),
  };
}

interface BuiltFilter {
  /** The very objects that it was built from. */
  readonly inputs: readonly unknown[];
  readonly filter: HttpFilter | undefined;
  readonly tcpFilter: TcpFilter | undefined;
}

/** Of each configuration: its filters by kind, place and policies, so that the next one takes over what is unchanged. */
const filtersOf = new WeakMap<CompiledConfig, ReadonlyMap<string, BuiltFilter>>();

/** Ends the filters that `old` has and `kept` has not: of a configuration that was replaced, or that came to nothing. */
export function closeFilters(old: CompiledConfig, kept: CompiledConfig | undefined): void {
  const alive = new Set([...((kept && filtersOf.get(kept)?.values()) ?? [])].map(({ filter }) => filter));
  for (const { filter } of filtersOf.get(old)?.values() ?? []) if (!alive.has(filter)) filter?.close?.();
}

class Chains {
  readonly built = new Map<string, BuiltFilter>();
  readonly #kinds: readonly FilterKind[];
  readonly #before: ReadonlyMap<string, BuiltFilter>;

  constructor(kinds: readonly FilterKind[], before: ReadonlyMap<string, BuiltFilter> = new Map()) {
    this.#kinds = kinds;
    this.#before = before;
  }

  build(place: FilterPlace): { readonly filters: HttpFilter[]; readonly tcpFilters: TcpFilter[] } {
    const built = this.#kinds.map((kind) => this.#filter(kind, place));
    return {
      filters: built.flatMap(({ filter }) => filter ?? []),
      tcpFilters: built.flatMap(({ tcpFilter }) => tcpFilter ?? []),
    };
  }

  /** Of a configuration that came to nothing. */
  closeNew(): void {
    const before = new Set([...this.#before.values()].map(({ filter }) => filter));
    for (const { filter } of this.built.values()) if (!before.has(filter)) filter?.close?.();
  }

  #filter(kind: FilterKind, place: FilterPlace): BuiltFilter {
    const reads = kind.reads ?? attachmentKeys;
    const names = reads.map((attachment) => place.policies[attachment].join(','));
    const key = `${kind.name} ${place.service ?? ''} ${names.join(';')}`;
    const inputs = inputsOf(place, reads);
    const known = this.built.get(key) ?? this.#before.get(key);
    const isSame = known?.inputs.length === inputs.length && known.inputs.every((input, i) => input === inputs[i]);
    const built = isSame ? known : { inputs, filter: kind.build(place), tcpFilter: kind.buildTcp?.(place) };
    this.built.set(key, built);
    return built;
  }
}

const attachmentKeys = ['authorization', 'authentication', 'rateLimits', 'telemetry', 'extensions'] as const;

const kindOf: Readonly<Record<keyof PolicyAttachment, keyof PoliciesByKind>> = {
  authorization: 'authorization',
  authentication: 'authentication',
  rateLimits: 'rate-limit',
  telemetry: 'telemetry',
  extensions: 'extension',
};

/** The very objects that a filter of this place may read. */
function inputsOf({ policies, snapshot }: FilterPlace, reads: readonly (keyof PolicyAttachment)[]): unknown[] {
  const inputs: unknown[] = [snapshot.settings];
  for (const provider of snapshot.providers.values()) {
    inputs.push(provider, provider.backend === undefined ? undefined : snapshot.backends.get(provider.backend));
  }
  for (const key of reads) for (const name of policies[key]) inputs.push(snapshot.policies[kindOf[key]].get(name));
  return inputs;
}
