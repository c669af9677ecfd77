/** Hosts that requests name themselves: which names are resolved at all, and which of their addresses are dialled (ADR 44). Pure. */
import type { RequestedHosts } from '../../api/l7/index.ts';
import type { NetworkId } from '../../api/names.ts';
import type { MeshService, MeshWorkload } from '../../api/workload.ts';
import { cidrContains, formatIp, isLoopback, parseCidr, tryParseIp } from '../../lib/ip.ts';
import type { MeshState } from '../../mesh/index.ts';

export type RequestedHost =
  | { readonly kind: 'host'; readonly hostname: string }
  | { readonly kind: 'refused'; readonly why: RequestedHostRefusal; readonly reason: string };

/** For metrics; `reason` says it in words. */
export type RequestedHostRefusal = 'no-host' | 'not-a-host' | 'outside' | 'other-port';

const httpPort = 80;
const maxNameLength = 253;
/** Letters, digits and hyphens of DNS, and the underscore that some names have. */
const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * What was asked for: `host[:port]` of a request, or the name in a TLS client's first message; undefined: there was none. Policies
 * compared it as it came, so that nothing is mended here by which a host would have two names: no dot at the end, no port that goes
 * without saying.
 */
export function requestedHost(
  { pattern }: RequestedHosts,
  asked: string | undefined,
  /** Of the Service, which the client connected to. */
  servicePort: number,
): RequestedHost {
  const [, name = '', port] = /^(.*?)(?::(\d{1,5}))?$/.exec(asked?.toLowerCase() ?? '') ?? [];
  if (name === '')
    return refused('no-host', `the client names no host, neither by HTTP nor by TLS, that could be one of ${pattern}`);
  if (!isHostname(name))
    return refused('not-a-host', `${JSON.stringify(name.slice(0, maxNameLength))} is no name of a host`);
  if (!isUnder(name, pattern)) return refused('outside', `${name} is not under ${pattern}`);
  if (port !== undefined && (Number(port) !== servicePort || servicePort === httpPort))
    return refused(
      'other-port',
      `${name}:${port} names a port: ${servicePort === httpPort ? 'none' : servicePort} is expected`,
    );
  return { kind: 'host', hostname: name };
}

function isHostname(name: string): boolean {
  return name.length <= maxNameLength && !tryParseIp(name) && name.split('.').every((part) => label.test(part));
}

/** Of `*` alone nothing is: it would be all there is. */
function isUnder(name: string, pattern: string): boolean {
  return pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) : name === pattern;
}

/**
 * The Service that a name under the wildcard means more specially, if it has a waypoint of its own: that one's policies are for it. As
 * `namespace` sees it, which is the wildcard's.
 */
export function specialOwner(
  hostname: string,
  { pattern }: RequestedHosts,
  { mesh, namespace }: { readonly mesh: MeshState; readonly namespace: string },
): MeshService | undefined {
  let name = hostname;
  for (let dot = hostname.indexOf('.'); name.length > pattern.length || !name.startsWith('*');) {
    const service = mesh.serviceByHostname(name, namespace);
    if (service) return service.waypoint || service.weightedWaypoints.length > 0 ? service : undefined;
    if (dot < 0) return undefined;
    name = `*${hostname.slice(dot)}`;
    dot = hostname.indexOf('.', dot + 1);
  }
  return undefined;
}

export interface Surroundings {
  readonly mesh: MeshState;
  /** The proxy's own workload, once the mesh knows it. */
  readonly own: MeshWorkload | undefined;
  readonly ownAddress: string;
  readonly network: NetworkId;
}

/**
 * Why an address that DNS gave is not dialled; undefined: it is. Whoever answers for a name under the wildcard may not send the proxy to
 * itself, to what serves its machine alone, or past the waypoints and policies of the mesh.
 */
export function undialledAddress(ip: string, { mesh, own, ownAddress, network }: Surroundings): string | undefined {
  const bytes = tryParseIp(ip);
  if (!bytes) return 'it is no IP address';
  if (ip === ownAddress || own?.addresses.includes(ip)) return 'it is the proxy itself';
  const reached = embeddedIpv4(bytes) ?? bytes;
  if (isLoopback(reached)) return 'it is the loopback';
  for (const [what, blocks] of special)
    if (blocks.some((block) => cidrContains(block, reached))) return `it is ${what}`;
  const known = formatIp(reached);
  const workload = mesh.workloadByIp(own?.network ?? network, known);
  if (workload) return `it is ${workload.namespace}/${workload.name} of the mesh`;
  if (mesh.isVirtualAddress(own?.network ?? network, known)) return 'it is the address of a Service of the mesh';
  return undefined;
}

const blocksOf = (...texts: string[]): ReturnType<typeof parseCidr>[] => texts.map(parseCidr);

const special = [
  // Beside the link-local ones: where platforms tell an instance of itself, and give it credentials.
  [
    'an address of the platform',
    blocksOf('100.100.100.200', '168.63.129.16', '192.0.0.192', 'fd00:ec2::/32', 'fd20:ce::254'),
  ],
  ['link-local', blocksOf('169.254.0.0/16', 'fe80::/10')],
  ['unspecified', blocksOf('0.0.0.0/8', '::/128')],
  ['a multicast group', blocksOf('224.0.0.0/4', 'ff00::/8')],
  // Those that hosts of ServiceEntries get are among them.
  ['reserved', blocksOf('240.0.0.0/4', '2001:2::/48', '64:ff9b:1::/48', 'fec0::/10')],
] as const;

/** What a translator on the way, or the kernel, would make of it: NAT64, 6to4, and the compatible form. */
function embeddedIpv4(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length === 4) return undefined;
  if (cidrContains(nat64, bytes)) return bytes.subarray(12);
  if (cidrContains(sixToFour, bytes)) return bytes.subarray(2, 6);
  return cidrContains(compatible, bytes) && !isLoopback(bytes) && bytes.some((byte) => byte !== 0)
    ? bytes.subarray(12)
    : undefined;
}

const nat64 = parseCidr('64:ff9b::/96');
const sixToFour = parseCidr('2002::/16');
const compatible = parseCidr('::/96');

function refused(why: RequestedHostRefusal, reason: string): RequestedHost {
  return { kind: 'refused', why, reason };
}
