/** What a waypoint makes of a request: the Service it stands for, the route, the policies, the endpoints. */
import type {
  HttpAuthorization,
  HttpRule,
  PolicyAttachment,
  RouteTable,
  UpstreamTls,
  WaypointListener,
} from '../api/l7/index.ts';
import { serviceKey, spiffeId, type SpiffeId } from '../api/names.ts';
import type { MeshService, MeshWorkload } from '../api/workload.ts';
import { isWaypointOf } from '../decision/index.ts';
import { backendHosts, requestedHost } from '../decision/balance/index.ts';
import { compileRoutes, pickTcpRule } from '../decision/routes/index.ts';
import { HeaderList } from '../http/header-list.ts';
import { normalizePath } from '../http/path-normalization.ts';
import { formatHostPort } from '../lib/ip.ts';
import { traceHttpAuthorization, type PolicyTrace } from '../policy/http-authorization-trace.ts';
import type { ProxySnapshot } from '../proxy/index.ts';
import type { Steps } from './steps.ts';
import type { World } from './world.ts';

/** A request as the user describes it. */
export interface L7Request {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Default: what was asked for. */
  readonly authority?: string;
}

export interface AtWaypoint {
  readonly waypoint: MeshWorkload;
  readonly client: { readonly identity: SpiffeId; readonly address: string; readonly workload: MeshWorkload };
  readonly service: MeshService | undefined;
  /** The name by which it was asked for. */
  readonly name: string;
  readonly target: { readonly ip: string; readonly port: number };
  readonly request: L7Request;
  /** Goes on with what the destination's ztunnel makes of it. */
  readonly arrive: (workload: MeshWorkload, port: number, by: SpiffeId) => void;
}

export function explainWaypoint(steps: Steps, world: World, at: AtWaypoint): void {
  const { waypoint, service, target } = at;
  const found = proxyOf(world, waypoint);
  if (!found) {
    steps.note(
      'waypoint',
      `${waypoint.namespace}/${waypoint.name} is no waypoint of this control plane: what it decides is not known here`,
    );
    return;
  }
  const { gateway, snapshot, listener } = found;
  const workload = service ? undefined : world.mesh.workloadByIp(waypoint.network, target.ip);
  if (workload && isWaypointOf(waypoint, workload, world.mesh)) {
    const name = `${workload.namespace}/${workload.name}`;
    steps.pass(
      'waypoint',
      `waypoint ${gateway} takes it for workload ${name} port ${target.port}, as what it turns out to be`,
    );
    explainFilters(steps, { at, snapshot, attached: [listener.policies], isHttp: true });
    if (!steps.stopped) at.arrive(workload, target.port, identityOf(waypoint));
    return;
  }
  const destination = service && snapshot.services.get(serviceKey(service.namespace, service.hostname));
  const port = destination?.ports.find((candidate) => candidate.port === target.port);
  if (!destination || !port) {
    const what = service ? `${service.hostname} port ${target.port}` : formatHostPort(target.ip, target.port);
    const of = service && world.mesh.service(serviceKey(service.namespace, service.hostname));
    // As the waypoint itself tells the two apart.
    const isOurs = of !== undefined && isWaypointOf(waypoint, of, world.mesh);
    const summary = isOurs
      ? `waypoint ${gateway} is not told how to serve ${what}`
      : `waypoint ${gateway} does not stand for ${what}`;
    steps.stop('waypoint', summary, `the connection is refused (${isOurs ? 503 : 404})`, [
      'refused after up to 10 s: the waypoint waits for news that would make it its own',
    ]);
    return;
  }
  steps.pass(
    'waypoint',
    `waypoint ${gateway} takes it for ${destination.hostname} port ${port.port}, as ${port.protocol}`,
  );
  const table = snapshot.routes.get(port.routes);
  if (!table) {
    steps.stop('route', `the waypoint has no routes called ${port.routes}`, 'HTTP 404');
    return;
  }
  const isHttp = port.protocol !== 'tcp' && port.protocol !== 'tls';
  explainFilters(steps, { at, snapshot, attached: [listener.policies, destination.policies], isHttp });
  if (steps.stopped) return;
  if (isHttp) explainHttp(steps, world, { at, snapshot, table });
  else explainTcp(steps, world, { at, snapshot, table });
}

