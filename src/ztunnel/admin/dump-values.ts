/** What `/config_dump` says of one thing: upstream's keys and values (ambient-l4 section 9.4), which istioctl reads. */
import { formatCidr } from '../../lib/ip.ts';
import { serviceKey, type ServiceKey, type WorkloadUid } from '../../api/names.ts';
import type {
  GatewayAddress,
  LoadBalancing,
  MeshService,
  MeshWorkload,
  NetworkAddress,
  ServicePort,
} from '../../api/workload.ts';
import type { Authorization, AuthorizationMatch, StringMatch } from '../../policy/index.ts';
import type { ConnectionReport } from '../messages.ts';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

export function dumpWorkload(workload: MeshWorkload): Json {
  const { applicationTunnel, waypoint, networkGateway } = workload;
  return {
    uid: workload.uid,
    workloadIps: workload.addresses,
    waypoint: waypoint && dumpGateway(waypoint),
    networkGateway: networkGateway && dumpGateway(networkGateway),
    protocol: workload.tunnelProtocol === 'hbone' ? 'HBONE' : 'TCP',
    name: workload.name,
    namespace: workload.namespace,
    serviceAccount: workload.serviceAccount,
    workloadName: workload.workloadName,
    workloadType: workload.workloadType,
    canonicalName: workload.canonicalName,
    canonicalRevision: workload.canonicalRevision,
    clusterId: workload.clusterId,
    trustDomain: workload.trustDomain,
    locality: { region: workload.locality.region, zone: workload.locality.zone, subzone: workload.locality.subzone },
    node: workload.node,
    network: workload.network,
    networkMode: workload.networkMode === 'host-network' ? 'HostNetwork' : 'Standard',
    status: workload.status === 'healthy' ? 'Healthy' : 'Unhealthy',
    hostname: workload.hostname,
    capacity: workload.capacity,
    applicationTunnel: applicationTunnel && {
      protocol: applicationTunnel.protocol.toUpperCase(),
      port: applicationTunnel.port || null,
    },
    authorizationPolicies: workload.authorizationPolicies,
    services: [...workload.services.keys()],
  };
}

/** `endpoints`: the workloads that say they are this service's. */
export function dumpService(service: MeshService, endpoints: readonly MeshWorkload[]): Json {
  const { waypoint, loadBalancing } = service;
  const families = { automatic: null, ipv4: 'IPv4', ipv6: 'IPv6', dual: 'Dual' };
  return {
    name: service.name,
    namespace: service.namespace,
    hostname: service.hostname,
    vips: service.addresses.filter((a) => a.prefixLength === undefined).map(networkIp),
    cidrVips: service.addresses
      .filter((a) => a.prefixLength !== undefined)
      .map((a) => ({ cidr: `${a.ip}/${a.prefixLength}`, network: a.network })),
    ports: dumpPorts(service.ports),
    loadBalancer: loadBalancing ? dumpLoadBalancing(loadBalancing) : null,
    waypoint: waypoint && dumpGateway(waypoint),
    endpoints: dumpEndpoints(serviceKey(service.namespace, service.hostname), endpoints),
    subjectAltNames: service.subjectAltNames,
    ipFamilies: families[service.ipFamilies],
    canonical: service.canonical,
    visibility: service.visibility === 'public' ? 'Public' : 'Namespace',
  };
}

/** By uid. */
export function dumpEndpoints(service: ServiceKey, workloads: readonly MeshWorkload[]): Json {
  const endpoints: Record<WorkloadUid, Json> = {};
  for (const workload of workloads) {
    const [address] = workload.addresses;
    endpoints[workload.uid] = {
      workloadUid: workload.uid,
      service,
      address: address === undefined ? undefined : networkIp({ network: workload.network, ip: address }),
      port: dumpPorts(workload.services.get(service) ?? []),
      status: workload.status === 'healthy' ? 'Healthy' : 'Unhealthy',
    };
  }
  return endpoints;
}

