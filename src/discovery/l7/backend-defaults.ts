/** A backend before any DestinationRule: how Istio treats a port of a Service about which nobody said anything. Pure. */
import type { Backend, ConnectionPool, L7Protocol, LocalityPolicy } from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { hbonePort } from '../gateway-role.ts';
import type { BackendNeed } from './contracts.ts';
import type { L7Service } from './l7-services.ts';
import { localityPolicy } from './locality-policy.ts';

export interface BackendContext {
  readonly name: string;
  readonly need: BackendNeed;
  readonly service: L7Service;
  /** The proxy is at the edge, and goes through waypoints where the Service says so. */
  readonly isEdge: boolean;
  readonly meshConfig: MeshConfig | undefined;
}

const connectTimeoutMs = 10_000;
/** Of a gateway between networks: it tries three hosts before its clients give up. */
const tunnelConnectTimeoutMs = 2_500;
const idleTimeoutMs = 3_600_000;

export function defaultBackend({ name, need, service, isEdge, meshConfig }: BackendContext): Backend {
  const { port, subset, tunnels } = need;
  const protocol = service.ports.find((one) => one.port === port)?.protocol ?? 'auto';
  const throughWaypoint = tunnels ? tunnels === 'to-waypoint' : isEdge && service.ingressUseWaypoint;
  // Who is to resolve them is the waypoint, where that is gone through.
  const requestedHosts =
    service.isDynamic && !throughWaypoint && !tunnels
      ? { pattern: service.hostname, port: hostPort(service, port) }
      : undefined;
  return {
    kind: 'backend',
    name,
    service: service.key,
    hostname: service.hostname,
    port,
    ...(subset === undefined ? {} : { subset }),
    protocol: tunnels ? 'tcp' : backendProtocol(protocol),
    throughWaypoint,
    ...(tunnels ? { tunnelPort: hbonePort } : {}),
    ...(requestedHosts ? { requestedHosts } : {}),
    loadBalancer: service.isPassthrough ? { kind: 'passthrough' } : { kind: 'least-request' },
    locality: defaultLocality(service, meshConfig),
    connectionPool: tunnels ? tunnelPool(meshConfig) : defaultPool(meshConfig),
  };
}

function hostPort({ ports }: L7Service, port: number): number {
  return ports.find((one) => one.port === port)?.targetPort ?? port;
}

export function defaultPool(meshConfig: MeshConfig | undefined): ConnectionPool {
  const keepalive = meshConfig?.tcpKeepalive;
  return {
    connectTimeoutMs: meshConfig?.connectTimeoutMs || connectTimeoutMs,
    ...(keepalive ? { tcpKeepalive: tcpKeepalive(keepalive) } : {}),
    idleTimeoutMs,
  };
}

function tunnelPool(meshConfig: MeshConfig | undefined): ConnectionPool {
  const pool = defaultPool(meshConfig);
  return { ...pool, connectTimeoutMs: Math.min(pool.connectTimeoutMs, tunnelConnectTimeoutMs) };
}

/** What Linux does where nothing is said. */
export function tcpKeepalive(of: {
  readonly probes?: number | undefined;
  readonly timeMs?: number | undefined;
  readonly intervalMs?: number | undefined;
}): NonNullable<ConnectionPool['tcpKeepalive']> {
  return { timeMs: of.timeMs ?? 7_200_000, intervalMs: of.intervalMs ?? 75_000, probes: of.probes ?? 9 };
}

/** Nearer endpoints first, where the Service's own traffic distribution asks for it; else as the mesh has it. */
function defaultLocality({ loadBalancing }: L7Service, meshConfig: MeshConfig | undefined): LocalityPolicy {
  const isNearFirst =
    loadBalancing && loadBalancing.mode !== 'passthrough' && loadBalancing.routingPreference.length > 0;
  return isNearFirst ? { ...localityPolicy({}), forced: true } : localityPolicy(meshConfig?.localityLbSetting);
}

function backendProtocol(protocol: L7Protocol): Backend['protocol'] {
  switch (protocol) {
    case 'http':
    case 'grpc-web':
      return 'http1';
    case 'http2':
    case 'grpc':
      return 'http2';
    case 'auto':
      return 'auto';
    case 'tls':
    case 'tcp':
      return 'tcp';
  }
}
