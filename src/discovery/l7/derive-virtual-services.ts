/** VirtualServices as one part of the graph: the routes that they bind to Services behind waypoints, and their statuses. */
import type { VirtualService } from '../../api/istio.ts';
import type { Collection, Graph, Reader } from '../../collection/index.ts';
import { clusterOfKey } from '../object-key.ts';
import type { BackendNeed, BoundRoutes } from './contracts.ts';
import { coversHost, fullHost, hostRank } from './host-names.ts';
import type { L7Service, L7Services } from './l7-services.ts';
import { RuleProblems, type RuleProblem } from './rule-problems.ts';
import { bindVirtualService } from './virtual-service.ts';
import { httpRoutesOf, type SourcedRoute } from './virtual-service-delegates.ts';
import { isForMesh } from './virtual-service-match.ts';

export interface VirtualServiceInputs {
  readonly virtualServices: Collection<VirtualService>;
  readonly services: L7Services;
  readonly clusterDomain: string;
}

export interface DerivedVirtualServices {
  /** By `<key of the object>|<service key>|<port>|<host>`. */
  readonly routes: Collection<BoundRoutes>;
  /** By the key of the object: of all but delegates. */
  readonly judged: Collection<JudgedVirtualService>;
}

export interface JudgedVirtualService {
  readonly problems: readonly RuleProblem[];
  /** Services that it means, and whether a waypoint stands for each. */
  readonly services: readonly {
    readonly hostname: string;
    readonly namespace: string;
    readonly waypoints: readonly string[];
  }[];
  /** Gateways of Istio's kind that it names, for which it is not taken. */
  readonly otherGateways: readonly string[];
  /** Subsets that its routes name. */
  readonly subsets: readonly { readonly need: BackendNeed; readonly path: string }[];
  readonly namespace: string;
}

interface TranslatedVirtualService {
  readonly routes: readonly (readonly [string, BoundRoutes])[];
  readonly judged: JudgedVirtualService;
}

export function deriveVirtualServices(graph: Graph, inputs: VirtualServiceInputs): DerivedVirtualServices {
  const { virtualServices, services, clusterDomain } = inputs;
  const translated = graph.map('translated virtual services', virtualServices, (vs, key, read) => {
    const hosts = vs.spec?.hosts ?? [];
    // Without hosts it is for others to delegate to.
    if (hosts.length === 0) return undefined;
    const problems = new RuleProblems();
    const cluster = clusterOfKey(key);
    const http = httpRoutesOf(vs, {
      find: (namespace, name) => read.get(virtualServices, `${cluster}/${namespace}/${name}`),
      clusterDomain,
      problems,
    });
    return translate(vs, key, http, problems, { services, clusterDomain, read });
  });
  return {
    routes: graph.flatMap('routes of virtual services', translated, ({ routes }) => routes),
    judged: graph.map('judged virtual services', translated, ({ judged }) => judged),
  };
}

function translate(
  vs: VirtualService,
  key: string,
  http: readonly SourcedRoute[],
  problems: RuleProblems,
  {
    services,
    clusterDomain,
    read,
  }: Pick<VirtualServiceInputs, 'services' | 'clusterDomain'> & { readonly read: Reader },
): TranslatedVirtualService {
  const { namespace = '' } = vs.metadata;
  const { gateways } = vs.spec ?? {};
  const subsets = new Map<string, JudgedVirtualService['subsets'][number]>();
  const meant = isForMesh(gateways) ? meantServices(vs, { services, clusterDomain, read }, problems) : [];
  const context = {
    clusterDomain,
    find: (hostname: string, from: string) =>
      services.find(hostname, from, read) ?? services.covering(hostname, read)[0],
    problems,
    onSubset: (need: BackendNeed, path: string) => void subsets.set(path, { need, path }),
  };
  const routes: (readonly [string, BoundRoutes])[] = [];
  for (const { service, host } of meant) {
    if (service.waypoints.length === 0) continue;
    for (const port of service.ports) {
      const bound = bindVirtualService(vs, http, { service, port, host }, context);
      routes.push([`${key}|${service.key}|${port.port}|${host}`, bound]);
    }
  }
  return {
    routes,
    judged: {
      problems: problems.all,
      services: meant.map(({ service }) => ({
        hostname: service.hostname,
        namespace: service.namespace,
        waypoints: service.waypoints,
      })),
      otherGateways: (gateways ?? []).filter((gateway) => gateway !== 'mesh'),
      subsets: [...subsets.values()],
      namespace,
    },
  };
}

interface MeantService {
  readonly service: L7Service;
  readonly host: string;
}

/** Each Service once, by the most special of the hosts that mean it; also parts of a Service with a wildcard. */
function meantServices(
  vs: VirtualService,
  {
    services,
    clusterDomain,
    read,
  }: Pick<VirtualServiceInputs, 'services' | 'clusterDomain'> & { readonly read: Reader },
  problems: RuleProblems,
): MeantService[] {
  const { namespace = '' } = vs.metadata;
  const found = new Map<string, MeantService>();
  for (const [index, short] of (vs.spec?.hosts ?? []).entries()) {
    const host = fullHost(short, namespace, clusterDomain);
    const meant = host.startsWith('*')
      ? [...read.all(services.all)].map(([, service]) => service).filter(({ hostname }) => coversHost(host, hostname))
      : [...read.lookup(services.byHostname, host).values()];
    if (meant.length === 0) meant.push(...services.covering(host, read));
    if (meant.length === 0) problems.fault(`spec.hosts[${index}]`, 'HostNotFound', `host ${host} is not known`);
    for (const service of meant) {
      // Each name under a wildcard is a host of its own.
      const part = service.hostname.startsWith('*') ? `${service.key} ${host}` : service.key;
      const before = found.get(part);
      if (!before || hostRank(before.host) < hostRank(host)) found.set(part, { service, host });
    }
  }
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, meant]) => meant);
}