interface Filters {
  readonly at: AtWaypoint;
  readonly snapshot: ProxySnapshot;
  /** Of the listener, then of the Service. */
  readonly attached: readonly PolicyAttachment[];
  readonly isHttp: boolean;
}

function explainFilters(steps: Steps, { at, snapshot, attached, isHttp }: Filters): void {
  const names = [...new Set(attached.flatMap(({ authorization }) => authorization))];
  const policies = names.flatMap((name) => snapshot.policies.authorization.get(name) ?? []);
  explainPolicies(steps, policies, at, isHttp);
  if (steps.stopped || !isHttp) return;
  const tokens = attached.flatMap(({ authentication }) => authentication);
  if (tokens.length > 0) {
    steps.note(
      'authentication',
      `tokens are checked by ${tokens.join(', ')}: a request without one goes on, a bad one is answered 401`,
    );
  }
  const extensions = attached.flatMap((policies) => policies.extensions);
  if (extensions.length > 0) {
    steps.note('extensions', `${extensions.join(', ')} may change or answer it: what they do is not known here`);
  }
  const limits = attached.flatMap(({ rateLimits }) => rateLimits);
  if (limits.length > 0) steps.note('rate limit', `counted by ${limits.join(', ')}`);
}

interface Routing {
  readonly at: AtWaypoint;
  readonly snapshot: ProxySnapshot;
  readonly table: RouteTable;
}

function proxyOf(
  { proxies }: World,
  waypoint: MeshWorkload,
): { readonly gateway: string; readonly snapshot: ProxySnapshot; readonly listener: WaypointListener } | undefined {
  for (const [gateway, snapshot] of proxies) {
    const [namespace, name = ''] = gateway.split('/');
    if (namespace !== waypoint.namespace || !isPodOf(waypoint, name)) continue;
    for (const listener of snapshot.listeners.values()) {
      if (listener.type === 'waypoint') return { gateway, snapshot, listener };
    }
  }
  return undefined;
}

/** Pods of a Gateway are those of its Deployment, which has its name. */
function isPodOf({ workloadName, canonicalName, name }: MeshWorkload, gateway: string): boolean {
  return workloadName === gateway || canonicalName === gateway || name.startsWith(`${gateway}-`);
}

function explainPolicies(steps: Steps, policies: readonly HttpAuthorization[], at: AtWaypoint, isHttp: boolean): void {
  if (policies.length === 0) {
    steps.pass('authorization', 'no AuthorizationPolicy is attached here: everybody may');
    return;
  }
  const { client, target, request } = at;
  const { decision, policies: traces } = traceHttpAuthorization(
    policies,
    {
      connection: {
        sourceAddress: client.address,
        sourceIdentity: client.identity,
        destinationAddress: target.ip,
        destinationPort: target.port,
        sni: undefined,
      },
      remoteAddress: client.address,
      ...(isHttp ? { request: factsOf(at) } : {}),
    },
    isHttp ? 'http' : 'tcp',
  );
  const details = traces.map(describeTrace);
  if (decision.kind === 'deny') {
    const answer = isHttp ? 'HTTP 403 RBAC: access denied' : 'the connection is closed';
    steps.stop('authorization', `${request.method} ${request.path} is denied: ${decision.reason}`, answer, details);
  } else steps.pass('authorization', `the policies allow it`, details);
}

function describeTrace({ policy, action, dryRun, outcome, rules }: PolicyTrace): string {
  const name = `${action.toUpperCase()} ${policy}${dryRun ? ' (dry run)' : ''}`;
  if (outcome === 'matched') return `${name} matches`;
  const closest = rules.toSorted((a, b) => a.missing.length - b.missing.length)[0];
  const missing = (closest?.missing ?? []).map(({ attribute, wanted, unwanted, found }) => {
    const wants = [
      wanted.length > 0 ? wanted.join(' or ') : '',
      unwanted.length > 0 ? `not ${unwanted.join(' nor ')}` : '',
    ];
    return `${attribute} is ${found.join(', ') || 'absent'}, wanted ${wants.filter((text) => text !== '').join(', ')}`;
  });
  const how = outcome === 'nearly' ? 'nearly matches' : 'does not match';
  return `${name} ${how}${missing.length > 0 ? `: ${missing.join('; ')}` : ''}`;
}

