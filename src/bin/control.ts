/** `ambit control`: the control plane. Configured by environment, as in a cluster. */
import { hostname, networkInterfaces } from 'node:os';
import type { ClusterId } from '../api/index.ts';
import { parseProxyValues, startControl } from '../control/index.ts';
import { accessFromEnvironment, openKubeClient } from '../kube/index.ts';
import { messageOf } from '../lib/errors.ts';
import { parseCidr } from '../lib/ip.ts';
import { openLog } from '../lib/log.ts';
import { logLevelNames, tryParseLogLevel } from '../telemetry/admin/log-levels.ts';

const { env } = process;
const level = tryParseLogLevel(env['LOG_LEVEL'] || 'info');
const log = openLog({ scope: 'control', level: level ?? 'info' });
const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort(new Error(name)));

function hostPort(text: string): { host: string; port: number } {
  const [, host, port] = /^\[?([^\]]+)\]?:(\d+)$/.exec(text) ?? [];
  if (host === undefined) throw new Error(`"${text}" is not HOST:PORT`);
  return { host, port: Number(port) };
}

function localAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.map(({ address }) => address).filter((address) => !address.startsWith('fe80:'));
}

try {
  if (!level) throw new Error(`LOG_LEVEL is "${env['LOG_LEVEL']}", not ${logLevelNames}`);
  const client = openKubeClient(accessFromEnvironment(env), { log: log.child('kube'), userAgent: 'ambit-control' });
  const listen = hostPort(env['LISTEN'] ?? '0.0.0.0:15012');
  const control = await startControl({
    client,
    listen,
    webhook: hostPort(env['WEBHOOK_LISTEN'] ?? `${listen.host}:15017`),
    monitoring: hostPort(env['MONITORING_LISTEN'] ?? `${listen.host}:15014`),
    servingIps: env['SERVING_IPS']?.split(',') ?? localAddresses(),
    namespace: env['POD_NAMESPACE'] ?? 'istio-system',
    identity: env['POD_NAME'] ?? hostname(),
    ...(env['REVISION'] ? { revision: env['REVISION'] } : {}),
    clusterId: (env['CLUSTER_ID'] ?? 'Kubernetes') as ClusterId,
    ...(env['TRUST_DOMAIN'] ? { trustDomain: env['TRUST_DOMAIN'] } : {}),
    ...(env['CLUSTER_DOMAIN'] ? { clusterDomain: env['CLUSTER_DOMAIN'] } : {}),
    ...(env['CA_TRUSTED_NODE_ACCOUNTS'] ? { trustedAccounts: env['CA_TRUSTED_NODE_ACCOUNTS'].split(',') } : {}),
    ...(env['PROXY_VALUES'] ? { proxies: parseProxyValues(env['PROXY_VALUES']) } : {}),
    ...(env['BLOCKED_CIDRS_IN_JWKS_URIS']
      ? { blockedJwksCidrs: env['BLOCKED_CIDRS_IN_JWKS_URIS'].split(',').map((cidr) => parseCidr(cidr.trim())) }
      : {}),
    hasIstioClasses: env['ISTIO_GATEWAY_CLASSES'] !== 'false',
    log,
    signal: stop.signal,
  });
  await control.done;
  await client.close();
  process.exit(0);
} catch (error) {
  if (stop.signal.aborted) process.exit(0);
  log.error('Cannot run the control plane', { error: messageOf(error) });
  process.exit(1);
}
