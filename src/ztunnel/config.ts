/** Settings of a ztunnel: one type, read from the environment names that upstream's charts set. */
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { AmbitError } from '../lib/errors.ts';
import type { ClusterId, NetworkId } from '../api/names.ts';
import type { AccessLogFormat } from '../telemetry/index.ts';
import type { DataLimits } from './data/data-context.ts';
import { parseDataLimits } from './data-limits-config.ts';
import { parseLogLevels, withoutForeignScopes } from '../telemetry/admin/log-levels.ts';
import { logScopes } from './log-scopes.ts';
import { adminPort, metricsPort, readinessPort } from './ports.ts';
import type { DnsSettings } from './dns/dns-shared.ts';
import { parseWorkerThreads } from './worker-threads.ts';

export interface ControlPlaneEndpoint {
  /** `https://host:port` */
  readonly address: string;
  /** The name to verify, when it is not the host. */
  readonly tlsServerName?: string;
  /** PEM file, PEM itself, or `SYSTEM`. */
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
  /** Absent: pods' DNS is left alone. */
  readonly dns?: DnsSettings;
  readonly xds: ControlPlaneEndpoint;
  readonly ca: ControlPlaneEndpoint;
  readonly tokenPath: string;
  readonly secretTtlSeconds: number;
  /** File of revocation lists. */
  readonly crlPath?: string;
  /** The node agent's socket. */
  readonly zdsPath: string;
  /** The listener holder's socket; nobody needs to listen there. */
  readonly holderPath: string;
  readonly terminationDeadlineMs: number;
  /** Data parts; a single one has no thread of its own. */
  readonly workerThreads: number;
  /** Of each data part. */
  readonly dataLimits: Partial<DataLimits>;
  readonly ports: { readonly admin: number; readonly metrics: number; readonly readiness: number };
  /** As `/logging` takes them: `info,access:warn`. */
  readonly logLevels: string;
  readonly logFormat: AccessLogFormat;
  /** Share of successful connections with a line in the access log. */
  readonly accessLogSampling: number;
  /** `ISTIO_META_X` as `X`, for discovery. */
  readonly metadata: Readonly<Record<string, string>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws `ztunnel.config` with every problem at once. `cores`: of this machine, as far as we may use them. */
export function parseZtunnelConfig(env: Environment, cores: number = availableParallelism()): ZtunnelConfig {
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
      rootCertPath: env[`${kind}_ROOT_CA`] || './var/run/secrets/istio/root-cert.pem',
      ...(name === undefined ? {} : { tlsServerName: name }),
    };
  };
  const logLevels = logLevelsOf(env, problems);
  const sampling = Number(env['ACCESS_LOG_SAMPLING'] || '1');
  if (!(sampling >= 0 && sampling <= 1)) {
    problems.push(`ACCESS_LOG_SAMPLING is "${env['ACCESS_LOG_SAMPLING']}", not a share from 0 to 1`);
  }
  const zdsPath = text('INPOD_UDS', '/var/run/ztunnel/ztunnel.sock');
  const workerThreads = parseWorkerThreads(env, cores, problems);
  const config: ZtunnelConfig = {
    nodeName: text('NODE_NAME'),
    podName: text('POD_NAME', ''),
    podNamespace: text('POD_NAMESPACE', ''),
    serviceAccount: text('SERVICE_ACCOUNT', ''),
    instanceIp: env['INSTANCE_IP'] || '1.1.1.1',
    clusterId: text('CLUSTER_ID', env['ISTIO_META_CLUSTER_ID'] ?? 'Kubernetes') as ClusterId,
    network: text('NETWORK', '') as NetworkId,
    trustDomain: text('TRUST_DOMAIN', 'cluster.local'),
    ...dnsOf(env),
    xds: endpoint('XDS'),
    ca: endpoint('CA'),
    tokenPath: text('AUTH_TOKEN', './var/run/secrets/tokens/istio-token'),
    ...(env['CRL_PATH'] ? { crlPath: env['CRL_PATH'] } : {}),
    secretTtlSeconds: duration('SECRET_TTL', 24 * 3600_000) / 1000,
    zdsPath,
    holderPath: text('LISTENER_HOLDER_SOCKET', join(dirname(zdsPath), 'listener-holder.sock')),
    terminationDeadlineMs: duration(
      'CONNECTION_TERMINATION_DEADLINE',
      graceDeadlineMs(env['TERMINATION_GRACE_PERIOD_SECONDS']),
    ),
    workerThreads,
    dataLimits: parseDataLimits({ env, problems, duration }, workerThreads),
    ports: { admin: adminPort, metrics: metricsPort, readiness: readinessPort },
    logLevels,
    accessLogSampling: sampling,
    logFormat: logFormatOf(env, problems),
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

/** On unless somebody says `false`: nothing is asked of it until the node agent redirects queries. */
function dnsOf(env: Environment): { dns?: DnsSettings } {
  if (env['ISTIO_META_DNS_CAPTURE']?.toLowerCase() === 'false') return {};
  const clusterDomain = (env['CLUSTER_DOMAIN'] || 'cluster.local').toLowerCase();
  // Upstream's spelling.
  const preferredNamespace = env['PREFERED_SERVICE_NAMESPACE'];
  return { dns: { clusterDomain, ...(preferredNamespace ? { preferredNamespace } : {}) } };
}

function metadataOf(env: Environment): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && name.startsWith('ISTIO_META_')) metadata[name.slice('ISTIO_META_'.length)] = value;
  }
  return metadata;
}

/** `RUST_LOG` is the name that upstream's charts set, with scopes of its own. `ACCESS_LOG` says it of the access log alone. */
function logLevelsOf(env: Environment, problems: string[]): string {
  const name = env['LOG_LEVEL'] || !env['RUST_LOG'] ? 'LOG_LEVEL' : 'RUST_LOG';
  const given = env[name] || 'info';
  const general = (name === 'RUST_LOG' ? withoutForeignScopes(given, logScopes) : given) || 'info';
  const problem = parseLogLevels(general, logScopes);
  if (typeof problem === 'string') problems.push(`${name} is "${given}", not LEVEL or SCOPE:LEVEL,...: ${problem}`);
  const choice = env['ACCESS_LOG'] || 'all';
  const level = accessLogLevels[choice];
  if (level === undefined) problems.push(`ACCESS_LOG is "${choice}", not all, errors or off`);
  return level ? `${general},access:${level}` : general;
}

function logFormatOf(env: Environment, problems: string[]): AccessLogFormat {
  const format = env['LOG_FORMAT'] || 'text';
  if (format === 'json' || format === 'text') return format;
  problems.push(`LOG_FORMAT is "${format}", not text or json`);
  return 'text';
}

/** `all`: as the general level has it. */
const accessLogLevels: Readonly<Record<string, string>> = { all: '', errors: 'warn', off: 'silent' };
