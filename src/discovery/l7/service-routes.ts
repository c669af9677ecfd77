/**
 * The route table of one port of a Service at its waypoint: what is bound to it, or the one route to the Service itself.
 *
 * Routes of the Gateway API count as one block, ordered by precedence among themselves, that is as old as its oldest route;
 * VirtualServices are a block each. Blocks follow one another by age, as Istio merges them. A consumer's routes come before all
 * of them and replace them, for clients of its namespace alone.
 */
import type { HttpRule, RetryPolicy, RouteTable, TcpRule, TlsRule } from '../../api/l7/index.ts';
import type { BackendUse } from './backend-names.ts';
import { tableName } from './backend-names.ts';
import type { BoundRoutes } from './contracts.ts';
import { coversHost, hostRank } from './host-names.ts';
import { inOrderOfPrecedence } from './http-route-precedence.ts';
import type { L7Port, L7Service } from './l7-services.ts';
import { maySpeakHttp } from './port-protocol.ts';
import { noRetry } from './retries.ts';

export interface ServiceRoutesContext {
  readonly service: L7Service;
  readonly port: L7Port;
  /** All that is bound to this port, backends named as at this proxy. */
  readonly bound: readonly BoundRoutes[];
  /** Of the route to the Service itself. */
  readonly retry: RetryPolicy;
  /** The backend that is the port itself. */
  readonly backend: (use: BackendUse) => string;
}

export function serviceRoutes(context: ServiceRoutesContext): RouteTable {
  const { service, port } = context;
  const isHttp = maySpeakHttp(port.protocol);
  const { names, bound } = byName(context);
  const blocks = inOrderOfAge(bound);
  const domain = service.hostname.startsWith('*') ? service.hostname : '*';
  const ofNames = [...names.values()].flatMap((some) => inOrderOfAge(some.filter(({ api }) => api === 'istio')));
  const tls = [...ofNames, ...blocks].flatMap((block) => block.tls);
  const tcp = blocks.flatMap((block) => block.tcp);
  const takesTcp = port.protocol === 'tcp' || port.protocol === 'tls' || port.protocol === 'auto';
  return {
    kind: 'routes',
    name: tableName(service, port.port, isHttp ? 'http' : 'tcp'),
    hosts: isHttp
      ? [
          ...[...names].map(([name, some]) => ({ domains: [name], rules: httpRules(inOrderOfAge(some), context) })),
          { domains: [domain], rules: httpRules(blocks, context) },
        ]
      : [],
    tls: takesTcp ? tls : [],
    tcp: !takesTcp ? [] : tls.length + tcp.length > 0 ? tcp : [defaultTcpRule(context)],
  };
}

/** What VirtualServices say of single names under the wildcard of the Service, and what is said of all of it. */
function byName({ service, bound }: ServiceRoutesContext): {
  readonly names: ReadonlyMap<string, readonly BoundRoutes[]>;
  readonly bound: readonly BoundRoutes[];
} {
  const isWide = ({ api, hostnames }: BoundRoutes): boolean =>
    api === 'gateway' || hostnames.some((host) => coversHost(host, service.hostname));
  const wide = bound.filter(isWide);
  const narrow = bound.filter((routes) => !isWide(routes));
  const hosts = [...new Set(narrow.flatMap(({ hostnames }) => hostnames))].toSorted();
  const ofGateway = wide.filter(({ api }) => api === 'gateway');
  const names = hosts.map((host) => {
    const own = narrow.filter(({ hostnames }) => hostnames.includes(host));
    return [host, [...own, ...ofGateway]] as const;
  });
  return { names: new Map(names), bound: wide };
}

interface Block {
  readonly createdAt: string;
  readonly name: string;
  readonly http: readonly HttpRule[];
  readonly tls: readonly TlsRule[];
  readonly tcp: readonly TcpRule[];
}

