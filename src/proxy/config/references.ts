/** Whether all names in a configuration lead somewhere. Pure. */
import type {
  DestinationService,
  EdgeServer,
  HttpRule,
  Listener,
  PolicyAttachment,
  Provider,
  ProxyPolicy,
  RouteTable,
  WeightedDestination,
} from '../../api/l7/index.ts';
import type { PoliciesByKind, ProxySnapshot } from './snapshot.ts';

/** A name that leads nowhere, or two resources that cannot be together. */
export interface ReferenceFault {
  /** `<kind>/<name>` of the resource at fault. */
  readonly resource: string;
  /** Field inside of it, as in `servers[0].tls.certificates[1]`. */
  readonly path: string;
  /** What is wrong with it, in words. */
  readonly state: string;
}

/** All of them, in the order of the snapshot. */
export function findReferenceFaults(snapshot: ProxySnapshot): ReferenceFault[] {
  const faults: ReferenceFault[] = [];
  const ports = new Map<number, string>();
  for (const listener of snapshot.listeners.values()) {
    const check = checker(faults, `listener/${listener.name}`);
    checkListener(check, listener, snapshot);
    const other = ports.get(listener.port);
    if (other !== undefined) check(false, 'port', () => `port ${listener.port} is taken by listener/${other}`);
    ports.set(listener.port, listener.name);
  }
  for (const service of snapshot.services.values()) {
    checkService(checker(faults, `service/${service.name}`), service, snapshot);
  }
  for (const table of snapshot.routes.values()) checkRoutes(checker(faults, `routes/${table.name}`), table, snapshot);
  for (const backend of snapshot.backends.values()) {
    const check = checker(faults, `backend/${backend.name}`);
    const { ca, clientCertificate } = backend.tls ?? {};
    if (ca?.kind === 'secret') checkName(check, 'tls.ca.secret', 'secret', ca.secret, snapshot.secrets);
    checkName(check, 'tls.clientCertificate', 'secret', clientCertificate, snapshot.secrets);
  }
  for (const policies of Object.values<ReadonlyMap<string, ProxyPolicy>>(snapshot.policies)) {
    for (const policy of policies.values()) {
      checkPolicy(checker(faults, `${policy.kind}/${policy.name}`), policy, snapshot.providers);
    }
  }
  for (const provider of snapshot.providers.values()) {
    checkName(checker(faults, `provider/${provider.name}`), 'backend', 'backend', provider.backend, snapshot.backends);
  }
  return faults;
}

type Check = (holds: boolean, path: string, state: () => string) => void;

function checker(faults: ReferenceFault[], resource: string): Check {
  return (holds, path, state) => {
    if (!holds) faults.push({ resource, path, state: state() });
  };
}

function checkListener(check: Check, listener: Listener, snapshot: ProxySnapshot): void {
  checkAttachment(check, 'policies', listener.policies, snapshot.policies);
  if (listener.type !== 'edge') return;
  for (const [i, server] of listener.servers.entries()) checkServer(check, `servers[${i}]`, server, snapshot);
}

function checkServer(check: Check, path: string, server: EdgeServer, snapshot: ProxySnapshot): void {
  checkName(check, `${path}.routes`, 'routes', server.routes, snapshot.routes);
  checkAttachment(check, `${path}.policies`, server.policies, snapshot.policies);
  for (const [i, certificate] of (server.tls?.certificates ?? []).entries()) {
    checkName(check, `${path}.tls.certificates[${i}]`, 'secret', certificate, snapshot.secrets);
  }
  checkName(check, `${path}.tls.clientCa.secret`, 'secret', server.tls?.clientCa?.secret, snapshot.secrets);
}

function checkService(check: Check, service: DestinationService, snapshot: ProxySnapshot): void {
  checkAttachment(check, 'policies', service.policies, snapshot.policies);
  for (const [i, { routes, routesPastWaypoint }] of service.ports.entries()) {
    checkName(check, `ports[${i}].routes`, 'routes', routes, snapshot.routes);
    checkName(check, `ports[${i}].routesPastWaypoint`, 'routes', routesPastWaypoint, snapshot.routes);
  }
}

function checkRoutes(check: Check, { hosts, tls, tcp }: RouteTable, snapshot: ProxySnapshot): void {
  for (const [i, host] of hosts.entries()) {
    for (const [j, rule] of host.rules.entries()) checkRule(check, `hosts[${i}].rules[${j}]`, rule, snapshot);
  }
  for (const [i, { destinations }] of tls.entries()) checkDestinations(check, `tls[${i}]`, destinations, snapshot);
  for (const [i, { destinations }] of tcp.entries()) checkDestinations(check, `tcp[${i}]`, destinations, snapshot);
}

function checkRule(check: Check, path: string, { action, mirrors = [] }: HttpRule, snapshot: ProxySnapshot): void {
  if (action.kind === 'forward') checkDestinations(check, `${path}.action`, action.destinations, snapshot);
  for (const [i, { backend }] of mirrors.entries()) {
    checkName(check, `${path}.mirrors[${i}].backend`, 'backend', backend, snapshot.backends);
  }
}

function checkDestinations(
  check: Check,
  path: string,
  destinations: readonly WeightedDestination[],
  { backends }: ProxySnapshot,
): void {
  for (const [i, { target }] of destinations.entries()) {
    if (target.kind !== 'backend') continue;
    checkName(check, `${path}.destinations[${i}].target.backend`, 'backend', target.backend, backends);
  }
}

function checkPolicy(check: Check, policy: ProxyPolicy, providers: ReadonlyMap<string, Provider>): void {
  switch (policy.kind) {
    case 'rate-limit':
      for (const [i, { enforcement }] of policy.limits.entries()) {
        if (enforcement.kind !== 'global') continue;
        checkName(check, `limits[${i}].enforcement.provider`, 'provider', enforcement.provider, providers);
      }
      return;
    case 'telemetry':
      for (const [i, { provider }] of (policy.accessLogs ?? []).entries()) {
        checkName(check, `accessLogs[${i}].provider`, 'provider', provider, providers);
      }
      for (const [i, provider] of (policy.tracing?.providers ?? []).entries()) {
        checkName(check, `tracing.providers[${i}]`, 'provider', provider, providers);
      }
      return;
    // A provider that is not there is part of its meaning: it denies what the rules match.
    case 'authorization':
    case 'authentication':
    case 'extension':
      return;
  }
}

function checkAttachment(check: Check, path: string, attachment: PolicyAttachment, policies: PoliciesByKind): void {
  const lists = [
    ['authorization', 'authorization'],
    ['authentication', 'authentication'],
    ['rateLimits', 'rate-limit'],
    ['telemetry', 'telemetry'],
    ['extensions', 'extension'],
  ] as const;
  for (const [field, kind] of lists) {
    for (const [i, name] of attachment[field].entries()) {
      checkName(check, `${path}.${field}[${i}]`, kind, name, policies[kind]);
    }
  }
}

function checkName(
  check: Check,
  path: string,
  kind: string,
  name: string | undefined,
  among: ReadonlyMap<string, unknown>,
): void {
  if (name !== undefined) check(among.has(name), path, () => `there is no ${kind} "${name}"`);
}
