/** Settings of a ztunnel: one type, read from the environment names that upstream's charts set. */
import { AmbitError } from '../lib/errors.ts';
import type { LogLevel } from '../lib/log.ts';
import type { ClusterId, NetworkId } from '../api/names.ts';
import type { AccessLogFormat } from '../telemetry/index.ts';
import { adminPort, metricsPort, readinessPort } from './ports.ts';

export interface ControlPlaneEndpoint {
  /** `https://host:port` */
  readonly address: string;
  /** The name to verify, when it is not the host. */
  readonly tlsServerName?: string;
  readonly rootCertPath: string;
}

export interface ZtunnelConfig {
  readonly nodeName: string;
  readonly podName: string;
  readonly podNamespace: string;
  readonly serviceAccount: string;
  readonly instanceIp: string;
  readonly clusterId: ClusterId;
  readonly network: NetworkId;
  readonly trustDomain: string;
  readonly xds: ControlPlaneEndpoint;
  readonly ca: ControlPlaneEndpoint;
  readonly tokenPath: string;
  readonly secretTtlSeconds: number;
  /** The node agent's socket. */
  readonly zdsPath: string;
  readonly terminationDeadlineMs: number;
  readonly ports: { readonly admin: number; readonly metrics: number; readonly readiness: number };
  readonly logLevel: LogLevel;
  readonly logFormat: AccessLogFormat;
  /** `ISTIO_META_X` as `X`, for discovery. */
  readonly metadata: Readonly<Record<string, string>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws `ztunnel.config` with every problem at once. */
export function parseZtunnelConfig(env: Environment): ZtunnelConfig {
  const problems: string[] = [];
  const text = (name: string, fallback?: string): string => {
    const value = env[name] || fallback;
    if (value === undefined) problems.push(`${name} is not set`);
    return value ?? '';
  };
  const duration = (name: string, fallbackMs: number): number => {
    const value = env[name];
    if (value === undefined || value === '') return fallbackMs;
    const ms = tryParseDurationMs(value);
    if (ms === undefined) problems.push(`${name} is "${value}", not a duration such as 30s`);
    return ms ?? fallbackMs;
  };
  const endpoint = (kind: 'XDS' | 'CA'): ControlPlaneEndpoint => {
    const given = env[`${kind}_ADDRESS`] ?? 'https://istiod.istio-system.svc:15012';
    const address = given.includes('://') ? given : `https://${given}`;
    if (!URL.canParse(address) || !address.startsWith('https://'))
      problems.push(`${kind}_ADDRESS is "${given}", not https://HOST:PORT`);
    const name = env[`ALT_${kind}_HOSTNAME`];
    return {
      address,
      rootCertPath: env[`${kind}_ROOT_CA`] ?? './var/run/secrets/istio/root-cert.pem',
      ...(name === undefined ? {} : { tlsServerName: name }),
    };
  };
  const logLevel = env['LOG_LEVEL'] ?? env['RUST_LOG']?.split(',')[0] ?? 'info';
  if (!isLogLevel(logLevel)) problems.push(`LOG_LEVEL is "${logLevel}", not debug, info, warn, error or silent`);
  const config: ZtunnelConfig = {
    nodeName: text('NODE_NAME'),
    podName: text('POD_NAME', ''),
    podNamespace: text('POD_NAMESPACE', ''),
    serviceAccount: text('SERVICE_ACCOUNT', ''),
    instanceIp: env['INSTANCE_IP'] || '1.1.1.1',
    clusterId: text('CLUSTER_ID', env['ISTIO_META_CLUSTER_ID'] ?? 'Kubernetes') as ClusterId,
    network: text('NETWORK', '') as NetworkId,
    trustDomain: text('TRUST_DOMAIN', 'cluster.local'),
    xds: endpoint('XDS'),
    ca: endpoint('CA'),
    tokenPath: text('AUTH_TOKEN', './var/run/secrets/tokens/istio-token'),
    secretTtlSeconds: duration('SECRET_TTL', 24 * 3600_000) / 1000,
    zdsPath: text('INPOD_UDS', '/var/run/ztunnel/ztunnel.sock'),
    terminationDeadlineMs: duration(
      'CONNECTION_TERMINATION_DEADLINE',
      graceDeadlineMs(env['TERMINATION_GRACE_PERIOD_SECONDS']),
    ),
    ports: { admin: adminPort, metrics: metricsPort, readiness: readinessPort },
    logLevel: isLogLevel(logLevel) ? logLevel : 'info',
    logFormat: env['LOG_FORMAT'] === 'json' ? 'json' : 'text',
    metadata: metadataOf(env),
  };
  if (problems.length > 0) {
    throw new AmbitError(`Cannot start ztunnel: ${problems.join('; ')}`, {
      code: 'ztunnel.config',
      blame: 'downstream',
    });
  }
  return config;
}

/** Time for live connections after SIGTERM: a little less than what the kubelet grants. */
function graceDeadlineMs(seconds: string | undefined): number {
  const grace = Number(seconds ?? '');
  if (seconds === undefined || seconds === '' || !Number.isFinite(grace)) return 5000;
  return Math.max(grace > 10 ? grace - 5 : grace - 1, 1) * 1000;
}

function tryParseDurationMs(text: string): number | undefined {
  const parts = /^(\d+)(ms|s|m|h)$/.exec(text);
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3600_000 };
  return parts ? Number(parts[1]) * (units[parts[2] ?? ''] ?? 0) : undefined;
}

function metadataOf(env: Environment): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && name.startsWith('ISTIO_META_')) metadata[name.slice('ISTIO_META_'.length)] = value;
  }
  return metadata;
}

function isLogLevel(text: string): text is LogLevel {
  return ['debug', 'info', 'warn', 'error', 'silent'].includes(text);
}