/** Of a Service that stands for many names, the one that was asked for. */
function hostOf({ name, service, target }: AtWaypoint): string {
  if (!service) return target.ip;
  return service.hostname.startsWith('*') ? name : service.hostname;
}

function factsOf(at: AtWaypoint): {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly headers: HeaderList;
} {
  const { request, target } = at;
  const host = hostOf(at);
  const authority = request.authority ?? (target.port === 80 ? host : formatHostPort(host, target.port));
  const headers = new HeaderList(request.headers.flatMap(([name, value]) => [name.toLowerCase(), value]));
  return { method: request.method, scheme: 'http', authority, path: request.path, headers };
}

function explainHttp(steps: Steps, world: World, routing: Routing): void {
  const { at, snapshot, table } = routing;
  const facts = factsOf(at);
  const path = normalizePath(facts.path, snapshot.settings.pathNormalization);
  if (path === undefined) {
    steps.stop('route', `the path ${JSON.stringify(facts.path)} cannot be normalised`, 'HTTP 400');
    return;
  }
  const { picked, steps: tried } = compileRoutes(table).explain({
    ...facts,
    path,
    port: at.target.port,
    sourceNamespace: at.client.workload.namespace,
    claims: undefined,
  });
  const details = tried.flatMap((step) => {
    if (step.kind === 'no-host') return [`no host is called ${step.authority}`];
    if (step.kind === 'host') return table.hosts.length > 1 ? [`host ${step.domain}`] : [];
    return [`${describeRule(step.rule)}: ${step.matched ? 'matches' : 'does not match'}`];
  });
  if (!picked) {
    steps.stop('route', `no rule takes ${facts.method} ${path}`, 'HTTP 404', details);
    return;
  }
  const { rule } = picked;
  const { action } = rule;
  if (action.kind === 'redirect' || action.kind === 'respond') {
    steps.stop('route', `${describeRule(rule)} answers by itself`, `HTTP ${action.status}`, details);
    return;
  }
  const fault = rule.fault?.abort;
  if (fault)
    details.push(
      `a fault is injected into ${fault.percent} % of requests: HTTP ${fault.httpStatus ?? fault.grpcStatus}`,
    );
  if (rule.timeoutMs) details.push(`timeout ${rule.timeoutMs} ms`);
  const retry = rule.retry ?? snapshot.settings.defaultRetry;
  if (retry) details.push(`up to ${retry.attempts} retries on ${retry.on.join(', ')}`);
  steps.pass('route', `${describeRule(rule)} takes it`, details);
  const asked = action.rewrite?.authority ?? facts.authority;
  explainDestinations(steps, world, at, { snapshot, asked }, action.destinations);
}

function explainTcp(steps: Steps, world: World, { at, snapshot, table }: Routing): void {
  const { client, target } = at;
  const rule = pickTcpRule(table.tcp, {
    destinationAddress: target.ip,
    port: target.port,
    sourceNamespace: client.workload.namespace,
    sni: nameInTls(at),
  });
  if (!rule) {
    steps.stop('route', 'no rule takes the connection', 'the connection is closed');
    return;
  }
  steps.pass('route', `rule ${rule.name} takes it`);
  explainDestinations(steps, world, at, { snapshot, asked: nameInTls(at) }, rule.destinations);
}

/** A client that speaks TLS is taken to name whom it asked for. */
function nameInTls(at: AtWaypoint): string | undefined {
  return at.service?.hostname.startsWith('*') ? hostOf(at) : undefined;
}

function describeRule({ name, origin }: HttpRule): string {
  const where = origin.path === undefined ? '' : ` ${origin.path}`;
  return origin.name === '' ? `rule ${name}` : `${origin.kind} ${origin.namespace}/${origin.name}${where} (${name})`;
}

