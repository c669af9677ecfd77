/** `/config_dump`: what the proxy knows, in the keys and values that `ztunnel-config` commands read (ambient-l4 section 9.4). */
import { X509Certificate } from 'node:crypto';
import { formatCidr } from '../../lib/ip.ts';
import { serviceKey } from '../../api/names.ts';
import type { GatewayAddress, LoadBalancing, MeshService, MeshWorkload, NetworkAddress } from '../../api/workload.ts';
import { splitCertificates, type CertificateStatus } from '../../identity/index.ts';
import type { MeshState } from '../../mesh/index.ts';
import type { Authorization, AuthorizationMatch, StringMatch } from '../../policy/index.ts';
import type { ConnectionReport, DataReport } from '../messages.ts';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

export interface ConfigDumpInput {
  readonly mesh: MeshState;
  readonly certificates: readonly CertificateStatus[];
  readonly reports: readonly DataReport[];
  readonly version: string;
  /** Settings without secrets. */
  readonly config: Readonly<Record<string, string | number | boolean>>;
}

export function configDump({ mesh, certificates, reports, version, config }: ConfigDumpInput): Json {
  return {
    workloads: [...mesh.workloads()].map(dumpWorkload),
    services: [...mesh.services()].map((service) => dumpService(service, mesh)),
    policies: [...mesh.policies()].map(dumpPolicy),
    stagedServices: Object.fromEntries(mesh.stagedServices().map((key) => [key, [...mesh.endpoints(key).keys()]])),
    certificates: certificates.map(dumpCertificate),
    workloadState: dumpPods(reports),
    version: { version },
    config,
  };
}

function dumpWorkload(workload: MeshWorkload): Json {
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
      port: applicationTunnel.port,
    },
    authorizationPolicies: workload.authorizationPolicies,
    services: [...workload.services.keys()],
  };
}

function dumpService(service: MeshService, mesh: MeshState): Json {
  const key = serviceKey(service.namespace, service.hostname);
  const endpoints: Record<string, Json> = {};
  for (const [uid, { workload, ports }] of mesh.endpoints(key)) {
    endpoints[uid] = {
      workloadUid: uid,
      service: key,
      address: workload.addresses.map((ip) => `${workload.network}/${ip}`),
      port: Object.fromEntries(ports.map((port) => [port.servicePort, port.targetPort])),
      status: workload.status === 'healthy' ? 'Healthy' : 'Unhealthy',
    };
  }
  const { waypoint, loadBalancing } = service;
  return {
    name: service.name,
    namespace: service.namespace,
    hostname: service.hostname,
    vips: service.addresses.filter((a) => a.prefixLength === undefined).map(networkIp),
    cidrVips: service.addresses
      .filter((a) => a.prefixLength !== undefined)
      .map((a) => ({ cidr: `${a.ip}/${a.prefixLength}`, network: a.network })),
    ports: Object.fromEntries(service.ports.map((port) => [port.servicePort, port.targetPort])),
    loadBalancer: loadBalancing ? dumpLoadBalancing(loadBalancing) : null,
    waypoint: waypoint && dumpGateway(waypoint),
    endpoints,
    subjectAltNames: service.subjectAltNames,
    ipFamilies: service.ipFamilies === 'automatic' ? null : service.ipFamilies,
    canonical: service.canonical,
    visibility: service.visibility === 'public' ? 'Public' : 'Namespace',
  };
}

function dumpLoadBalancing({ mode, routingPreference, healthPolicy }: LoadBalancing): Json {
  const modes = { unspecified: 'Standard', strict: 'Strict', failover: 'Failover', passthrough: 'Passthrough' };
  return {
    mode: modes[mode],
    routingPreferences: routingPreference.map((scope) => `${scope.charAt(0).toUpperCase()}${scope.slice(1)}`),
    healthPolicy: healthPolicy === 'allow-all' ? 'AllowAll' : 'OnlyHealthy',
  };
}

function dumpPolicy(policy: Authorization): Json {
  const scopes = { global: 'Global', namespace: 'Namespace', 'workload-selector': 'WorkloadSelector' };
  return {
    name: policy.name,
    namespace: policy.namespace,
    scope: scopes[policy.scope],
    action: policy.action === 'allow' ? 'Allow' : 'Deny',
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

function dumpCertificate({ identity, state }: CertificateStatus): Json {
  const states = { available: 'Available', unavailable: 'Unavailable', initializing: 'Initializing' };
  const certificate = state.kind === 'available' ? state.certificate : undefined;
  return {
    identity,
    state: state.kind === 'unavailable' ? `${states.unavailable}: ${state.error.message}` : states[state.kind],
    certChain: certificate?.chainPem.map(dumpPem) ?? [],
    rootCerts: certificate ? splitCertificates(certificate.rootsPem).map(dumpPem) : [],
  };
}

function dumpPem(pem: string): Json {
  const certificate = new X509Certificate(pem);
  return {
    pem: Buffer.from(pem).toString('base64'),
    serialNumber: BigInt(`0x${certificate.serialNumber}`).toString(),
    validFrom: new Date(certificate.validFrom).toISOString().replace('.000Z', 'Z'),
    expirationTime: new Date(certificate.validTo).toISOString().replace('.000Z', 'Z'),
  };
}

/** Several data parts serve the same pods: their connections are one list. */
function dumpPods(reports: readonly DataReport[]): Json {
  const states: Record<string, Json> = {};
  const connections = new Map<string, ConnectionReport[]>();
  for (const { pods } of reports) {
    for (const { pod, connections: list } of pods)
      connections.set(pod.uid, [...(connections.get(pod.uid) ?? []), ...list]);
  }
  for (const { pod } of reports.flatMap((report) => report.pods)) {
    const list = connections.get(pod.uid) ?? [];
    const of = (wanted: ConnectionReport['direction']): Json =>
      list
        .filter((c) => c.direction === wanted)
        .map(({ src, originalDst, actualDst, protocol }) => ({ src, originalDst, actualDst, protocol }));
    states[pod.uid] = {
      state: 'Up',
      connections: { inbound: of('inbound'), outbound: of('outbound') },
      info: { name: pod.name, namespace: pod.namespace, serviceAccount: pod.serviceAccount },
    };
  }
  return states;
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
