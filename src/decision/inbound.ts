/** Where an inbound connection goes (ambient-l4 section 5): CONNECT requests on 15008, plaintext on 15006. Pure. */
import { formatHostPort, formatIp, tryParseIp } from '../lib/ip.ts';
import { serviceKey } from '../api/names.ts';
import type { ApplicationTunnel, MeshService, MeshWorkload } from '../api/workload.ts';
import type { MeshState } from '../mesh/index.ts';
import { familyOfAddress, ipv4 } from './addresses.ts';
import { isWaypointOf } from './gateways.ts';
import { targetPortOf } from './ranked-endpoints.ts';

export interface ConnectRequestFacts {
  readonly mesh: MeshState;
  readonly own: MeshWorkload;
  /** The address of the pod that the peer dialled. */
  readonly localIp: string;
  /** `:authority` of the CONNECT. */
  readonly authority: string;
  /** `host=` of the `forwarded` header, where the client knows the service it meant. */
  readonly forwardedHost?: string | undefined;
  readonly ownPorts: ReadonlySet<number>;
}

export type InboundRefusal = 'bad-authority' | 'wrong-destination' | 'unknown-service' | 'unknown-port' | 'self-call';

export type InboundPlan =
  | {
      readonly kind: 'accept';
      /** What the application is dialled at, and what policies see. */
      readonly ip: string;
      readonly port: number;
      readonly service: MeshService | undefined;
      readonly applicationTunnel: ApplicationTunnel | undefined;
      /** What the client asked for: the application tunnel is told so. */
      readonly asked: { readonly ip: string; readonly port: number };
    }
  | { readonly kind: 'refuse'; readonly status: 400 | 503; readonly reason: InboundRefusal; readonly message: string };

export type Authority =
  | { readonly kind: 'address'; readonly ip: string; readonly port: number }
  | { readonly kind: 'hostname'; readonly hostname: string; readonly port: number };

/** `ip:port`, `[v6]:port` or `hostname:port`, undefined for anything else. The port has no default. */
export function tryParseAuthority(text: string): Authority | undefined {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s/@]+)):(\d{1,5})$/.exec(text);
  if (!parts) return undefined;
  const host = parts[1] ?? parts[2] ?? '';
  const port = Number(parts[3]);
  if (port === 0 || port > 65535) return undefined;
  const bytes = tryParseIp(host);
  if (bytes) return { kind: 'address', ip: formatIp(bytes), port };
  if (parts[1] !== undefined || !hostnamePattern.test(host)) return undefined;
  return { kind: 'hostname', hostname: host.toLowerCase(), port };
}

// The last label never is a number: "10.0.0" or "1.2.3.256" is a broken address, not a name.
const hostnamePattern = /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)*[a-z_](?:[a-z0-9_-]{0,62})$/i;

export function planInboundConnect(facts: ConnectRequestFacts): InboundPlan {
  const { mesh, own, localIp, ownPorts } = facts;
  const authority = tryParseAuthority(facts.authority);
  if (!authority) return refuse(400, 'bad-authority', `cannot parse authority ${JSON.stringify(facts.authority)}`);
  if (authority.kind === 'address' && !mayTakeFor(authority, facts)) {
    const message = `authority ${facts.authority} is not served at ${localIp}: it is no address of ${own.uid}, and ${own.uid} is not its waypoint`;
    return refuse(400, 'wrong-destination', message);
  }
  const tunnel = own.applicationTunnel;
  let service: MeshService | undefined;
  let ip = localIp;
  let { port } = authority;
  let asked = { ip: localIp, port };
  if (authority.kind === 'hostname') {
    service = servedService(own, authority.hostname, mesh) ?? mesh.serviceByHostname(authority.hostname, own.namespace);
    if (!service) return refuse(503, 'unknown-service', `unknown service ${authority.hostname}`);
    const endpoint = mesh.endpoints(serviceKey(service.namespace, service.hostname)).get(own.uid);
    const resolved = endpoint && targetPortOf(endpoint, service, port);
    if (resolved !== undefined) port = resolved;
    else if (!tunnel) return refuse(503, 'unknown-port', `${own.uid} serves no port ${port} of ${authority.hostname}`);
    asked = { ip: virtualAddress(service, own) ?? localIp, port: authority.port };
  } else {
    asked = { ip: authority.ip, port };
    // A pod of several addresses may be asked for another one than it was dialled at.
    if (own.addresses.includes(authority.ip)) ({ ip } = authority);
  }
  if (tunnel && tunnel.port !== 0) ({ port } = tunnel);
  if (ownPorts.has(port)) return refuse(503, 'self-call', `port ${port} is a listener of the proxy itself`);
  service ??= guessService(mesh, own, port, facts.forwardedHost);
  return { kind: 'accept', ip, port, service, applicationTunnel: tunnel, asked };
}

/** Plaintext on 15006: the original destination, unless it is one of our own listeners. */
export function planInboundPlaintext(facts: {
  readonly mesh: MeshState;
  readonly own: MeshWorkload;
  readonly destinationIp: string;
  readonly destinationPort: number;
  readonly ownPorts: ReadonlySet<number>;
}): InboundPlan {
  const { mesh, own, destinationIp: ip, destinationPort: port } = facts;
  if (facts.ownPorts.has(port)) {
    return refuse(503, 'self-call', `destination ${formatHostPort(ip, port)} is a listener of the proxy itself`);
  }
  const service = guessService(mesh, own, port, undefined);
  return { kind: 'accept', ip, port, service, applicationTunnel: undefined, asked: { ip, port } };
}

/** Of the services of that name the one that the workload is an endpoint of, whoever else may see it. */
function servedService(own: MeshWorkload, hostname: string, mesh: MeshState): MeshService | undefined {
  for (const key of own.services.keys()) if (key.endsWith(`/${hostname}`)) return mesh.service(key);
  return undefined;
}

/** Which service the caller meant: the one it named, else the first of the workload that reaches this port. For telemetry only. */
export function guessService(
  mesh: MeshState,
  own: MeshWorkload,
  port: number,
  forwardedHost: string | undefined,
): MeshService | undefined {
  let byPort: MeshService | undefined;
  for (const [key, ports] of own.services) {
    const service = mesh.service(key);
    if (!service) continue;
    if (forwardedHost !== undefined && service.hostname === forwardedHost) return service;
    byPort ??= [...ports, ...service.ports].some((p) => p.targetPort === port) ? service : undefined;
  }
  return byPort;
}

/** Whether this pod may take traffic for `ip`: it is its own address, or something it is the waypoint of. */
function mayTakeFor(
  { ip, port }: { readonly ip: string; readonly port: number },
  { mesh, own, localIp }: ConnectRequestFacts,
): boolean {
  if (ip === localIp || own.applicationTunnel || own.addresses.includes(ip)) return true;
  const service = mesh.serviceByVip(own.network, ip, own.namespace, port);
  if (service && isWaypointOf(own, service, mesh)) return true;
  const workload = mesh.workloadByIp(own.network, ip);
  return workload !== undefined && isWaypointOf(own, workload, mesh);
}

/** The service's address in our own network, IPv4 first. */
function virtualAddress(service: MeshService, own: MeshWorkload): string | undefined {
  const single = service.addresses.filter(({ prefixLength }) => prefixLength === undefined);
  const near = single.filter(({ network }) => network === own.network);
  const choice = near.length > 0 ? near : single;
  return (choice.find(({ ip }) => familyOfAddress(ip) === ipv4) ?? choice[0])?.ip;
}

function refuse(status: 400 | 503, reason: InboundRefusal, message: string): InboundPlan {
  return { kind: 'refuse', status, reason, message };
}