function dumpPorts(ports: readonly ServicePort[]): Json {
  return Object.fromEntries(ports.map((port) => [port.servicePort, port.targetPort]));
}

function dumpLoadBalancing({ mode, routingPreference, healthPolicy }: LoadBalancing): Json {
  const modes = { unspecified: 'Standard', strict: 'Strict', failover: 'Failover', passthrough: 'Passthrough' };
  return {
    mode: modes[mode],
    routingPreferences: routingPreference.map((scope) => `${scope.charAt(0).toUpperCase()}${scope.slice(1)}`),
    healthPolicy: healthPolicy === 'allow-all' ? 'AllowAll' : 'OnlyHealthy',
  };
}

const actions = { allow: 'Allow', deny: 'Deny', audit: 'Audit' } as const;

export function dumpPolicy(policy: Authorization): Json {
  const scopes = { global: 'Global', namespace: 'Namespace', 'workload-selector': 'WorkloadSelector' };
  return {
    name: policy.name,
    namespace: policy.namespace,
    scope: scopes[policy.scope],
    action: actions[policy.action],
    rules: policy.rules.map((rule) => rule.clauses.map((clause) => clause.matches.map(dumpMatch))),
    dryRun: policy.dryRun,
  };
}

function dumpMatch(match: AuthorizationMatch): Json {
  const filled: Record<string, Json> = {
    namespaces: match.namespaces.map(dumpString),
    notNamespaces: match.notNamespaces.map(dumpString),
    principals: match.principals.map(dumpString),
    notPrincipals: match.notPrincipals.map(dumpString),
    serviceAccounts: match.serviceAccounts.map((a) => `${a.namespace}/${a.serviceAccount}`),
    notServiceAccounts: match.notServiceAccounts.map((a) => `${a.namespace}/${a.serviceAccount}`),
    sourceIps: match.sourceIps.map(formatCidr),
    notSourceIps: match.notSourceIps.map(formatCidr),
    destinationIps: match.destinationIps.map(formatCidr),
    notDestinationIps: match.notDestinationIps.map(formatCidr),
    destinationPorts: match.destinationPorts,
    notDestinationPorts: match.notDestinationPorts,
  };
  return Object.fromEntries(Object.entries(filled).filter(([, list]) => (list as readonly Json[]).length > 0));
}

function dumpString(match: StringMatch): Json {
  switch (match.kind) {
    case 'exact':
      return { Exact: match.value };
    case 'prefix':
      return { Prefix: match.value };
    case 'suffix':
      return { Suffix: match.value };
    case 'presence':
      return { Presence: [] };
  }
}

function dumpGateway({ destination, hboneMtlsPort }: GatewayAddress): Json {
  const where =
    destination.kind === 'hostname'
      ? `${destination.namespace}/${destination.hostname}`
      : networkIp(destination.address);
  return { destination: where, hboneMtlsPort };
}

function networkIp({ network, ip }: NetworkAddress): string {
  return `${network}/${ip}`;
}

/** Upstream's four keys, and under `ambit` what it does not tell. */
export function dumpConnection(connection: ConnectionReport, nowMs: number): Json {
  const { src, originalDst, actualDst, protocol } = connection;
  return {
    src,
    originalDst,
    actualDst,
    protocol,
    ambit: {
      hboneAddr: connection.hboneAddr,
      sourceWorkload: connection.sourceWorkload,
      destinationWorkload: connection.destinationWorkload,
      service: connection.service,
      sourceIdentity: connection.sourceIdentity,
      destinationIdentity: connection.destinationIdentity,
      bytesSent: connection.bytesSent,
      bytesReceived: connection.bytesReceived,
      since: new Date(connection.startedMs).toISOString(),
      ageMs: Math.max(0, nowMs - connection.startedMs),
      policy: connection.policy,
    },
  };
}