function inOrderOfAge(bound: readonly BoundRoutes[]): Block[] {
  const everybodys = mostSpecial(bound.filter(({ consumerNamespace }) => consumerNamespace === undefined));
  const gatewayApi = everybodys.filter(({ api }) => api === 'gateway').toSorted(byAge);
  const [oldest] = gatewayApi;
  const blocks: Block[] = everybodys
    .filter(({ api }) => api === 'istio')
    .map(({ createdAt, route, http, tls, tcp }) => ({ createdAt, name: nameOf(route), http, tls, tcp }));
  if (oldest) {
    blocks.push({
      createdAt: oldest.createdAt,
      name: nameOf(oldest.route),
      http: inOrderOfPrecedence(gatewayApi),
      tls: gatewayApi.flatMap(({ tls }) => tls),
      tcp: gatewayApi.flatMap(({ tcp }) => tcp),
    });
  }
  return blocks.toSorted((a, b) => compareText(a.createdAt, b.createdAt) || compareText(a.name, b.name));
}

/** Of VirtualServices, those that name the host most specially: a wildcard gives way to a name. */
function mostSpecial(bound: readonly BoundRoutes[]): BoundRoutes[] {
  const rank = ({ hostnames }: BoundRoutes): number => Math.max(...hostnames.map(hostRank));
  const best = Math.max(...bound.filter(({ api }) => api === 'istio').map(rank));
  return bound.filter((routes) => routes.api === 'gateway' || rank(routes) === best);
}

function httpRules(blocks: readonly Block[], context: ServiceRoutesContext): HttpRule[] {
  const consumers = Map.groupBy(
    context.bound.filter(({ consumerNamespace, http }) => consumerNamespace !== undefined && http.length > 0),
    ({ consumerNamespace = '' }) => consumerNamespace,
  );
  const rules = [...consumers]
    .toSorted(([a], [b]) => compareText(a, b))
    .flatMap(([namespace, routes]) => consumerRules(namespace, routes));
  const everybodys = blocks.flatMap(({ http }) => http);
  return untilCatchAll([...rules, ...(everybodys.length > 0 ? everybodys : [defaultHttpRule(context)])]);
}

function consumerRules(namespace: string, routes: readonly BoundRoutes[]): HttpRule[] {
  const rules = inOrderOfPrecedence(routes).map((rule) => ({
    ...rule,
    matches: (rule.matches.length > 0 ? rule.matches : [{}]).map((match) => ({ ...match, sourceNamespace: namespace })),
  }));
  const [first] = rules;
  if (!first) return [];
  const nothing: HttpRule = {
    name: `${namespace}.no-route`,
    origin: first.origin,
    matches: [{ sourceNamespace: namespace }],
    action: { kind: 'respond', status: 404 },
  };
  return [...rules, nothing];
}

/** What follows a rule that takes everything is never reached. */
function untilCatchAll(rules: readonly HttpRule[]): HttpRule[] {
  const index = rules.findIndex(isCatchAll);
  return index < 0 ? [...rules] : rules.slice(0, index + 1);
}

function isCatchAll({ matches }: HttpRule): boolean {
  if (matches.length === 0) return true;
  return matches.some((match) => {
    const { path, ...others } = match;
    if (Object.keys(others).length > 0) return false;
    if (!path) return true;
    if (path.kind === 'regex') return path.value === '.*';
    return path.kind !== 'exact' && (path.value === '/' || path.value === '');
  });
}

function defaultHttpRule({ service, port, retry, backend }: ServiceRoutesContext): HttpRule {
  return {
    name: 'default',
    origin: service.origin,
    matches: [],
    action: { kind: 'forward', destinations: [{ weight: 1, target: { kind: 'backend', backend: backend('http') } }] },
    retry: port.protocol === 'grpc' ? noRetry : retry,
  };
}

function defaultTcpRule({ service, backend }: ServiceRoutesContext): TcpRule {
  return {
    name: 'default',
    origin: service.origin,
    destinationSubnets: [],
    destinations: [{ weight: 1, target: { kind: 'backend', backend: backend('tcp') } }],
  };
}

export function byAge(a: BoundRoutes, b: BoundRoutes): number {
  return compareText(a.createdAt, b.createdAt) || compareText(nameOf(a.route), nameOf(b.route));
}

function nameOf({ namespace, name }: BoundRoutes['route']): string {
  return `${namespace}/${name}`;
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
