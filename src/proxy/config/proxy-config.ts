/** Settings of a proxy's process: one type, read from the environment that istio-proxy's pods have. */
import type { ClusterId, NetworkId, SpiffeId } from '../../api/names.ts';
import { spiffeId } from '../../api/names.ts';
import { AmbitError } from '../../lib/errors.ts';
import { parseLogLevels } from '../../telemetry/admin/log-levels.ts';
import { parseConcurrency } from './concurrency.ts';
import { logScopes } from './log-scopes.ts';

export interface ProxyProcessConfig {
  readonly role: ProxyRole;
  readonly podName: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly instanceIp: string;
  readonly nodeName: string;
  readonly clusterId: ClusterId;
  readonly network: NetworkId;
  readonly trustDomain: string;
  /** Of discovery and of the certificate authority. */
  readonly controlPlane: {
    /** `https://host:port` */
    readonly address: string;
    readonly tlsServerName?: string;
    readonly rootCertPath: string;
  };
  readonly tokenPath: string;
  readonly secretTtlSeconds: number;
  /** File of revocation lists. */
  readonly crlPath?: string;
  /** Most connections of clients at once; absent: as many as the process's descriptors allow. */
  readonly maxConnections?: number;
  /** Threads that serve connections, at least 1. */
  readonly concurrency: number;
  /** From SIGTERM to the end of what still runs. */
  readonly terminationDeadlineMs: number;
  readonly logLevel: string;
  /** `ISTIO_META_X` as `X`, for discovery. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What `ambit proxy` is run as. */
export type ProxyRole = 'waypoint' | 'router' | 'sidecar';

type Environment = Readonly<Record<string, string | undefined>>;

/** What `ambit proxy` is given besides its environment. */
export interface ProxyArguments {
  /** `--concurrency`, as it was written. */
  readonly concurrency?: string | undefined;
  /** Cores that the process may use. Default: as the system says. */
  readonly cores?: number;
}

/** @throws AmbitError `proxy.config` with every problem at once. */
export function parseProxyConfig(role: string, env: Environment, given: ProxyArguments = {}): ProxyProcessConfig {
  const problems: string[] = [];
  const text = (name: string, fallback?: string): string => {
    const value = env[name] || fallback;
    if (value === undefined) problems.push(`${name} is not set`);
    return value ?? '';
  };
  if (!isRole(role)) problems.push(`the role is ${JSON.stringify(role)}, not waypoint or router`);
  const config: ProxyProcessConfig = {
    role: isRole(role) ? role : 'waypoint',
    podName: text('POD_NAME'),
    namespace: text('POD_NAMESPACE'),
    serviceAccount: text('SERVICE_ACCOUNT', env['ISTIO_META_SERVICE_ACCOUNT']),
    instanceIp: text('INSTANCE_IP', '127.0.0.1'),
    nodeName: text('NODE_NAME', env['ISTIO_META_NODE_NAME'] ?? ''),
    clusterId: text('ISTIO_META_CLUSTER_ID', 'Kubernetes') as ClusterId,
    network: text('ISTIO_META_NETWORK', '') as NetworkId,
    trustDomain: text('TRUST_DOMAIN', 'cluster.local'),
    controlPlane: controlPlaneOf(env, problems),
    tokenPath: text('AUTH_TOKEN', '/var/run/secrets/tokens/istio-token'),
    secretTtlSeconds: 24 * 3600,
    ...(env['CRL_PATH'] ? { crlPath: env['CRL_PATH'] } : {}),
    ...connectionsOf(env, problems),
    concurrency: parseConcurrency(env, given, problems),
    terminationDeadlineMs: deadlineMs(env['TERMINATION_GRACE_PERIOD_SECONDS']),
    logLevel: logLevelOf(env, problems),
    metadata: metadataOf(env),
  };
  if (problems.length > 0) {
    throw new AmbitError(`Cannot start the proxy: ${problems.join('; ')}`, {
      code: 'proxy.config',
      blame: 'downstream',
    });
  }
  return config;
}

export function ownIdentity({ trustDomain, namespace, serviceAccount }: ProxyProcessConfig): SpiffeId {
  return spiffeId(trustDomain, namespace, serviceAccount);
}

function isRole(role: string): role is ProxyRole {
  return role === 'waypoint' || role === 'router';
}

function controlPlaneOf(env: Environment, problems: string[]): ProxyProcessConfig['controlPlane'] {
  const given = env['CA_ADDR'] || 'istiod.istio-system.svc:15012';
  const address = given.includes('://') ? given : `https://${given}`;
  if (!URL.canParse(address) || !address.startsWith('https://')) problems.push(`CA_ADDR is "${given}", not HOST:PORT`);
  const name = env['ALT_CA_HOSTNAME'];
  return {
    address,
    rootCertPath: env['CA_ROOT_CA'] || '/var/run/secrets/istio/root-cert.pem',
    ...(name ? { tlsServerName: name } : {}),
  };
}

function connectionsOf(env: Environment, problems: string[]): Pick<ProxyProcessConfig, 'maxConnections'> {
  const text = env['MAX_CONNECTIONS'];
  if (text === undefined || text === '') return {};
  const maxConnections = Number(text);
  if (Number.isInteger(maxConnections) && maxConnections > 0) return { maxConnections };
  problems.push(`MAX_CONNECTIONS is "${text}", not a number of connections`);
  return {};
}

function logLevelOf(env: Environment, problems: string[]): string {
  const level = env['LOG_LEVEL'] || 'info';
  const problem = parseLogLevels(level, logScopes);
  if (typeof problem === 'string') problems.push(`LOG_LEVEL is "${level}", not LEVEL or SCOPE:LEVEL,...: ${problem}`);
  return level;
}

/** A little less than what the kubelet grants. */
function deadlineMs(graceSeconds: string | undefined): number {
  const grace = Number(graceSeconds || '30');
  return Number.isFinite(grace) && grace > 0 ? Math.max(grace > 10 ? grace - 5 : grace - 1, 1) * 1000 : 25_000;
}

function metadataOf(env: Environment): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && name.startsWith('ISTIO_META_')) metadata[name.slice('ISTIO_META_'.length)] = value;
  }
  return metadata;
}