/** Whether the server will do is not known before it is asked. */
function describeTls({ mode, sni, ca }: UpstreamTls): string {
  const trusted = { system: 'the authorities of the system', secret: 'the authorities of a Secret', none: 'anybody' };
  const from = ca.kind === 'secret' ? `${trusted.secret}, ${ca.secret}` : trusted[ca.kind];
  return `by TLS${mode === 'mutual' ? ', with a certificate of ours' : ''}, to ${sni ?? 'the host of the request'}, trusting ${from}`;
}

type Destinations = Extract<HttpRule['action'], { kind: 'forward' }>['destinations'];

function explainDestinations(
  steps: Steps,
  world: World,
  at: AtWaypoint,
  { snapshot: { backends }, asked }: { readonly snapshot: ProxySnapshot; readonly asked: string | undefined },
  destinations: Destinations,
): void {
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0);
  const { waypoint } = at;
  const by = identityOf(waypoint);
  let first: { readonly workload: MeshWorkload; readonly port: number; readonly isRemote: boolean } | undefined;
  let named: string | undefined;
  let answer = 'HTTP 503 no healthy upstream';
  const lines: string[] = [];
  for (const { weight, target } of destinations) {
    const share = destinations.length === 1 ? '' : ` (${Math.round((100 * weight) / total)} %)`;
    if (target.kind === 'invalid') {
      answer = `HTTP ${target.status} ${target.reason}`;
      lines.push(`${target.reason}${share}: HTTP ${target.status}`);
      continue;
    }
    const backend = backends.get(target.backend);
    if (backend?.requestedHosts) {
      const found = requestedHost(backend.requestedHosts, asked, backend.port);
      const { port } = backend.requestedHosts;
      if (found.kind === 'host') named ??= found.hostname;
      lines.push(
        `${target.backend}${share}: ${found.kind === 'host' ? `port ${port} of what DNS says of ${found.hostname}` : found.reason}`,
      );
      if (backend.tls) lines.push(`  ${describeTls(backend.tls)}`);
      continue;
    }
    const { hosts } = backend
      ? backendHosts({ mesh: world.mesh, backend, own: waypoint, ownAddress: waypoint.addresses[0] ?? '' })
      : { hosts: [] };
    const healthy = hosts.filter((host) => host.healthy);
    lines.push(`${target.backend}${share}: ${healthy.length} of ${hosts.length} endpoints are healthy`);
    if (backend?.tls) lines.push(`  ${describeTls(backend.tls)}`);
    for (const host of hosts) {
      const { workload, throughGateway, unreachable } = host;
      const at = throughGateway
        ? `in network "${workload.network}"`
        : formatHostPort(host.address ?? workload.hostname, host.port);
      const health = host.healthy ? '' : `, ${unreachable ?? 'unhealthy'}`;
      lines.push(`  ${workload.namespace}/${workload.name} ${at}, priority ${host.priority}${health}`);
    }
    // What is told of is the way to one of ours, where there is one.
    const one = healthy.find(({ throughGateway }) => !throughGateway) ?? healthy[0];
    if (one && (!first || first.isRemote)) {
      first = { workload: one.workload, port: one.port, isRemote: one.throughGateway !== undefined };
    }
  }
  if (!first && named !== undefined) {
    lines.push('not to addresses of the proxy itself, its machine, its platform or the mesh');
    steps.pass('endpoints', `the waypoint resolves ${named} and connects to what comes back`, lines);
    return;
  }
  if (!first) {
    steps.stop('endpoints', 'nobody is there to take it', answer, lines);
    return;
  }
  steps.pass('endpoints', `goes on as ${by}`, lines);
  if (first.isRemote) {
    const { network } = first.workload;
    steps.note('destination', `it is in network "${network}": what is decided there is not known here`);
    return;
  }
  at.arrive(first.workload, first.port, by);
}

function identityOf({ trustDomain, namespace, serviceAccount }: MeshWorkload): SpiffeId {
  return spiffeId(trustDomain, namespace, serviceAccount);
}
